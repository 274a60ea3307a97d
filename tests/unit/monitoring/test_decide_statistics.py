"""How often the default evidence cries wolf, and how fast it sees a wolf: pure decisions on made-up hours."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.monitoring.decide import Versions, decide
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import MonitorState
from tests.unit.monitoring.world import METRIC, START, entry_of, point_of

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry

HOUR = timedelta(hours=1)
SEEDS = [40, pytest.param(200, marks=pytest.mark.full)]
# Noise of 0.02 around 0.90 with the threshold 1.5 standard deviations below; 0.86 is a drop of two of them.
POLICY = Policy(metric=METRIC, direction="higher", enter=0.87, exit=0.88)
OSCILLATING = replace(POLICY, budget=4)
HEALTHY_MEAN, DROPPED_MEAN, DEVIATION = 0.90, 0.86, 0.02


def live(
    policy: Policy, values: Iterable[float], entry: MonitorEntry | None = None, began: datetime = START
) -> Iterator[MonitorEntry]:
    """Yield the entries that hourly values lead to; every training run is refused at once."""
    entry = entry or entry_of()
    for hour, value in enumerate(values, 1):
        now = began + hour * HOUR
        point = point_of(value, now)
        while after := decide(policy, entry, [point], now, Versions(live=1)):
            yield after
            entry = after
            if entry.state is MonitorState.DEGRADED:
                entry = replace(entry, state=MonitorState.ENDED, rejections=entry.rejections + 1)


def openings(told: Iterable[MonitorEntry]) -> Iterator[MonitorEntry]:
    return (entry for entry in told if entry.state is MonitorState.DEGRADED)


@pytest.mark.parametrize("seeds", SEEDS)
def test_a_healthy_month_leads_to_a_tenth_of_a_retrain_at_most(seeds: int) -> None:
    counts = []
    for seed in range(seeds):
        noise = random.Random(seed)
        month = (noise.gauss(HEALTHY_MEAN, DEVIATION) for _ in range(30 * 24))
        counts.append(len(list(openings(live(POLICY, month)))))

    assert statistics.mean(counts) <= 0.1, counts


def test_a_drop_of_two_deviations_is_found_within_eight_points() -> None:
    delays = []
    for seed in range(200):
        noise = random.Random(1000 + seed)
        before = list(live(POLICY, (noise.gauss(HEALTHY_MEAN, DEVIATION) for _ in range(24))))
        if any(openings(before)):  # acted on noise: then the cooldown would be measured, not the delay
            continue
        dropped = (noise.gauss(DROPPED_MEAN, DEVIATION) for _ in range(100))
        found = next(openings(live(POLICY, dropped, before[-1], START + 24 * HOUR)))
        delays.append((found.event_time - START) // HOUR - 24)

    delays.sort()
    assert len(delays) >= 190
    assert statistics.median(delays) <= 8, delays
    assert delays[int(len(delays) * 0.95)] <= 12, delays


@pytest.mark.parametrize("refused", [True, False], ids=["each refused", "each forgiven"])
def test_a_metric_that_oscillates_on_the_threshold_acts_once_per_cooldown_and_then_halts(refused: bool) -> None:
    values = [0.869 if hour % 3 else 0.871 for hour in range(1000)]
    entry, told = entry_of(), []

    for hour, value in enumerate(values, 1):
        now = START + hour * HOUR
        while after := decide(OSCILLATING, entry, [point_of(value, now)], now, Versions(live=1)):
            told.append(after)
            entry = after
            if entry.state is MonitorState.DEGRADED:
                entry = replace(entry, state=MonitorState.ENDED, rejections=entry.rejections + refused)

    opened = list(openings(told))
    assert len(opened) == OSCILLATING.budget
    for earlier, later in pairwise(opened):
        assert later.event_time - earlier.event_time >= timedelta(days=1) * 2 ** max(earlier.rejections, 0)
    assert told[-1].state is MonitorState.HALTED
    assert [entry.action for entry in told].count("halted") == 1
