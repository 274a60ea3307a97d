"""Where the libraries of the fault tests live: nothing of a server's, or a pair of real servers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.clock import Clock, SystemClock
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.storage.opening import open_blobs, open_documents
from tests.servers import session

if TYPE_CHECKING:
    from airflow_provider_exia.storage.blobs import BlobStore
    from airflow_provider_exia.storage.documents import DocumentStore

EMBEDDED = "embedded"
PART_BYTES = 5 * 2**20
"""The least that S3 allows: a larger file is put in parts."""
PAIRS = (EMBEDDED, "mongo+minio", "postgres+seaweedfs")
SERVERS = ("mongo+minio", "postgres+minio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A pair of stores of its own, and a folder for files; can be sent to another process.

    :param documents: URL of the document store
    :param blobs: URL of the blob store
    :param part_bytes: the size of parts, where the store has parts
    :param patience: how long an operation goes on
    :param answer_seconds: how long a document server's answer is waited for
    """

    folder: Path
    documents: str
    blobs: str
    part_bytes: int | None = None
    patience: timedelta = timedelta(seconds=60)
    answer_seconds: float = 30.0
    clock: Clock = field(default_factory=SystemClock)

    @property
    def embedded(self) -> bool:
        """Whether no server is needed."""
        return self.documents.startswith("sqlite")

    def open_documents(self) -> DocumentStore:
        """Return the document store."""
        seconds = timedelta(seconds=self.answer_seconds)
        if self.documents.startswith("mongodb"):
            from airflow_provider_exia.storage.mongo import MongoDocuments

            return MongoDocuments(self.documents, answer_timeout=seconds)
        if not self.embedded:
            from airflow_provider_exia.storage.sql import SqlDocuments

            return SqlDocuments(self.documents, busy_timeout=seconds)
        return open_documents(self.documents)

    def open_blobs(self) -> BlobStore:
        """Return the blob store."""
        from airflow_provider_exia.storage.s3 import S3Blobs

        store = open_blobs(self.blobs)
        if self.part_bytes is not None and isinstance(store, S3Blobs):
            return S3Blobs(store.place, part_bytes=self.part_bytes)
        return store

    def open(self) -> ModelLibrary:
        """Return the library."""
        resources = Resources(
            documents=self.open_documents(),
            blobs=self.open_blobs(),
            new_token=lambda: uuid.uuid4().hex,
            patience=self.patience,
            clock=self.clock,
        )
        return ModelLibrary(resources, by="test")


def embedded(folder: Path) -> Place:
    """Return a place that needs no server."""
    return Place(folder=folder, documents=f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs")


def place_on(pair: str, folder: Path) -> Place:
    """Return an unused place.

    :param pair: ``embedded``, or a document server and a blob server as in ``mongo+minio``
    """
    if pair == EMBEDDED:
        return embedded(folder)
    documents, blobs = pair.split("+")
    return Place(
        folder=folder,
        documents=session.fresh_documents_url(documents),
        blobs=session.fresh_blobs_url(blobs),
        part_bytes=PART_BYTES,
    )


def on(*pairs: str) -> Sequence[object]:
    """Return the parameters of a test that runs on each pair."""
    return [trial(pair) for pair in pairs]


def trial(pair: str, *values: object, short: bool = True) -> object:
    """Return one set of parameters, the first of them a pair, with the marks of its servers.

    :param short: whether it is part of ``make test``
    """
    marks = [] if short else [pytest.mark.full]
    if pair != EMBEDDED:
        marks.append(pytest.mark.servers(*pair.split("+")))
    return pytest.param(pair, *values, marks=marks)
