"""SIGKILL in a collector between every two steps: the next pass finishes, and nothing that is wanted is gone."""

from __future__ import annotations

import pytest

from airflow_provider_exia.model_library.records import State
from tests.faults import works
from tests.faults.checking import Checker
from tests.faults.places import PAIRS, PART_BYTES, Place
from tests.faults.test_crash_points import COLLECT, blobs_of, killed, trials
from tests.faults.works import MODEL, publish


def leave_garbage(place: Place, number: int) -> None:
    """Of each round's versions one is live, one is retired, one was never finished, and one put was killed half-way."""
    first = publish(place, f"live-{number}")
    second = publish(place, f"retired-{number}")
    assert killed("publish.blobs-verified", works.publish, place, f"given-up-{number}")
    size = 0 if place.embedded else PART_BYTES + 4096
    assert killed("blob.temporary-written", works.publish, place, f"half-way-{number}", size)
    with place.open() as library:
        library.promote(first.reference)
        library.retire(second.reference)


@pytest.mark.parametrize(("place", "point", "kills"), trials(lambda _pair: COLLECT, PAIRS), indirect=["place"])
def test_a_collector_that_was_killed_is_finished_by_the_next_pass(place: Place, point: str, kills: int) -> None:
    checker = Checker(place)
    for number in range(kills):
        leave_garbage(place, number)
        checker.check()
        assert killed(point, works.collect, place, number + 1)
        checker.check()

        works.collect(place, number + 1)

        view = checker.check()
        states = [version["state"] for version in view.versions[-4:]]
        assert states == [State.READY, State.COLLECTED, State.ABANDONED, State.ABANDONED]
        with place.open() as library:
            live = {version.publication for version in library.versions(MODEL) if version.state is State.READY}
            assert {key.split("/")[2] for key in blobs_of(library)} == live
        assert works.collect(place, number + 1) == 0
    assert publish(place, "given-up-0").number == 4 * kills + 1
