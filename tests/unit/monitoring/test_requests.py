"""What a person may ask: in which states, with which reason, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.entries import MonitorEntry
from airflow_provider_exia.monitoring.requests import RequestRefused, resume, retrain_now, stop
from airflow_provider_exia.monitoring.states import RETRAIN_NOW, MonitorState
from airflow_provider_exia.storage.documents import WriteUnknown
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.unit.monitoring.replies import LostReplies
from tests.unit.monitoring.world import START, World, entry_of, evidence_of, weeks

HEALTHY, SUSPECT, DEGRADED, RETRAINING, ENDED, CANDIDATE, ROLLED_BACK, HALTED = MonitorState
ASKED = {"by": "ann", "reason": "because"}
Ask = Callable[..., MonitorEntry]


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    store = SqlDocuments(f"sqlite:///{tmp_path}/library.db")
    yield store
    store.close()


@pytest.fixture
def world(documents: SqlDocuments) -> World:
    return World(documents)


def at(world: World, state: MonitorState, **values: object) -> MonitorEntry:
    """Put the monitor into a state."""
    return world.journal.write(entry_of(state, event_time=weeks(3), heard_at=weeks(3), **values))


@pytest.mark.parametrize("state", MonitorState)
def test_retrain_now_opens_an_episode_where_none_is_open_and_nothing_is_watched(
    world: World, state: MonitorState
) -> None:
    before = at(world, state, episode=4, recent_actions=(START,))

    if state not in RETRAIN_NOW:
        with pytest.raises(RequestRefused, match=f"monitor 'watch' of 'delay' is {state}: a training run can be asked"):
            retrain_now(world.journal, **ASKED)
        assert world.newest == before
        return
    opened = retrain_now(world.journal, **ASKED)

    assert (opened.state, opened.episode, opened.action) == (DEGRADED, 5, "retrain asked")
    assert (opened.by, opened.reason, opened.event_time) == ("ann", "because", weeks(3))
    assert (opened.last_action_at, opened.recent_actions) == (weeks(3), (START, weeks(3)))


@pytest.mark.parametrize("state", MonitorState)
def test_stop_halts_from_every_state_and_keeps_what_was_heard(world: World, state: MonitorState) -> None:
    at(world, state, evidence=evidence_of(0.1, 0.2))

    if state is HALTED:
        with pytest.raises(RequestRefused, match="is halted already: 'exia monitor resume delay' resumes it"):
            stop(world.journal, **ASKED)
        return
    halted = stop(world.journal, **ASKED)

    assert (halted.state, halted.action, halted.by, halted.reason) == (HALTED, "stopped", "ann", "because")
    assert halted.evidence == evidence_of(0.1, 0.2)


@pytest.mark.parametrize("state", [state for state in MonitorState if state is not HALTED])
def test_only_a_halted_monitor_can_be_resumed(world: World, state: MonitorState) -> None:
    before = at(world, state)

    with pytest.raises(RequestRefused, match=f"is {state}, not halted: there is nothing to resume"):
        resume(world.journal, **ASKED)

    assert world.newest == before


def test_resume_forgives_and_begins_with_new_evidence(world: World) -> None:
    at(world, HALTED, rejections=3, recent_actions=(START,), evidence=evidence_of(0.9, 0.9), episode=2)

    resumed = resume(world.journal, **ASKED)

    assert (resumed.state, resumed.action, resumed.episode) == (HEALTHY, "resumed", 2)
    assert (resumed.rejections, resumed.recent_actions, resumed.evidence) == (0, (), ())
    assert resumed.event_time == weeks(3) < (resumed.counts_from or START)


def test_resume_goes_on_with_a_bake_that_nothing_has_concluded(world: World) -> None:
    at(world, HALTED, bake_since=weeks(2), counts_from=weeks(2), evidence=evidence_of(0.9, previous=0.1))

    resumed = resume(world.journal, **ASKED)

    assert (resumed.state, resumed.bake_since, resumed.counts_from) == (CANDIDATE, weeks(2), weeks(2))
    assert resumed.evidence == evidence_of(0.9, previous=0.1)


def test_a_bake_whose_time_was_over_before_the_stop_is_ended_by_the_next_evaluation(world: World) -> None:
    world.evaluate(START)
    world.promote(2)
    world.hear(weeks(1), 0.1, previous=0.1)
    stop(world.journal, **ASKED)
    world.hear(weeks(9), 0.1, previous=0.1)

    assert resume(world.journal, **ASKED).state is CANDIDATE
    assert world.evaluate(weeks(9)).entry.state is HEALTHY


@pytest.mark.parametrize("ask", [retrain_now, stop, resume])
@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_nobody_asks_without_saying_why(world: World, ask: Ask, reason: str) -> None:
    at(world, HALTED if ask is resume else HEALTHY)

    with pytest.raises(InvalidInput, match="say why, the reason is kept in the journal"):
        ask(world.journal, by="ann", reason=reason)

    assert len(world.journal.history()) == 1


@pytest.mark.parametrize("ask", [retrain_now, stop, resume])
def test_a_monitor_without_an_entry_can_be_asked_nothing(world: World, ask: Ask) -> None:
    with pytest.raises(RequestRefused, match="has no entry yet: its first evaluation makes it"):
        ask(world.journal, **ASKED)


@pytest.mark.parametrize("as_conflict", [False, True])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("ask", [retrain_now, stop, resume])
def test_a_lost_reply_ends_in_one_entry_and_no_false_refusal(
    world: World, documents: SqlDocuments, ask: Ask, done: bool, as_conflict: bool
) -> None:
    before = at(world, HALTED if ask is resume else HEALTHY)
    torn = World(LostReplies(documents, [(1, done)], as_conflict=as_conflict))

    asked = ask(torn.journal, **ASKED)

    assert [entry.sequence for entry in world.journal.history()] == [2, 1]
    assert world.newest == asked
    assert asked.state is not before.state


def test_a_request_that_lost_its_place_is_made_again_on_what_stands_now(world: World, documents: SqlDocuments) -> None:
    at(world, HEALTHY)

    class Overtaken(LostReplies):
        def insert(self, collection: object, document: object) -> None:
            if self.inserts == 0:
                world.hear(weeks(4), 0.3)  # an evaluation writes first
            super().insert(collection, document)

    asked = stop(World(Overtaken(documents, [])).journal, **ASKED)

    assert [entry.state for entry in world.journal.history()] == [HALTED, SUSPECT, HEALTHY]
    assert asked.evidence == world.journal.history()[1].evidence


def test_a_store_that_never_answers_is_said_to_be_so(world: World, documents: SqlDocuments) -> None:
    at(world, HEALTHY)
    torn = World(LostReplies(documents, [(number, False) for number in range(1, 1000)]))

    with pytest.raises(WriteUnknown):
        stop(torn.journal, **ASKED)


def test_the_same_words_of_two_persons_are_two_requests(world: World) -> None:
    first = at(world, HEALTHY)
    mine = world.journal.prepare(first, replace(first, state=HALTED), by="ann")

    stop(world.journal, **ASKED)

    assert not world.journal.is_written(mine)
    with pytest.raises(RequestRefused):
        stop(world.journal, **ASKED)
