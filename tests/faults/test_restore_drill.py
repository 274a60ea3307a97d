"""A backup taken beside writers is restored elsewhere: it loads, or what is damaged is named and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.exceptions import AliasMoved, DamagedFile
from airflow_provider_exia.model_library.records import State
from airflow_provider_exia.model_library.verifying import verify
from tests.faults import works
from tests.faults.backups import (
    ORDER,
    copy_blobs,
    dump_documents,
    dump_mongo,
    elsewhere,
    restore_documents,
    restore_mongo,
)
from tests.faults.places import EMBEDDED, Place, on
from tests.faults.works import MODEL

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = pytest.mark.slow

STORES = on(EMBEDDED, "mongo+minio", "postgres+minio")
WRITERS, BEFORE = 4, 20


class Writing:
    """Writers that publish and promote until they are told to stop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stop, self._enough = threading.Event(), threading.Event()
        self.acknowledged: list[int] = []
        self.errors: list[BaseException] = []

    def write(self, writer: int) -> None:
        """Publish and promote versions, one after the other."""
        try:
            with self._place.open() as library:
                work = 0
                while not self._stop.is_set():
                    work += 1
                    files = works.source_files(self._place.folder, f"w{writer}-{work}")
                    version = library.publish(MODEL, files, format="json", work=f"w{writer}-{work}")
                    with suppress(AliasMoved):  # another writer was faster
                        library.promote(version.reference)
                    self.acknowledged.append(version.number)
                    if len(self.acknowledged) >= BEFORE:
                        self._enough.set()
        except BaseException as error:  # the thread that waits raises it
            self.errors.append(error)
            self._enough.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the writers run as long as the block does, which begins when there is something to back up."""
        threads = [threading.Thread(target=self.write, args=(writer,)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            assert self._enough.wait(120)
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(120)
        assert self.errors == []


@pytest.fixture
def filled(place: Place) -> Place:
    """A place with three versions, the last one live."""
    for number in (1, 2, 3):
        works.publish(place, f"before-{number}")
        works.promote(place, number, f"token-{number}")
    return place


def damaged(library: ModelLibrary) -> dict[str, tuple[str, ...]]:
    """Return what is damaged, by name."""
    return {found.name: found.problems for found in verify(library.resources, MODEL) if found.problems}


def ready(library: ModelLibrary) -> list[int]:
    return sorted(version.number for version in library.versions(MODEL) if version.state is State.READY)


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_a_backup_beside_writers_is_whole_when_the_documents_come_first(place: Place, tmp_path: Path) -> None:
    writing, target = Writing(place), elsewhere(place, tmp_path)
    with writing.running():
        acknowledged = list(writing.acknowledged)
        dump = dump_documents(place, tmp_path)
        copy_blobs(place.blobs, target.blobs, tmp_path)

    restore_documents(dump, target.documents)
    with place.open() as source, target.open() as library:
        restored = ready(library)
        assert damaged(library) == {}
        assert set(acknowledged) <= set(restored) < set(ready(source)), "others were written meanwhile"
        for number in restored:
            assert library.load(f"{MODEL}/{number}") == source.load(f"{MODEL}/{number}")
        there = source.history(MODEL)[::-1]
        assert library.history(MODEL)[::-1] == there[: len(library.history(MODEL))]
        goes_on(target, library)


def goes_on(target: Place, library: ModelLibrary) -> None:
    """Publish, promote and roll back; finish what was under way."""
    highest = max(version.number for version in library.versions(MODEL))
    new = works.publish(target, "after the restore")
    assert new.number > highest
    live = library.alias(MODEL).live
    library.promote(new.reference)
    assert library.rollback(MODEL).version == live
    for pending in (version for version in library.versions(MODEL) if version.state is State.PENDING):
        assert works.publish(target, pending.work).number == pending.number
    assert damaged(library) == {}


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_documents_that_are_newer_than_the_blobs_are_named(filled: Place, tmp_path: Path) -> None:
    target = elsewhere(filled, tmp_path)
    copy_blobs(filled.blobs, target.blobs, tmp_path)
    works.publish(filled, "too late")
    works.promote(filled, 4, "token-4")
    restore_documents(dump_documents(filled, tmp_path), target.documents)

    with target.open() as library:
        found = damaged(library)
        assert list(found) == [f"{MODEL}/4"]
        assert [problem.partition(":")[0] for problem in found[f"{MODEL}/4"]] == ["model.json", "rows.bin"]
        assert all("in the blob store" in problem for problem in found[f"{MODEL}/4"])
        with pytest.raises(DamagedFile):
            library.load(f"{MODEL}@champion")
        library.rollback(MODEL, reason="its files were not in the backup")
        assert library.load(f"{MODEL}@champion") == {"work": "before-3"}


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_what_was_collected_between_documents_and_blobs_is_named(filled: Place, tmp_path: Path) -> None:
    target = elsewhere(filled, tmp_path)
    with filled.open() as library:
        library.retire(f"{MODEL}/1")
    dump = dump_documents(filled, tmp_path)
    with replace(filled, clock=works.FastClock()).open() as collector:
        collector.collect(MODEL, delete=True)
    copy_blobs(filled.blobs, target.blobs, tmp_path)
    restore_documents(dump, target.documents)

    with target.open() as library:
        assert list(damaged(library)) == [f"{MODEL}/1"]
        assert library.load(f"{MODEL}@champion") == {"work": "before-3"}


@pytest.mark.parametrize("place", STORES, indirect=True)
def test_a_blob_that_the_backup_has_changed_is_named(filled: Place, tmp_path: Path) -> None:
    target = elsewhere(filled, tmp_path)
    restore_documents(dump_documents(filled, tmp_path), target.documents)
    copy_blobs(filled.blobs, target.blobs, tmp_path)
    (tmp_path / "other").write_bytes(b'{"work": "before-9"}')
    with target.open() as library:
        blobs = library.resources.blobs
        (key,) = [blob.key for blob in blobs.list(f"models/{MODEL}/") if blob.key.endswith("/2/model.json")]
        blobs.delete(key)
        blobs.put(key, tmp_path / "other")

        found = damaged(library)

        assert list(found) == [f"{MODEL}/2"]
        (problem,) = found[f"{MODEL}/2"]
        assert problem.startswith("model.json: its SHA-256 is")


@pytest.mark.parametrize("place", on("mongo+minio"), indirect=True)
def test_a_journal_that_is_newer_than_the_versions_is_named(filled: Place, tmp_path: Path) -> None:
    target = elsewhere(filled, tmp_path)
    dump_mongo(filled.documents, tmp_path / "dump", ["versions"])
    works.publish(filled, "too late")
    works.promote(filled, 4, "token-4")
    dump = dump_mongo(filled.documents, tmp_path / "dump", [name for name in ORDER if name != "versions"])
    copy_blobs(filled.blobs, target.blobs, tmp_path)
    restore_mongo(dump, target.documents)

    with target.open() as library:
        found = damaged(library)
        assert list(found) == [f"{MODEL}: journal"]
        assert found[f"{MODEL}: journal"][0].startswith("alias 'champion' can reach version 4")
        library.rollback(MODEL)
        assert library.load(f"{MODEL}@champion") == {"work": "before-3"}
        assert works.publish(target, "after the restore").number == 5
