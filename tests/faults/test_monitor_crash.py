"""SIGKILL inside an evaluation: the next one ends with the same journal, one rollback and one episode."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import airflow_provider_exia
from airflow_provider_exia.model_library.exceptions import AliasMoved, NothingToRollBackTo
from airflow_provider_exia.model_library.records import Action
from airflow_provider_exia.monitoring.evaluation import AliasPosition, Evaluation, Evaluator, RollbackOutcome, RunState
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.points import PointLog
from airflow_provider_exia.monitoring.states import MonitorState
from tests.faults.checking import check
from tests.faults.places import embedded
from tests.faults.works import MODEL, publish
from tests.processes import exit_code
from tests.unit.monitoring.world import MONITOR, START, point_of, policy_of, weeks

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.entries import MonitorEntry

POLICY = policy_of(cooldown="0s")
POINTS = ("monitor.decided", "monitor.entry-written", "monitor.rolled-back")


class Surroundings:
    """A real library, and an Airflow without any run."""

    def __init__(self, library: ModelLibrary) -> None:
        self._library = library

    def position(self) -> AliasPosition:
        alias = self._library.alias(MODEL)
        move = self._library.entry(MODEL, alias.since)
        return AliasPosition(
            since=alias.since, promoted=move.action is Action.PROMOTE, stack=alias.stack, reason=move.reason
        )

    def run_state(self, run_id: str) -> RunState:  # there is none
        return RunState.ABSENT

    def roll_back(self, *, expected: int, token: str, reason: str) -> tuple[RollbackOutcome, int]:
        try:
            entry = self._library.rollback(MODEL, expected=expected, token=token, reason=reason)
        except AliasMoved:
            return RollbackOutcome.MOVED, 0
        except NothingToRollBackTo:
            return RollbackOutcome.NOTHING_OLDER, 0
        return RollbackOutcome.DONE, entry.sequence


def journal_of(library: ModelLibrary) -> MonitorJournal:
    resources = library.resources
    stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
    return MonitorJournal(stores, MODEL, MONITOR)


def evaluate(folder: Path, week: int) -> Evaluation:
    """Evaluate as a task does, in a process of its own where a test kills it."""
    with embedded(folder).open() as library:
        return Evaluator(
            journal=journal_of(library),
            points=PointLog(library.resources.documents),
            policy=POLICY,
            surroundings=Surroundings(library),
            event_time=weeks(week),
            by="task",
        ).run()


def measure(folder: Path, week: int, live: int, value: float, previous: float | None = None) -> None:
    with embedded(folder).open() as library:
        points = PointLog(library.resources.documents)
        points.record(point_of(value, weeks(week), version=live))
        if previous is not None:
            points.record(point_of(previous, weeks(week), version=live - 1))


def before_an_opening(folder: Path) -> None:
    """Let the next evaluation, of week 2, open an episode."""
    publish(embedded(folder), "work-1")
    with embedded(folder).open() as library:
        library.promote(f"{MODEL}/1")
    measure(folder, 1, 1, 0.3)
    evaluate(folder, 1)
    measure(folder, 2, 1, 0.3)


def before_a_breach(folder: Path) -> None:
    """Let the next evaluation, of week 2, take version 2 back and say that version 1 is healthy."""
    for number in (1, 2):
        publish(embedded(folder), f"work-{number}")
    with embedded(folder).open() as library:
        library.promote(f"{MODEL}/1")
    evaluate(folder, 0)
    with embedded(folder).open() as library:
        library.promote(f"{MODEL}/2", reason="better")
    measure(folder, 1, 2, 0.5, 0.1)
    evaluate(folder, 1)
    measure(folder, 2, 2, 0.5, 0.1)


STORIES = {"an opening": before_an_opening, "a breach": before_a_breach}
# How often the evaluation of week 2 passes each point.
PASSAGES = {
    "an opening": {"monitor.decided": 1, "monitor.entry-written": 1},
    "a breach": {"monitor.decided": 2, "monitor.entry-written": 2, "monitor.rolled-back": 1},
}
TRIALS = [
    (story, f"{point}:{passage}")
    for story, points in PASSAGES.items()
    for point, count in points.items()
    for passage in range(1, count + 1)
]


def told(folder: Path) -> list[MonitorEntry]:
    """Return the journal without what two runs of one story may differ in."""
    with embedded(folder).open() as library:
        history = journal_of(library).history()
    return [replace(entry, at=START, state_since=START) for entry in history]


def moves(folder: Path) -> list[str]:
    check(embedded(folder))
    with embedded(folder).open() as library:
        return [entry.action.value for entry in library.history(MODEL)]


def test_every_crash_point_of_monitoring_has_its_trial() -> None:
    package = Path(airflow_provider_exia.__file__).parent / "monitoring"
    points = {
        name for path in package.rglob("*.py") for name in re.findall(r'crash_point\("([^"]+)"\)', path.read_text())
    }

    assert points == {name for counts in PASSAGES.values() for name in counts} == set(POINTS)


@pytest.mark.parametrize(("story", "point"), TRIALS)
def test_an_evaluation_that_was_killed_is_finished_by_the_next_one(tmp_path: Path, story: str, point: str) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
        STORIES[story](folder)
    expected = evaluate(undisturbed, 2)

    ended = exit_code(evaluate, disturbed, 2, environment={"EXIA_CRASH_POINT": point})
    finished = evaluate(disturbed, 2)

    assert ended == -signal.SIGKILL
    assert told(disturbed) == told(undisturbed)
    assert moves(disturbed) == moves(undisturbed)
    assert moves(disturbed).count("rollback") == (story == "a breach")
    assert finished.open_work == expected.open_work
    assert (finished.open_work is not None) == (story == "an opening")


def test_the_trials_reach_every_passage_and_there_is_no_further_one(tmp_path: Path) -> None:
    for story, points in PASSAGES.items():
        for name, count in points.items():
            folder = tmp_path / f"{story} {name}".replace(" ", "-")
            folder.mkdir()
            STORIES[story](folder)
            point = f"{name}:{count + 1}"
            assert exit_code(evaluate, folder, 2, environment={"EXIA_CRASH_POINT": point}) == 0


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.full)])
def test_an_evaluation_killed_again_and_again_opens_one_episode(tmp_path: Path, rounds: int) -> None:
    before_an_opening(tmp_path)

    for number in range(rounds):
        point = POINTS[number % 2]
        assert exit_code(evaluate, tmp_path, 2, environment={"EXIA_CRASH_POINT": f"{point}:1"}) in (0, -signal.SIGKILL)
    evaluation = evaluate(tmp_path, 2)

    assert evaluation.entry.state is MonitorState.DEGRADED
    assert evaluation.entry.episode == 1
    assert [entry.state.value for entry in told(tmp_path)] == ["DEGRADED", "SUSPECT", "HEALTHY"]
