"""SIGKILL in a collector between every two steps: the next pass finishes, and nothing that is wanted is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_exia.model_library.records import State
from tests.faults import works
from tests.faults.test_crash_points import COLLECT, blobs_of, killed, passages
from tests.faults.works import MODEL, check_stores, library_in, publish


def leave_garbage(folder: Path) -> None:
    """Version 1 is live, version 2 retired, version 3 was never finished, and one more put was killed half-way."""
    for work in ("live", "retired"):
        publish(folder, work)
    assert killed("publish.blobs-verified", works.publish, folder, "given up")
    assert killed("blob.temporary-written", works.publish, folder, "half-way")
    with library_in(folder) as library:
        library.promote(f"{MODEL}/1")
        library.retire(f"{MODEL}/2")


@pytest.mark.parametrize("point", passages(COLLECT))
def test_a_collector_that_was_killed_is_finished_by_the_next_pass(tmp_path: Path, point: str) -> None:
    leave_garbage(tmp_path)
    assert killed(point, works.collect, tmp_path)
    with library_in(tmp_path) as library:
        check_stores(library)

    works.collect(tmp_path)

    with library_in(tmp_path) as library:
        states = {version.number: version.state for version in library.versions(MODEL)}
        assert states == {1: State.READY, 2: State.COLLECTED, 3: State.ABANDONED, 4: State.ABANDONED}
        live = library.resolve(f"{MODEL}@champion")
        assert {key.split("/")[2] for key in blobs_of(library)} == {live.publication}
        check_stores(library)
    assert works.collect(tmp_path) == 0
    assert publish(tmp_path, "given up").number == 5
