"""Garbage collection beside those who publish, promote and retire: it deletes, and takes nothing that is wanted."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.exceptions import VersionCollected, VersionIsLive, VersionRetired
from airflow_provider_exia.model_library.records import JournalEntry, Version
from tests.faults import works
from tests.faults.checking import Checker, check
from tests.faults.places import EMBEDDED, Place, trial
from tests.faults.works import MODEL, FastClock, publish, source_files
from tests.processes import all_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_exia.model_library.library import ModelLibrary


PAIRS = (EMBEDDED, "mongo+minio")
WRITERS = 4


@dataclass
class Done:
    """What one process did: what was acknowledged, and what it gave up itself."""

    acknowledged: list[Version | JournalEntry] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    deleted: int = 0


def write_for(place: Place, seconds: float, index: int) -> Done:
    """Publish, promote the newest, retire the one before, load what is live: as often as there is time for."""
    done, end, number, live = Done(), time.monotonic() + seconds, 0, None
    alias = f"alias_{index}"
    while time.monotonic() < end:
        work = f"writer-{index}-{number}"
        with place.open() as library:
            version = library.publish(MODEL, source_files(place.folder, work), format="json", work=work)
            done.acknowledged += [version, library.promote(version.reference, alias=alias)]
            if live is not None:
                done.acknowledged.append(library.retire(live.reference))
                done.retired.append(live.number)
            assert library.load(f"{MODEL}@{alias}") == {"work": work}
        live, number = version, number + 1
    return done


def collect_for(place: Place, seconds: float) -> Done:
    """Make one pass after the other, 100 hours apart: for each, whatever is under way was left long ago."""
    done, end, passes = Done(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        passes += 1
        done.deleted += works.collect(place, passes)
    return done


@pytest.mark.parametrize(
    ("place", "seconds"),
    [trial(pair, seconds, short=short) for seconds, short in ((5, True), (60, False)) for pair in PAIRS],
    indirect=["place"],
)
def test_a_collector_beside_4_writers_takes_nothing_that_is_wanted(place: Place, seconds: float) -> None:
    publish(place, "first")

    writing = [(write_for, (place, seconds, index)) for index in range(WRITERS)]
    told: list[Done] = all_at_once([*writing, (collect_for, (place, seconds))])

    checker = Checker(place)
    checker.acknowledge(*(what for done in told for what in done.acknowledged))
    view = checker.check()
    published = {what.number for done in told for what in done.acknowledged if hasattr(what, "publication")}
    retired = {number for done in told for number in done.retired}
    assert published - retired <= set(view.ready)
    assert sum(done.deleted for done in told) > 0
    assert all(done.acknowledged for done in told[:WRITERS])


def promoting(library: ModelLibrary, reference: str) -> str:
    try:
        library.promote(reference)
    except (VersionRetired, VersionCollected):
        return "refused"
    return "done"


def retiring(library: ModelLibrary, reference: str) -> str:
    try:
        library.retire(reference)
    except VersionIsLive:
        return "refused"
    return "done"


def collecting(library: ModelLibrary, _reference: str) -> str:
    return "deleted" if library.collect(MODEL, delete=True).deleted else "nothing to delete"


@pytest.mark.parametrize(
    ("place", "rounds"),
    # Two hundred in four libraries: a pass reads every entry there is.
    [trial(pair, rounds, short=rounds == 20) for pair in PAIRS for rounds in (20, 50, 50, 50, 50)],
    indirect=["place"],
)
def test_a_promotion_beside_a_retirement_and_a_collector_never_leaves_an_alias_without_its_bytes(
    place: Place, rounds: int
) -> None:
    first = publish(place, "work-0")
    together, deleted = threading.Barrier(3), 0

    def race(act: Callable[[ModelLibrary, str], str], library: ModelLibrary, reference: str) -> str:
        together.wait(60)
        return act(library, reference)

    with (
        place.open() as mine,
        place.open() as theirs,
        place.open() as ahead,
        ThreadPoolExecutor(3) as threads,
    ):
        mine.promote(first.reference)
        for number in range(1, rounds + 1):
            work = f"work-{number}"
            version = mine.publish(MODEL, source_files(place.folder, work), format="json", work=work)
            ahead.resources = replace(ahead.resources, clock=FastClock(number))
            actors = deque([(promoting, mine), (retiring, theirs), (collecting, ahead)])
            actors.rotate(number)  # who comes last to the barrier goes on first: each has its turn
            acts = [act for act, _ in actors]
            told = dict(zip(acts, threads.map(race, *zip(*actors, strict=True), [version.reference] * 3), strict=True))
            promoted, retired, collected = told[promoting], told[retiring], told[collecting]

            assert sorted((promoted, retired)) == ["done", "refused"]
            loaded, live = mine.load_version(f"{MODEL}@champion")
            assert loaded == {"work": live.work}
            assert (live.number == version.number) == (promoted == "done")
            deleted += collected == "deleted"
    check(place)
    assert deleted > 0
