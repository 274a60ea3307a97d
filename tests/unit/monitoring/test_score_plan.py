"""Two versions are scored exactly while a promotion is watched, or is about to be."""

from __future__ import annotations

import pytest

from airflow_provider_exia.monitoring.evaluation import AliasPosition
from airflow_provider_exia.monitoring.score_plan import versions_to_score
from airflow_provider_exia.monitoring.states import MonitorState
from tests.unit.monitoring.world import entry_of

AT_MOVE_5 = AliasPosition(since=5, promoted=True, stack=(3, 2, 1))


@pytest.mark.parametrize("state", MonitorState)
def test_the_version_before_is_scored_too_in_a_bake_only(state: MonitorState) -> None:
    numbers = versions_to_score(entry_of(state, watching=5), AT_MOVE_5)

    assert numbers == ((3, 2) if state is MonitorState.CANDIDATE else (3,))


@pytest.mark.parametrize("state", sorted(set(MonitorState) - {MonitorState.CANDIDATE}))
def test_a_promotion_that_no_evaluation_has_seen_yet_is_scored_as_it_will_be_watched(state: MonitorState) -> None:
    assert versions_to_score(entry_of(state, watching=4), AT_MOVE_5) == (3, 2)


@pytest.mark.parametrize("state", sorted(set(MonitorState) - {MonitorState.CANDIDATE}))
def test_a_rollback_that_no_evaluation_has_seen_yet_will_not_be_watched(state: MonitorState) -> None:
    rolled_back = AliasPosition(since=5, promoted=False, stack=(2, 1))

    assert versions_to_score(entry_of(state, watching=4), rolled_back) == (2,)


def test_before_the_first_evaluation_nothing_is_watched() -> None:
    assert versions_to_score(None, AT_MOVE_5) == (3,)


def test_with_nothing_older_there_is_nothing_to_score_beside() -> None:
    position = AliasPosition(since=1, promoted=True, stack=(1,))

    assert versions_to_score(entry_of(MonitorState.CANDIDATE), position) == (1,)


def test_with_nothing_live_there_is_nothing_to_score() -> None:
    assert versions_to_score(None, AliasPosition(since=0, promoted=False, stack=())) == ()
