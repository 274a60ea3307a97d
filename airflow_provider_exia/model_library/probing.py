"""A probe in each store: written, read and removed, so that what would fail in a task fails here, by its own name."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_exia.model_library.exceptions import ModelLibraryError
from airflow_provider_exia.model_library.names import LATEST
from airflow_provider_exia.model_library.records import PINS
from airflow_provider_exia.storage.documents import StorageError, StoreUnavailable, WriteConflict, WriteUnknown

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.storage.blobs import BlobStore

_BYTES = b"a probe of exia"
_FOLDER = "Probe"  # no model is called so: their names have no capital


class ProbeFailed(ModelLibraryError):
    """A store did not do what the library needs of it.

    :param step: what was tried
    :param problem: what became of it
    """

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step} a probe failed: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A store that did all that was asked.

    :param steps: what was done, in order
    :param written_at: when the probe was written, by the store's own clock; None where it does not tell
    """

    steps: tuple[str, ...]
    written_at: datetime | None = None


def probe_documents(resources: Resources) -> Probe:
    """Insert, read, swap and delete one document.

    :raises ProbeFailed: a step failed
    """
    documents = resources.documents
    key: dict[str, str | int] = {"scope": f"probe-{uuid.uuid4().hex}", "reference": LATEST}
    try:
        with _step("inserting"):
            documents.insert(PINS, {**key, "version": 0})
        with _step("inserting"):
            _expect_conflict(
                lambda: documents.insert(PINS, {**key, "version": 1}), "a second one with its key was taken"
            )
        with _step("swapping"):
            documents.swap(PINS, {**key, "version": 2}, revision=1)
            _expect_conflict(
                lambda: documents.swap(PINS, {**key, "version": 3}, revision=1), "a swap on an old revision was taken"
            )
        with _step("reading"):
            found = documents.get(PINS, key)
            if found is None or found["version"] != 2:
                raise StorageError(f"{found} came back, not what was written")
        with _step("deleting"):
            documents.delete(PINS, key)
    except ProbeFailed as failure:
        _clean_up(failure, lambda: documents.delete(PINS, key))
        raise
    return Probe(steps=("insert", "swap", "read", "delete"))


def probe_blobs(resources: Resources) -> Probe:
    """Put, look at, list, read and delete one blob.

    :raises ProbeFailed: a step failed
    """
    blobs = resources.blobs
    folder = f"{resources.prefix}/{_FOLDER}/{uuid.uuid4().hex}"
    key = f"{folder}/probe"
    try:
        with _step("putting"):
            _put_probe(blobs, key)
        with _step("looking at"):
            info = blobs.stat(key)
            if info is None or info.size != len(_BYTES):
                raise StorageError("the store does not find what it took")
        with _step("listing"):
            if [found.key for found in blobs.list(f"{folder}/")] != [key]:
                raise StorageError("the store does not list what it took")
        with _step("reading"), blobs.open(key) as stream:
            if stream.read() != _BYTES:
                raise StorageError("other bytes came back than were written")
        with _step("deleting"):
            blobs.delete(key)
    except ProbeFailed as failure:
        _clean_up(failure, lambda: blobs.delete(key))
        raise
    return Probe(steps=("put", "stat", "list", "read", "delete"), written_at=info.modified_at.astimezone(UTC))


def share_blobs(one: Resources, other: Resources) -> bool:
    """Say whether two libraries keep their files in one place: what the one puts is there for the other.

    :param one: of the library that is written to
    :raises StorageError: a store does not answer, or refuses
    """
    name = f"{_FOLDER}/{uuid.uuid4().hex}/probe"
    key = f"{one.prefix}/{name}"
    _put_probe(one.blobs, key)
    try:
        return other.blobs.stat(f"{other.prefix}/{name}") is not None
    finally:
        one.blobs.delete(key)


def _put_probe(blobs: BlobStore, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="exia-") as place:
        (Path(place) / "probe").write_bytes(_BYTES)
        blobs.put(key, Path(place) / "probe")


@contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise ProbeFailed(step=name, problem=str(error)) from error


def _clean_up(failure: ProbeFailed, delete: Callable[[], None]) -> None:
    """Remove the probe where the store answers: one that does not would only be waited for once more."""
    if not isinstance(failure.__cause__, StoreUnavailable | WriteUnknown):
        with suppress(StorageError):  # the failure is told
            delete()


def _expect_conflict(write: Callable[[], None], otherwise: str) -> None:
    try:
        write()
    except WriteConflict:
        return
    raise StorageError(otherwise)
