"""The backends that the contract suites run over. The next backend is one line in a table below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from airflow_provider_exia.storage import opening
from airflow_provider_exia.storage.blobs import BlobStore
from airflow_provider_exia.storage.documents import DocumentStore
from airflow_provider_exia.storage.local import LocalBlobs
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.servers import session
from tests.simulation.stores import Memory, SimulatedBlobs, SimulatedDocuments

OpenDocuments: TypeAlias = Callable[[], DocumentStore]
"""Opens one and the same store; can be sent to another process."""
OpenBlobs: TypeAlias = Callable[[], BlobStore]


@dataclass(frozen=True)
class Backend:
    """How a test gets at one kind of store.

    :param opener: makes a fresh, empty store in a folder; returns what opens it
    :param concurrent: threads and other processes can use the same store
    :param unfinished_at: the crash point at which a killed put leaves an unfinished upload
    :param server: the real server that it needs, if any
    """

    opener: Callable[[Path], Callable[[], object]]
    concurrent: bool = True
    unfinished_at: str | None = None
    server: str | None = None


def _sqlite(folder: Path) -> OpenDocuments:
    return partial(SqlDocuments, f"sqlite:///{folder}/library.db")


def _directory(folder: Path) -> OpenBlobs:
    return partial(LocalBlobs, folder / "blobs")


def _simulated_documents(_folder: Path) -> OpenDocuments:
    return partial(SimulatedDocuments, Memory())


def _simulated_blobs(_folder: Path) -> OpenBlobs:
    return partial(SimulatedBlobs, Memory())


def _documents_on(server: str) -> Backend:
    return Backend(lambda _: partial(opening.open_documents, session.fresh_documents_url(server)), server=server)


def _blobs_on(server: str) -> Backend:
    return Backend(
        lambda _: partial(opening.open_blobs, session.fresh_blobs_url(server)),
        unfinished_at="blob.temporary-written",
        server=server,
    )


DOCUMENTS = {
    "mariadb": _documents_on("mariadb"),
    "mongo": _documents_on("mongo"),
    "postgres": _documents_on("postgres"),
    "simulated": Backend(_simulated_documents, concurrent=False),
    "sqlite": Backend(_sqlite),
}
BLOBS = {
    "simulated": Backend(_simulated_blobs, concurrent=False),
    "directory": Backend(_directory, unfinished_at="blob.temporary-written"),
    "minio": _blobs_on("minio"),
    "seaweedfs": _blobs_on("seaweedfs"),
}


def kinds(backends: dict[str, Backend]) -> list[object]:
    """Return the parameters of a test that runs over each backend."""
    return [
        pytest.param(kind, marks=pytest.mark.servers(backend.server)) if backend.server else kind
        for kind, backend in sorted(backends.items())
    ]


@pytest.fixture(params=kinds(DOCUMENTS))
def documents_backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of document store in turn."""
    return DOCUMENTS[request.param]


@pytest.fixture
def open_documents(documents_backend: Backend, tmp_path: Path) -> OpenDocuments:
    """What opens a fresh, empty document store."""
    return documents_backend.opener(tmp_path)


@pytest.fixture
def documents(open_documents: OpenDocuments) -> Iterator[DocumentStore]:
    """A fresh, empty document store."""
    store = open_documents()
    yield store
    store.close()


@pytest.fixture
def shared_documents(documents_backend: Backend, open_documents: OpenDocuments) -> OpenDocuments:
    """What opens a document store in any thread and process."""
    if not documents_backend.concurrent:
        pytest.skip("used by one thread at a time")
    return open_documents


@pytest.fixture(params=kinds(BLOBS))
def blobs_backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of blob store in turn."""
    return BLOBS[request.param]


@pytest.fixture
def open_blobs(blobs_backend: Backend, tmp_path: Path) -> OpenBlobs:
    """What opens a fresh, empty blob store."""
    return blobs_backend.opener(tmp_path)


@pytest.fixture
def blobs(open_blobs: OpenBlobs) -> Iterator[BlobStore]:
    """A fresh, empty blob store."""
    store = open_blobs()
    yield store
    store.close()


@pytest.fixture
def shared_blobs(blobs_backend: Backend, open_blobs: OpenBlobs) -> OpenBlobs:
    """What opens a blob store in any thread and process."""
    if not blobs_backend.concurrent:
        pytest.skip("used by one thread at a time")
    return open_blobs
