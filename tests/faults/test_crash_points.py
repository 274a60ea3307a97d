"""SIGKILL between every two steps: a repetition of the same work ends as if nothing had happened, and nothing twice."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_exia
from airflow_provider_exia.model_library.exceptions import AliasMoved
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import Action, State
from tests.faults import works
from tests.faults.checking import Checker, check
from tests.faults.places import EMBEDDED, PAIRS, PART_BYTES, SERVERS, Place, embedded, on, trial
from tests.faults.works import MODEL, publish
from tests.processes import exit_code, exit_codes

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

# How often an operation passes each point: a version of two files, two writes to its document and one to a counter.
PUBLISH = {
    "publish.number-taken": 1,
    "publish.pending-written": 1,
    "blob.temporary-written": 2,
    "blob.renamed": 2,
    "publish.blob-written": 2,
    "publish.blobs-verified": 1,
    "publish.ready-written": 1,
    "documents.statement-done": 3,
}
APPEND = {"journal.decided": 1, "documents.statement-done": 1, "journal.entry-written": 1}
# Tried in test_collecting.
COLLECT = {
    "collect.abandoned": 2,
    "collect.entry-written": 1,
    "collect.document-collected": 1,
    "collect.blob-deleted": 4,
    "collect.upload-aborted": 1,
}
# On an S3 server a blob is whole once it is there; only a file of several parts has an instant before.
PUBLISH_ON_SERVERS = {name: count for name, count in PUBLISH.items() if name != "blob.renamed"} | {
    "blob.temporary-written": 1
}
KILLS = 40


def publish_points(pair: str) -> dict[str, int]:
    return PUBLISH if pair == EMBEDDED else PUBLISH_ON_SERVERS


def passages(points: Mapping[str, int]) -> list[str]:
    return [f"{name}:{passage}" for name, count in points.items() for passage in range(1, count + 1)]


def size_at(place: Place, point: str) -> int:
    """Return the size of a file with which a publication reaches a point."""
    return PART_BYTES + 4096 if "temporary" in point and not place.embedded else 0


def trials(points: Callable[[str], Mapping[str, int]], pairs: Sequence[str]) -> list[object]:
    """Return pair, point and number of kills: in a full run each point as often as it is counted.

    In a short run each passage once, of which there is one for each point on the first servers, and none on the others.
    """
    found = []
    for pair in pairs:
        for name, count in points(pair).items():
            for passage in range(1, count + 1):
                if pair == EMBEDDED or (pair == SERVERS[0] and passage == count):
                    found.append(trial(pair, f"{name}:{passage}", 1))
                found.append(trial(pair, f"{name}:{passage}", -(-KILLS // count), short=False))
    return found


def killed(point: str, work: Callable[..., object], *arguments: object) -> bool:
    """Run a work with a crash point armed; say whether the point was reached."""
    ended = exit_code(work, *arguments, environment={"EXIA_CRASH_POINT": point})
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


def test_every_crash_point_of_storage_and_library_has_its_trial() -> None:
    package = Path(airflow_provider_exia.__file__).parent
    sources = [path for room in ("storage", "model_library") for path in (package / room).rglob("*.py")]
    points = {name for path in sources for name in re.findall(r'crash_point\("([^"]+)"\)', path.read_text())}

    assert points == {*PUBLISH, *APPEND, *COLLECT}


@pytest.mark.parametrize("place", on(*PAIRS), indirect=True)
def test_the_trials_reach_every_passage_and_there_is_no_further_one(place: Place) -> None:
    publish(place, "first")

    points = publish_points(EMBEDDED if place.embedded else "servers")
    for name, count in points.items():
        assert not killed(f"{name}:{count + 1}", works.publish, place, name, size_at(place, name))
    for name, count in APPEND.items():
        assert not killed(f"{name}:{count + 1}", works.promote, place, 1, name)


@pytest.mark.parametrize(("place", "point", "kills"), trials(publish_points, PAIRS), indirect=["place"])
def test_a_publication_that_was_killed_is_one_ready_version_after_a_repetition(
    place: Place, point: str, kills: int
) -> None:
    checker, size = Checker(place), size_at(place, point)
    for number in range(kills):
        work = f"work-{number}"
        assert killed(point, works.publish, place, work, size)

        version = publish(place, work, size)

        checker.acknowledge(version)
        assert version.state is State.READY
        assert publish(place, work, size) == version
        with place.open() as library:
            assert [found for found in library.versions(MODEL) if found.work == work] == [version]
            assert library.load(version.reference) == {"work": work}
            assert blobs_of(library) == {
                blob_key("models", found, file.path) for found in library.versions(MODEL) for file in found.files
            }
    assert len(checker.check().ready) == kills


def blobs_of(library: ModelLibrary) -> set[str]:
    return {info.key for info in library.resources.blobs.list("models/")}


@pytest.mark.parametrize("place", on(*PAIRS), indirect=True)
def test_a_work_that_is_killed_at_every_step_in_turn_is_finished_by_the_next_run(place: Place) -> None:
    points = publish_points(EMBEDDED if place.embedded else "servers")
    size = size_at(place, "blob.temporary-written")
    reached = [point for point in passages(points) if killed(point, works.publish, place, "work", size)]

    version = publish(place, "work", size)

    # What an earlier run has done is not done again, so later runs pass fewer points.
    assert len(reached) >= (8 if place.embedded else 6), reached
    assert len(check(place, version).versions) == 1


@pytest.mark.parametrize("place", on(*PAIRS), indirect=True)
def test_what_was_killed_before_it_was_ready_is_not_served(place: Place) -> None:
    assert killed("publish.blobs-verified", works.publish, place, "work")

    with place.open() as library:
        assert [version.state for version in library.versions(MODEL)] == [State.PENDING]
        assert library.find_ready(MODEL, "work") is None


MOVES = {
    "promote": (works.promote, 3),
    "rollback": (works.rollback,),
    "retire": (works.retire, 1),
}


def moves() -> list[object]:
    """Return pair, point, move and number of kills; three moves share the kills of a point on a server."""
    found = []
    for pair in PAIRS:
        full = KILLS if pair == EMBEDDED else -(-KILLS // len(MOVES))
        for point in passages(APPEND):
            found += [trial(pair, point, move, 1) for move in MOVES if pair == EMBEDDED]
            found += [trial(pair, point, move, full, short=False) for move in MOVES]
    return found


@pytest.mark.parametrize(("place", "point", "move", "kills"), moves(), indirect=["place"])
def test_a_move_that_was_killed_is_made_once_after_a_repetition(
    place: Place, point: str, move: str, kills: int
) -> None:
    checker = Checker(place)
    checker.acknowledge(*(publish(place, f"work-{number}") for number in (1, 2, 3)))
    work, *arguments = MOVES[move]
    for number in range(kills):
        with place.open() as library:
            library.promote(f"{MODEL}/1", token=f"{number} first")
            library.promote(f"{MODEL}/2", token=f"{number} second")
        token = f"{number} {move}"
        assert killed(point, work, place, *arguments, token)

        entry = work(place, *arguments, token)

        checker.acknowledge(entry)
        assert work(place, *arguments, token) == entry
        with place.open() as library:
            made = [found for found in library.history(MODEL) if found.token == token]
            assert [(found.sequence, found.action) for found in made] == [(entry.sequence, Action(move))]
            if move == "retire":
                library.restore(f"{MODEL}/1", token=f"{number} restore")
    checker.check()


@pytest.mark.parametrize("point", passages(APPEND))
def test_a_killed_move_that_somebody_overtook_is_its_own_entry_or_is_told_who_won(tmp_path: Path, point: str) -> None:
    place = embedded(tmp_path)
    for number in (1, 2):
        publish(place, f"work-{number}")
    assert killed(point, works.promote, place, 1, "mine", 0)
    with place.open() as library:
        written = [entry.token for entry in library.history(MODEL)] == ["mine"]
        winner = library.promote(f"{MODEL}/2", token="theirs")

    if written:
        assert works.promote(place, 1, "mine", 0).sequence == 1
    else:
        with pytest.raises(AliasMoved) as refused:
            works.promote(place, 1, "mine", 0)
        assert refused.value.winner == winner

    assert written == (point == "journal.entry-written:1")
    with place.open() as library:
        assert library.resolve(f"{MODEL}@champion").number == 2
    check(place, winner)


SEEDS = [(seed, EMBEDDED, seed < 3) for seed in range(43)] + [
    (seed, pair, seed < 1) for pair in SERVERS for seed in range(5)
]


@pytest.mark.parametrize(
    ("place", "seed"), [trial(pair, seed, short=short) for seed, pair, short in SEEDS], indirect=["place"]
)
def test_tasks_and_their_zombies_killed_at_random_steps_leave_one_version_and_one_move(place: Place, seed: int) -> None:
    choose = random.Random(seed)
    points = passages({**PUBLISH, **APPEND, "documents.statement-done": 4})
    publish(place, "first")

    ended: list[int | None] = []
    while not ended or 0 not in ended:
        armed = [{"EXIA_CRASH_POINT": choose.choice(points)} for _ in range(4)]
        ended = exit_codes([(environment, works.publish_and_promote, (place, "work")) for environment in armed])
        assert set(ended) <= {0, -signal.SIGKILL}
    entry = works.publish_and_promote(place, "work")

    with place.open() as library:
        ready = [version for version in library.versions(MODEL) if version.work == "work"]
        assert [version.state for version in ready] == [State.READY]
        assert [entry.version for entry in library.history(MODEL)] == [ready[0].number]
        assert library.load(f"{MODEL}@champion") == {"work": "work"}
    check(place, *ready, entry)
