"""The evaluation over a real store: it follows the alias, ends dead episodes, takes back a breach, and says it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.monitoring.acceptance import EpisodeTaken, RetrainRequest, accept
from airflow_provider_exia.monitoring.evaluation import OpenWork, RunState
from airflow_provider_exia.monitoring.requests import stop
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.processes import at_once
from tests.unit.monitoring.replies import LostReplies
from tests.unit.monitoring.world import MONITOR, START, World, entry_of, point_of, policy_of, weeks

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.storage.documents import DocumentStore

HEALTHY, SUSPECT, DEGRADED, RETRAINING, ENDED, CANDIDATE, ROLLED_BACK, HALTED = MonitorState


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    store = store_in(tmp_path)
    yield store
    store.close()


@pytest.fixture
def world(documents: SqlDocuments) -> World:
    return World(documents)


def store_in(folder: Path) -> SqlDocuments:
    return SqlDocuments(f"sqlite:///{folder}/library.db")


def degraded(world: World) -> World:
    """Let two bad weeks open episode 1."""
    world.hear(weeks(1), 0.3)
    world.hear(weeks(2), 0.3)
    assert world.newest.state is DEGRADED
    return world


def training(world: World) -> World:
    """Let a run accept episode 1."""
    degraded(world).begin_training()
    return world


def baking(world: World) -> World:
    """Let version 2 be promoted and watched, with one bad week behind it."""
    world.evaluate(START)
    world.promote(2)
    world.hear(weeks(1), 0.5, previous=0.1)
    assert world.newest.state is CANDIDATE
    return world


def as_told(entry: MonitorEntry) -> MonitorEntry:
    """Return an entry without what two runs of the same story may differ in."""
    return replace(entry, at=START, state_since=START, ticket=None if entry.ticket is None else "ticket")


# The first evaluation


def test_the_first_evaluation_begins_at_the_move_that_stands(world: World) -> None:
    world.since = 7

    evaluation = world.evaluate(weeks(1))

    assert evaluation.open_work is None
    assert world.told == [("HEALTHY", 0, "begun")]
    assert (evaluation.entry.watching, evaluation.entry.policy_digest) == (7, world.policy.digest)


def test_an_alias_that_was_never_moved_is_watched_too(world: World) -> None:
    world.since, world.promoted, world.stack = 0, False, ()

    world.evaluate(START)
    world.promote(1)
    world.evaluate(weeks(1))

    assert world.told == [("HEALTHY", 0, "begun"), ("CANDIDATE", 0, "promoted")]


def test_repeating_an_evaluation_changes_nothing(world: World) -> None:
    degraded(world)
    before = world.journal.history()

    again = [world.evaluate(weeks(2)) for _ in range(3)]

    assert world.journal.history() == before
    assert {evaluation.open_work for evaluation in again} == {
        OpenWork(run_id="exia__delay__watch__1", monitor=MONITOR, episode=1)
    }


# Moves of the alias


@pytest.mark.parametrize("state", sorted(set(MonitorState) - {HALTED}))
@pytest.mark.parametrize("promoted", [True, False])
def test_a_move_of_the_alias_is_followed_in_every_state(world: World, state: MonitorState, promoted: bool) -> None:
    # The run of the episode is there and well, so that nothing but the alias has a say.
    world.journal.write(entry_of(state, episode=1, rejections=2, blind_since=START, event_time=weeks(1)))
    world.runs["exia__delay__watch__1"] = RunState.ACTIVE
    world.since, world.promoted, world.stack, world.why = 5, promoted, (3, 2), "said so"

    entry = world.evaluate(weeks(2)).entry

    assert entry.sequence == 2
    assert entry.state is (CANDIDATE if promoted else ROLLED_BACK)
    assert (entry.watching, entry.evidence, entry.blind_since) == (5, (), None)
    assert entry.reason == "version 3 is live since move 5 of the alias: said so"
    assert entry.bake_since == (weeks(2) if promoted else None)
    assert entry.rejections == (0 if promoted else 2)


@pytest.mark.parametrize("promoted", [True, False])
def test_halted_stays_halted_and_its_watching_follows(world: World, promoted: bool) -> None:
    world.journal.write(entry_of(HALTED))
    world.since, world.promoted, world.stack = 5, promoted, (3, 2)

    entry = world.evaluate(weeks(2)).entry

    assert (entry.state, entry.watching, entry.sequence) == (HALTED, 5, 2)


def test_halted_goes_on_listening_and_never_acts(world: World) -> None:
    world.evaluate(START)
    stop(world.journal, by="ann", reason="holiday")

    for week in range(1, 8):
        world.hear(weeks(week), 0.9)

    assert {entry.state for entry in world.journal.history()[:-1]} == {HALTED}
    assert len(world.newest.evidence) == 3


def test_a_promotion_is_followed_though_the_process_that_made_it_died(world: World) -> None:
    training(world)
    world.promote(2)
    world.end_training(RunState.FAILED)  # killed after the promotion

    world.evaluate(weeks(3))

    assert world.newest.state is CANDIDATE
    assert "failed" not in {action for _, _, action in world.told}


def test_points_of_a_version_count_from_the_move_that_made_it_live(world: World) -> None:
    world.hear(weeks(1), 0.3)
    world.points.record(point_of(0.3, weeks(2), version=2))
    world.promote(2)

    entry = world.hear(weeks(3), 0.1).entry

    assert [item.event_time for item in entry.evidence] == [weeks(3)]


# Open episodes


def test_an_absent_run_is_open_work_for_as_long_as_it_is_absent(world: World) -> None:
    degraded(world)
    world.clock.moment += timedelta(days=300)

    work = world.evaluate(weeks(40)).open_work

    assert work == OpenWork(run_id="exia__delay__watch__1", monitor=MONITOR, episode=1)
    assert world.newest.state is DEGRADED


@pytest.mark.parametrize("ending", [RunState.SUCCEEDED, RunState.FAILED])
def test_a_run_that_ended_before_it_accepted_ends_the_episode(world: World, ending: RunState) -> None:
    degraded(world).end_training(ending)

    evaluation = world.evaluate(weeks(2))

    assert evaluation.open_work is None
    assert world.told[3:5] == [("ENDED", 1, "failed"), ("SUSPECT", 1, "suspect")]
    assert world.newest.rejections == 1


def test_a_run_that_is_there_has_its_time_to_accept_and_no_more(world: World) -> None:
    degraded(world)
    world.runs["exia__delay__watch__1"] = RunState.ACTIVE
    world.clock.moment += timedelta(hours=1)

    in_time = world.evaluate(weeks(2)).entry
    world.clock.moment += timedelta(seconds=1)
    world.evaluate(weeks(2))

    assert in_time.state is DEGRADED
    assert world.told[3] == ("ENDED", 1, "failed")
    assert "did not begin to train within 1h" in world.journal.history()[1].reason
    with pytest.raises(EpisodeTaken):
        accept(world.journal, RetrainRequest(monitor=MONITOR, episode=1, ticket="late"), by="run")


def test_the_time_to_accept_is_wall_time_and_new_points_do_not_prolong_it(world: World) -> None:
    degraded(world)
    world.runs["exia__delay__watch__1"] = RunState.ACTIVE
    world.clock.moment += timedelta(minutes=59)
    world.hear(weeks(3), 0.3)
    world.clock.moment += timedelta(minutes=2)

    world.evaluate(weeks(3))

    assert ("ENDED", 1, "failed") in world.told


@pytest.mark.parametrize(
    ("ending", "action", "reason"),
    [
        (RunState.FAILED, "failed", "run exia__delay__watch__1 is failed"),
        (RunState.ABSENT, "failed", "run exia__delay__watch__1 is absent"),
        (RunState.SUCCEEDED, "refused", "run exia__delay__watch__1 ended without a promotion"),
    ],
)
def test_an_accepted_run_that_is_over_without_a_promotion_ends_the_episode(
    world: World, ending: RunState, action: str, reason: str
) -> None:
    training(world).end_training(ending)

    evaluation = world.evaluate(weeks(3))

    ended = world.journal.history()[1]
    assert (ended.state, ended.action, ended.reason, ended.rejections) == (ENDED, action, reason, 1)
    assert evaluation.open_work is None


def test_an_accepted_run_has_its_time_to_end_and_no_more(world: World) -> None:
    training(world)
    world.clock.moment += timedelta(days=1)
    assert world.evaluate(weeks(2)).entry.state is RETRAINING
    world.clock.moment += timedelta(seconds=1)

    world.evaluate(weeks(2))

    assert world.told[4] == ("ENDED", 1, "failed")
    assert "did not end within 1d" in world.journal.history()[1].reason


@pytest.mark.parametrize("ending", [RunState.SUCCEEDED, RunState.FAILED])
def test_a_promotion_between_the_reading_of_alias_and_run_is_no_refusal(world: World, ending: RunState) -> None:
    training(world)

    def promote_before(question: str) -> None:
        if question == "run_state" and world.live == 1:
            world.promote(2)
            world.end_training(ending)

    world.before_answer = promote_before
    world.evaluate(weeks(3))

    assert world.told[4:] == [("CANDIDATE", 1, "promoted")]


def test_an_accept_between_the_reading_of_journal_and_run_is_seen(world: World) -> None:
    degraded(world)
    world.runs["exia__delay__watch__1"] = RunState.ACTIVE
    world.clock.moment += timedelta(hours=2)

    def accept_before(question: str) -> None:
        if question == "run_state" and world.newest.state is DEGRADED:
            world.begin_training()

    world.before_answer = accept_before
    world.evaluate(weeks(2))

    assert world.told[3:] == [("RETRAINING", 1, "accepted")]


def test_an_episode_that_ended_is_followed_by_another_when_the_policy_says_so(world: World) -> None:
    world.policy = policy_of(cooldown="0s")
    training(world).end_training(RunState.FAILED)

    work = world.evaluate(weeks(2)).open_work

    assert work == OpenWork(run_id="exia__delay__watch__2", monitor=MONITOR, episode=2)
    assert [state for state, _, _ in world.told[4:]] == ["ENDED", "DEGRADED"]


# The bake


def test_a_breach_takes_back_exactly_the_promotion_that_was_watched(world: World) -> None:
    baking(world)

    world.hear(weeks(2), 0.5, previous=0.1)

    assert world.rollbacks == [(3, "auto:watch:2")]
    assert world.stack == (1,)
    back = world.journal.history()[1]
    assert (back.state, back.watching, back.action, back.evidence) == (ROLLED_BACK, 3, "rolled back", ())
    assert back.reason.startswith("version 1 is live since move 3 of the alias: worse than the version before it by")


def test_a_breach_rolls_back_nothing_when_somebody_moved_the_alias_first(world: World) -> None:
    baking(world)

    def promote_first(question: str) -> None:
        if question == "roll_back" and world.live == 2:
            world.promote(3)

    world.before_answer = promote_first
    world.hear(weeks(2), 0.5, previous=0.1)

    assert world.rollbacks == []
    assert (world.stack, world.newest.state, world.newest.watching) == ((3, 2, 1), CANDIDATE, 3)


def test_a_breach_with_nothing_older_halts(world: World) -> None:
    baking(world)

    def retire_first(question: str) -> None:
        if question == "roll_back":
            world.stack = (2,)

    world.before_answer = retire_first
    world.hear(weeks(2), 0.5, previous=0.1)

    assert (world.newest.state, world.newest.action) == (HALTED, "halted")
    assert "worse than the version before it" in world.newest.reason
    assert world.stack == (2,)


def test_a_rollback_is_never_baked(world: World) -> None:
    world.stack = (1, 0)
    baking(world)
    world.hear(weeks(2), 0.5, previous=0.1)

    for week in range(3, 8):
        world.hear(weeks(week), 0.9, previous=0.1)  # the version that is back is worse still

    assert len(world.rollbacks) == 1
    assert world.stack == (1, 0)


def test_a_promotion_by_a_person_is_baked_and_taken_back_like_any_other(world: World) -> None:
    world.evaluate(START)
    world.promote(2, why="ann believes in it")

    world.hear(weeks(1), 0.5, previous=0.1)
    world.hear(weeks(2), 0.5, previous=0.1)

    assert world.live == 1
    assert ("CANDIDATE", 0, "promoted") in world.told


def test_where_the_alias_was_rolled_back_before_the_entry_was_written_the_next_evaluation_writes_the_same(
    documents: SqlDocuments, tmp_path: Path
) -> None:
    whole = baking(World(documents))
    whole.hear(weeks(2), 0.5, previous=0.1)
    (tmp_path / "torn").mkdir()
    torn = baking(World(store_in(tmp_path / "torn")))
    torn.points.record(point_of(0.5, weeks(2), version=2))
    torn.points.record(point_of(0.1, weeks(2), version=1))

    # What an evaluation did that was killed after the rollback:
    torn.roll_back(expected=2, token="auto:watch:2", reason=whole.why)
    torn.evaluate(weeks(2))

    assert [as_told(entry) for entry in torn.journal.history()] == [as_told(entry) for entry in whole.journal.history()]
    assert len(torn.rollbacks) == 1
    torn.documents.close()


# Shadow


def test_in_shadow_an_episode_ends_in_the_evaluation_that_opened_it(world: World) -> None:
    world.shadow = True
    world.hear(weeks(1), 0.3)

    evaluation = world.hear(weeks(2), 0.3)

    assert evaluation.open_work is None
    assert world.told[2:] == [("DEGRADED", 1, "degraded"), ("ENDED", 1, "shadow"), ("SUSPECT", 1, "suspect")]
    assert world.newest.rejections == 0


def test_in_shadow_the_cooldown_and_the_budget_hold_too(world: World) -> None:
    world.shadow, world.policy = True, policy_of(budget=2)

    for week in range(1, 13):
        assert world.hear(weeks(week), 0.3).open_work is None

    opened = [entry.event_time for entry in world.journal.history() if entry.state is DEGRADED]
    assert opened == [weeks(5), weeks(2)]
    assert world.newest.state is HALTED


def test_in_shadow_a_breach_is_only_recorded(world: World) -> None:
    world.shadow = True
    baking(world)

    world.hear(weeks(2), 0.5, previous=0.1)

    assert world.rollbacks == []
    assert world.live == 2
    breached = next(entry for entry in world.journal.history() if entry.action == "breached")
    assert (breached.state, breached.bake_since) == (HEALTHY, None)
    assert breached.reason.startswith("worse than the version before it by more than 0.01")


def test_in_shadow_an_episode_that_was_open_before_ends(world: World) -> None:
    training(world)
    world.shadow = True

    world.evaluate(weeks(2))

    assert ("ENDED", 1, "shadow") in world.told


# Many at once, and replies that get lost


def evaluate_week_two(folder: Path, _index: int) -> tuple[str, int, bool]:
    with_store = store_in(folder)
    evaluation = World(with_store).evaluate(weeks(2))
    with_store.close()
    return evaluation.entry.state.value, evaluation.entry.sequence, evaluation.open_work is not None


def test_ten_evaluations_of_one_point_at_once_write_one_entry_and_open_one_episode(tmp_path: Path) -> None:
    documents = store_in(tmp_path)
    world = World(documents)
    world.hear(weeks(1), 0.3)
    world.points.record(point_of(0.3, weeks(2)))

    told = at_once(10, evaluate_week_two, tmp_path)

    assert set(told) == {("DEGRADED", 3, True)}  # each hands on the same run: Airflow makes it once
    assert world.told == [("HEALTHY", 0, "begun"), ("SUSPECT", 0, "suspect"), ("DEGRADED", 1, "degraded")]
    documents.close()


def begin_at_once(folder: Path, _index: int) -> int:
    with_store = store_in(folder)
    entry = World(with_store).evaluate(START).entry
    with_store.close()
    return entry.sequence


def test_ten_first_evaluations_at_once_begin_one_journal(tmp_path: Path) -> None:
    assert set(at_once(10, begin_at_once, tmp_path)) == {1}

    documents = store_in(tmp_path)
    assert World(documents).told == [("HEALTHY", 0, "begun")]
    documents.close()


def live_a_story(world: World) -> list[MonitorEntry]:
    """Degrade, train, be refused, degrade again, be promoted, breach, be rolled back."""
    training(world).end_training(RunState.SUCCEEDED)
    world.evaluate(weeks(3))
    world.hear(weeks(5), 0.3)
    world.begin_training()
    world.promote(2)
    world.end_training(RunState.SUCCEEDED)
    world.hear(weeks(6), 0.5, previous=0.1)
    world.hear(weeks(7), 0.5, previous=0.1)
    return [as_told(entry) for entry in world.journal.history()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[MonitorEntry]:
    """The journal of the story when every reply arrives."""
    store = store_in(tmp_path_factory.mktemp("whole"))
    told = live_a_story(World(store))
    store.close()
    assert [entry.state for entry in told].count(ROLLED_BACK) == 1
    return told


@pytest.mark.parametrize("first", [1, 2, 3])  # of three journals each loses every third reply, so all are lost once
@pytest.mark.parametrize("as_conflict", [False, True], ids=["unknown", "conflict"])
@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
def test_the_journal_is_the_same_whichever_reply_is_lost(
    documents: SqlDocuments, whole: list[MonitorEntry], first: int, done: bool, as_conflict: bool
) -> None:
    world = World(OfMonitor(documents, first, done=done, as_conflict=as_conflict))

    assert live_a_story(world) == whole


class OfMonitor(LostReplies):
    """Loses every third reply to an entry of the monitor's journal."""

    def __init__(self, documents: DocumentStore, first: int, *, done: bool, as_conflict: bool) -> None:
        super().__init__(documents, [(number, done) for number in range(first, 200, 3)], as_conflict=as_conflict)
        self._real = documents

    def insert(self, collection: object, document: object) -> None:
        if getattr(collection, "name", "") == "points":
            self._real.insert(collection, document)
        else:
            super().insert(collection, document)


def test_a_store_that_never_answers_ends_in_an_error_that_says_so(documents: SqlDocuments) -> None:
    world = World(LostReplies(documents, [(number, False) for number in range(1, 1000)]))

    with pytest.raises(OutcomeUnknown, match="evaluate monitor watch of delay; .*the last try ended with: "):
        world.evaluate(START)


def test_others_that_keep_writing_are_no_reason_to_write_over_them(documents: SqlDocuments) -> None:
    world = World(documents)
    world.evaluate(START)
    world.before_answer = partial(write_in_between, world)

    with pytest.raises(OutcomeUnknown):
        world.hear(weeks(1), 0.3)

    sequences = [entry.sequence for entry in world.journal.history()]
    assert sequences == list(range(len(sequences), 0, -1))


def write_in_between(world: World, question: str) -> None:
    if question == "position":
        newest = world.newest
        world.journal.append(newest, replace(newest, reason=f"rival {newest.sequence}"), by="rival")
