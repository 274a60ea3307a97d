"""SIGKILL between every two steps: a repetition of the same work ends as if nothing had happened, and nothing twice."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_exia
from airflow_provider_exia.model_library.exceptions import AliasMoved
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import Action, State
from tests.faults import works
from tests.faults.works import MODEL, assert_blobs_match, check_stores, library_in, publish
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

ROUNDS = [1, pytest.param(40, marks=pytest.mark.full)]


def passages(points: dict[str, int]) -> list[str]:
    return [f"{name}:{passage}" for name, count in points.items() for passage in range(1, count + 1)]


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


@pytest.mark.parametrize("points", [PUBLISH, APPEND], ids=["publish", "append"])
def test_the_trials_reach_every_passage_and_there_is_no_further_one(points: dict[str, int], tmp_path: Path) -> None:
    publish(tmp_path, "first")

    for name, count in points.items():
        call = (works.publish, tmp_path, name) if points is PUBLISH else (works.promote, tmp_path, 1, name)
        assert not killed(f"{name}:{count + 1}", *call)


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("point", passages(PUBLISH))
def test_a_publication_that_was_killed_is_one_ready_version_after_a_repetition(
    tmp_path: Path, point: str, rounds: int
) -> None:
    for number in range(rounds):
        work = f"work-{number}"
        assert killed(point, works.publish, tmp_path, work)

        version = publish(tmp_path, work)

        with library_in(tmp_path) as library:
            of_this_work = [found for found in library.versions(MODEL) if found.work == work]
            assert of_this_work == [version]
            assert version.state is State.READY
            assert_blobs_match(library, version)
            assert blobs_of(library) == {
                blob_key("models", found, file.path) for found in library.versions(MODEL) for file in found.files
            }
            assert library.load(version.reference) == {"work": work}
            check_stores(library)
        assert publish(tmp_path, work) == version


def blobs_of(library: ModelLibrary) -> set[str]:
    return {info.key for info in library.resources.blobs.list("models/")}


def test_a_work_that_is_killed_at_every_step_in_turn_is_finished_by_the_next_run(tmp_path: Path) -> None:
    reached = [point for point in passages(PUBLISH) if killed(point, works.publish, tmp_path, "work")]

    version = publish(tmp_path, "work")

    assert len(reached) >= 8  # what an earlier run has done is not done again, so later runs pass fewer points
    with library_in(tmp_path) as library:
        assert library.versions(MODEL) == [version]
        check_stores(library)


def test_what_was_killed_before_it_was_ready_is_not_served(tmp_path: Path) -> None:
    assert killed("publish.blobs-verified", works.publish, tmp_path, "work")

    with library_in(tmp_path) as library:
        assert [version.state for version in library.versions(MODEL)] == [State.PENDING]
        assert library.find_ready(MODEL, "work") is None


MOVES = {
    "promote": (works.promote, 3),
    "rollback": (works.rollback,),
    "retire": (works.retire, 1),
}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("point", passages(APPEND))
@pytest.mark.parametrize("move", MOVES)
def test_a_move_that_was_killed_is_made_once_after_a_repetition(
    tmp_path: Path, move: str, point: str, rounds: int
) -> None:
    for number in (1, 2, 3):
        publish(tmp_path, f"work-{number}")
    work, *arguments = MOVES[move]
    for number in range(rounds):
        with library_in(tmp_path) as library:
            library.promote(f"{MODEL}/1", token=f"{number} first")
            library.promote(f"{MODEL}/2", token=f"{number} second")
        token = f"{number} {move}"
        assert killed(point, work, tmp_path, *arguments, token)

        sequence = work(tmp_path, *arguments, token)

        with library_in(tmp_path) as library:
            made = [entry for entry in library.history(MODEL) if entry.token == token]
            assert [(entry.sequence, entry.action) for entry in made] == [(sequence, Action(move))]
            if move == "retire":
                library.restore(f"{MODEL}/1", token=f"{number} restore")
            check_stores(library)
        assert work(tmp_path, *arguments, token) == sequence


@pytest.mark.parametrize("point", passages(APPEND))
def test_a_killed_move_that_somebody_overtook_is_its_own_entry_or_is_told_who_won(tmp_path: Path, point: str) -> None:
    for number in (1, 2):
        publish(tmp_path, f"work-{number}")
    assert killed(point, works.promote, tmp_path, 1, "mine", 0)
    with library_in(tmp_path) as library:
        written = [entry.token for entry in library.history(MODEL)] == ["mine"]
        winner = library.promote(f"{MODEL}/2", token="theirs")

    if written:
        assert works.promote(tmp_path, 1, "mine", 0) == 1
    else:
        with pytest.raises(AliasMoved) as refused:
            works.promote(tmp_path, 1, "mine", 0)
        assert refused.value.winner == winner

    assert written == (point == "journal.entry-written:1")
    with library_in(tmp_path) as library:
        assert library.resolve(f"{MODEL}@champion").number == 2
        check_stores(library)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(3, 43))])
def test_tasks_and_their_zombies_killed_at_random_steps_leave_one_version_and_one_move(
    tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)
    points = passages({**PUBLISH, **APPEND, "documents.statement-done": 4})
    publish(tmp_path, "first")

    ended: list[int | None] = []
    while not ended or 0 not in ended:
        armed = [{"EXIA_CRASH_POINT": choose.choice(points)} for _ in range(4)]
        ended = exit_codes([(environment, works.publish_and_promote, (tmp_path, "work")) for environment in armed])
        assert set(ended) <= {0, -signal.SIGKILL}
    works.publish_and_promote(tmp_path, "work")

    with library_in(tmp_path) as library:
        ready = [version for version in library.versions(MODEL) if version.work == "work"]
        assert [version.state for version in ready] == [State.READY]
        assert [entry.version for entry in library.history(MODEL)] == [ready[0].number]
        assert library.load(f"{MODEL}@champion") == {"work": "work"}
        check_stores(library)
