"""What a policy would have done: episodes, cooldown, backoff, budget, silence, and moves that the history made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.backtest import Outcome, Reading, backtest
from airflow_provider_exia.monitoring.policy import Policy

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)


def policy(**changes: object) -> Policy:
    settings: dict[str, object] = {
        "metric": "brier", "enter": 0.2, "exit": 0.18, "breaches": 2, "window": 3, "cooldown": "21d", "bake": "21d",
        "min_gain": 0.002, "budget": 8, "budget_window": "365d", **changes,
    }  # fmt: skip
    return Policy(**settings)


def weekly(*values: float | None, **columns: tuple[object, ...]) -> list[Reading]:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}] * len(values)
    return [
        Reading(event_time=START + index * WEEK, value=value, **row)
        for index, (value, row) in enumerate(zip(values, rows, strict=True))
    ]


def moves(entries: list[MonitorEntry]) -> list[tuple[int, str]]:
    """Return the week and the action of every entry that is more than a point heard."""
    return [((entry.event_time - START) // WEEK, entry.action) for entry in entries if entry.action != "heard"]


def test_a_good_history_asks_for_nothing() -> None:
    assert moves(backtest(policy(), weekly(0.15, 0.16, 0.17, 0.15))) == [(0, "begun")]


def test_refusals_are_followed_by_the_cooldown_and_then_by_twice_the_cooldown() -> None:
    entries = backtest(policy(), weekly(*[0.25] * 14))

    assert [week for week, action in moves(entries) if action == "degraded"] == [1, 4, 10]
    assert [week for week, action in moves(entries) if action == "refused"] == [2, 5, 11]


def test_a_spent_budget_halts() -> None:
    entries = backtest(policy(budget=2, cooldown="1d"), weekly(*[0.25] * 12))

    assert entries[-1].state == "HALTED"
    assert sum(entry.action == "degraded" for entry in entries) == 2


def test_promotions_move_the_alias_and_are_baked_without_pairs_by_time_alone() -> None:
    entries = backtest(policy(), weekly(0.25, 0.25, 0.15, 0.15, 0.15, 0.15, 0.15), outcome=Outcome.PROMOTED)

    assert moves(entries)[-2:] == [(2, "promoted"), (5, "baked")]
    assert entries[-1].state == "HEALTHY"


def test_a_promotion_in_the_history_is_baked_and_taken_back_on_the_paired_values() -> None:
    history = weekly(
        0.15, 0.15, 0.5, 0.5, 0.5, 0.15,
        version=(1, 1, 2, 2, 2, 1),
        previous=(None, None, 0.15, 0.16, 0.15, None),
    )  # fmt: skip

    entries = backtest(policy(), history)

    # The third value of version 2 is not counted against version 1, which is live again; the history's own rollback
    # in week 5 is the one that happened already.
    assert moves(entries) == [(0, "begun"), (2, "promoted"), (3, "rolled back"), (3, "recovered")]


def test_what_was_taken_back_does_not_count_against_a_version_that_never_was() -> None:
    history = weekly(
        0.25, 0.25, 0.15, 0.15, 0.15, 0.5, 0.5, 0.5, 0.15,
        version=(1, 1, 1, 1, 1, 2, 2, 2, 1),
        previous=(None, None, None, None, None, 0.15, 0.15, 0.15, None),
    )  # fmt: skip

    entries = backtest(policy(), history, outcome=Outcome.PROMOTED)

    assert moves(entries)[-4:] == [(2, "promoted"), (5, "promoted"), (6, "rolled back"), (6, "recovered")]


def test_a_rollback_in_the_history_is_followed() -> None:
    entries = backtest(policy(), weekly(*[0.15] * 5, version=(1, 2, 2, 1, 3)))

    assert moves(entries) == [(0, "begun"), (1, "promoted"), (3, "rolled back"), (3, "recovered"), (4, "promoted")]


def test_silence_is_seen_between_two_points_and_in_periods_without_value() -> None:
    history = [reading for index, reading in enumerate(weekly(*[0.15] * 9)) if index not in (3, 4)]
    history[-1] = Reading(event_time=history[-1].event_time, value=None)

    entries = backtest(policy(max_age="10d"), history)

    blind = [entry for entry in entries if entry.blind_since is not None]
    assert [entry.event_time for entry in blind] == [START + 2 * WEEK + timedelta(days=10, seconds=1)]
    assert entries[-1].blind_since is None
    assert backtest(policy(max_age="5d"), history)[-1].blind_since == START + 7 * WEEK + timedelta(days=5)


def test_the_order_of_the_file_does_not_matter_and_more_labels_count() -> None:
    history = weekly(0.15, 0.15, 0.25, 0.15)
    relabelled = Reading(event_time=START + 2 * WEEK, value=0.15, samples=10)

    assert backtest(policy(), history[::-1]) == backtest(policy(), history)
    assert backtest(policy(), [relabelled, *history])[-1].evidence[-2].value == 0.15


def test_a_measurement_with_two_values_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"two values at 2026-01-01T00:00:00\+00:00, 0.15 and 0.25"):
        backtest(policy(), [*weekly(0.15), *weekly(0.25)])


def test_a_policy_for_a_gate_only_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'enter' is missing"):
        backtest(Policy(metric="brier"), weekly(0.15))
