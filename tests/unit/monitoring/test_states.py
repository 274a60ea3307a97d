"""The table of moves is the protocol's, each state can be reached, and HALTED is left by a person only."""

from __future__ import annotations

import pytest

from airflow_provider_exia.monitoring.states import (
    ALIAS_MOVES,
    DECISIONS,
    EPISODE_OPEN,
    RETRAIN_NOW,
    MonitorState,
    is_legal,
    legal_moves,
)

HEALTHY, SUSPECT, DEGRADED, RETRAINING, ENDED, CANDIDATE, ROLLED_BACK, HALTED = MonitorState

# Written down from protocol section 6, without HALTED (which a stop reaches from everywhere) and without what a move
# of the alias leads to (CANDIDATE and ROLLED_BACK from everywhere but HALTED).
BY_DECISION = {
    HEALTHY: {SUSPECT, DEGRADED},
    SUSPECT: {HEALTHY, DEGRADED},
    DEGRADED: {RETRAINING, ENDED},
    RETRAINING: {ENDED},
    ENDED: {HEALTHY, SUSPECT, DEGRADED},
    CANDIDATE: {HEALTHY},
    ROLLED_BACK: {HEALTHY, SUSPECT, DEGRADED},
}


@pytest.mark.parametrize("before", MonitorState)
@pytest.mark.parametrize("after", MonitorState)
def test_a_move_is_legal_if_and_only_if_the_protocol_has_it(before: MonitorState, after: MonitorState) -> None:
    if before is HALTED:
        expected = after in {HALTED, HEALTHY, CANDIDATE}
    else:
        expected = after in {before, HALTED, CANDIDATE, ROLLED_BACK} | BY_DECISION[before]

    assert is_legal(before, after) == expected


def test_the_table_speaks_of_every_state() -> None:
    assert set(DECISIONS) == set(MonitorState)


def test_every_state_can_be_reached_from_the_first_and_left_again() -> None:
    reached, new = {HEALTHY}, {HEALTHY}
    while new:
        new = {after for before, after in legal_moves() if before in new} - reached
        reached |= new

    assert reached == set(MonitorState)
    assert {before for before, _ in legal_moves()} == set(MonitorState)


def test_no_decision_leaves_halted() -> None:
    # What may leave HALTED is a person's resume; test_requests and test_evaluation show that nothing else does.
    assert DECISIONS[HALTED] == {HEALTHY, CANDIDATE}
    assert [after for before, after in legal_moves() if before is HALTED] == [HEALTHY, CANDIDATE]


def test_a_person_can_ask_for_training_only_where_no_episode_is_open_and_nothing_is_watched() -> None:
    assert set(MonitorState) - RETRAIN_NOW == EPISODE_OPEN | {CANDIDATE, HALTED}
    assert all(is_legal(before, DEGRADED) for before in RETRAIN_NOW)


def test_a_move_of_the_alias_is_legal_from_every_state_but_halted() -> None:
    assert all(is_legal(before, after) for before in MonitorState if before is not HALTED for after in ALIAS_MOVES)
