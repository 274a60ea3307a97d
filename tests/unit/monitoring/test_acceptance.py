"""The accept entry is the claim: one run per episode, found again by its own ticket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput, OutcomeUnknown
from airflow_provider_exia.monitoring.acceptance import EpisodeTaken, RetrainRequest, accept, read_request
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.unit.monitoring.replies import LostReplies
from tests.unit.monitoring.world import MONITOR, World, weeks

if TYPE_CHECKING:
    from airflow_provider_exia.storage.documents import DocumentStore


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    store = SqlDocuments(f"sqlite:///{tmp_path}/library.db")
    yield store
    store.close()


@pytest.fixture
def world(documents: SqlDocuments) -> World:
    """A monitor whose episode 1 waits for a run."""
    world = World(documents)
    world.hear(weeks(1), 0.3)
    world.hear(weeks(2), 0.3)
    assert world.newest.state is MonitorState.DEGRADED
    return world


def request(ticket: str = "mine", episode: int = 1) -> RetrainRequest:
    return RetrainRequest(monitor=MONITOR, episode=episode, ticket=ticket)


def test_an_open_episode_is_accepted_with_the_event_time_of_its_opening(world: World) -> None:
    accepted = accept(world.journal, request(), by="run")

    assert (accepted.state, accepted.episode, accepted.ticket) == (MonitorState.RETRAINING, 1, "mine")
    assert accepted.event_time == weeks(2)
    assert world.newest == accepted


def test_a_retry_finds_its_own_entry_and_writes_no_other(world: World) -> None:
    accepted = accept(world.journal, request(), by="run")

    assert accept(world.journal, request(), by="run") == accepted
    assert len(world.journal.history()) == accepted.sequence


def test_another_run_of_the_same_episode_is_refused(world: World) -> None:
    accept(world.journal, request("first"), by="run 1")

    with pytest.raises(EpisodeTaken) as refused:
        accept(world.journal, request("second"), by="run 2")

    assert str(refused.value) == (
        "episode 1 of monitor 'watch' of 'delay' is not open for this run: the monitor stands at episode 1, RETRAINING"
    )


@pytest.mark.parametrize("episode", [0, 2])
def test_another_episode_is_refused(world: World, episode: int) -> None:
    with pytest.raises(EpisodeTaken, match="stands at episode 1, DEGRADED"):
        accept(world.journal, request(episode=episode), by="run")


@pytest.mark.parametrize("state", sorted(set(MonitorState) - {MonitorState.DEGRADED, MonitorState.RETRAINING}))
def test_an_episode_that_is_over_is_refused_also_to_the_run_that_had_it(world: World, state: MonitorState) -> None:
    accepted = accept(world.journal, request(), by="run")
    world.journal.write(replace(accepted, sequence=accepted.sequence + 1, state=state, revision=0))

    with pytest.raises(EpisodeTaken, match=f"stands at episode 1, {state}"):
        accept(world.journal, request(), by="run")


def test_a_monitor_that_was_never_evaluated_has_no_episode(documents: SqlDocuments) -> None:
    with pytest.raises(EpisodeTaken, match="the monitor has no entry"):
        accept(World(documents).journal, request(), by="run")


@pytest.mark.parametrize("as_conflict", [False, True])
@pytest.mark.parametrize("done", [True, False])
def test_a_lost_reply_ends_in_one_accept_entry(
    world: World, documents: SqlDocuments, done: bool, as_conflict: bool
) -> None:
    torn = World(LostReplies(documents, [(1, done)], as_conflict=as_conflict))

    accepted = accept(torn.journal, request(), by="run")

    assert world.newest == accepted
    assert [entry.action for entry in world.journal.history()].count("accepted") == 1


def test_a_store_that_never_answers_is_said_to_be_so(world: World, documents: DocumentStore) -> None:
    torn = World(LostReplies(documents, [(number, False) for number in range(1, 1000)]))

    with pytest.raises(OutcomeUnknown, match="accept episode 1 of watch; .* work key 'mine' .* last try ended with"):
        accept(torn.journal, request(), by="run")


@pytest.mark.parametrize("conf", [None, {}, {"monitor": "watch"}, {"ticket": "t"}, {"rows": 3}])
def test_a_run_without_an_episode_trains_outside_any(conf: dict[str, Any] | None) -> None:
    assert read_request(conf) is None


def test_a_request_is_read_from_the_conf_that_it_wrote() -> None:
    assert read_request(request().as_conf()) == request()
    assert read_request({**request().as_conf(), "rows": 3}) == request()


@pytest.mark.parametrize(
    "conf",
    [{"episode": 1}, {"episode": 1, "monitor": "watch"}, {"episode": "one", "monitor": "watch", "ticket": "t"}],
)
def test_half_a_request_is_no_run_outside_any_episode_but_an_error(conf: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="names an episode but is no request of a monitor .*trigger the DAG without"):
        read_request(conf)
