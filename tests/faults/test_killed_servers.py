"""kill -9 of a server beneath 8 writers: it comes back, they go on, and nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.checking import Checker
from tests.faults.places import Place
from tests.faults.works import MODEL, source_files
from tests.servers.server import BlobServer, DocumentServer
from tests.servers.session import private

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import Version

WRITERS = 8


class Writers:
    """Threads, each with a library of its own, that publish one version after the other."""

    def __init__(self, place: Place, each: int) -> None:
        self._place, self._each = place, each
        self._changed = threading.Condition()
        self.acknowledged: list[Version] = []

    def write(self, index: int) -> None:
        """Publish versions and remember those that were acknowledged."""
        with self._place.open() as library:
            for number in range(self._each):
                work = f"writer-{index}-{number}"
                version = library.publish(MODEL, source_files(self._place.folder, work), format="json", work=work)
                with self._changed:
                    self.acknowledged.append(version)
                    self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when so many versions were acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= count, timeout=120)


@pytest.mark.servers("mongo", "minio")
@pytest.mark.parametrize("killed", ["mongo", "minio"])
@pytest.mark.parametrize(("each", "kills"), [(4, 1), pytest.param(40, 5, marks=pytest.mark.full)])
def test_writers_outlive_kill_9_of_a_server(tmp_path: Path, killed: str, each: int, kills: int) -> None:
    with ExitStack() as stack:
        servers = {key: stack.enter_context(private(key)) for key in ("mongo", "minio")}
        documents, blobs = servers["mongo"], servers["minio"]
        assert isinstance(documents, DocumentServer)
        assert isinstance(blobs, BlobServer)
        place = Place(folder=tmp_path, documents=documents.fresh_documents_url(), blobs=blobs.fresh_blobs_url())
        writers = Writers(place, each)
        with ThreadPoolExecutor(WRITERS) as threads:
            running = [threads.submit(writers.write, index) for index in range(WRITERS)]
            for number in range(1, kills + 1):
                writers.wait_for(number * each * WRITERS // (kills + 1))
                servers[killed].kill()
                servers[killed].start()
            for writer in running:
                writer.result()
        checker = Checker(place)
        checker.acknowledge(*writers.acknowledged)
        assert len(checker.check().ready) == len(writers.acknowledged) == WRITERS * each
