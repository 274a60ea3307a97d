"""What holds for every policy, every state and every batch of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_exia.monitoring.decide import Versions, breach, decide
from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry
from airflow_provider_exia.monitoring.points import Point
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import MonitorState, is_legal
from airflow_provider_exia.storage.codec import from_document, to_document
from tests.unit.monitoring.world import METRIC, START, WEEK, entry_of, point_of, weeks

VALUES = st.one_of(
    st.sampled_from([0.0, 0.1, 0.15, 0.18, 0.19, 0.2, 0.25, 0.9, -1.0, 1e308, -1e308]),
    st.floats(min_value=-2, max_value=2),
)
GAPS = st.sampled_from([None, math.nan, math.inf, -math.inf])
MOMENTS = st.integers(-3, 12).map(lambda week: weeks(week / 2))
VERSIONS = Versions(live=2, previous=1)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    direction = draw(st.sampled_from(["lower", "higher", "band"]))
    limits = {"lower": (0.2, 0.18), "higher": (0.18, 0.2), "band": ((0.1, 0.9), (0.18, 0.5))}
    enter, leave = limits[direction]
    window = draw(st.integers(1, 4))
    return Policy(
        metric=METRIC,
        direction=direction,
        enter=enter,
        exit=draw(st.sampled_from([leave, None])),
        breaches=draw(st.integers(1, window)),
        window=window,
        min_samples=draw(st.sampled_from([0, 50])),
        max_age=draw(st.sampled_from([None, "0s", "10d", "52w"])),
        cooldown=draw(st.sampled_from(["0s", "3w", "36525d"])),
        bake=draw(st.sampled_from(["0s", "2w"])),
        budget=draw(st.integers(1, 3)),
        budget_window=draw(st.sampled_from(["0s", "52w", "36525d"])),
    )


@st.composite
def points(draw: st.DrawFn, values: st.SearchStrategy[float | None] = VALUES) -> Point:
    return point_of(
        draw(values),
        draw(MOMENTS),
        version=draw(st.sampled_from([0, 1, 2, 3])),
        samples=draw(st.sampled_from([0, 40, 60, 100])),
        source=draw(st.sampled_from(["a", "b"])),
        metric=draw(st.sampled_from([METRIC, METRIC, METRIC, "other"])),
    )


def distinct(drawn: Sequence[Point]) -> list[Point]:
    """Keep one point of each key: another value for the same measurement is never recorded."""
    keys = {(one.metric, one.version, one.event_time, one.source, one.samples): one for one in drawn}
    return list(keys.values())


BATCHES = st.lists(st.one_of(points(), points(values=GAPS)), max_size=12).map(distinct)


@st.composite
def entries(draw: st.DrawFn, policy: Policy) -> MonitorEntry:
    last = weeks(draw(st.integers(0, 4)))
    state = draw(st.sampled_from(list(MonitorState)))
    count = draw(st.integers(0, policy.window))
    evidence = tuple(
        Evidence(
            event_time=last - (count - 1 - number) * WEEK / 2,
            value=draw(VALUES),
            samples=draw(st.sampled_from([60, 100])),
            previous=draw(st.one_of(st.none(), VALUES)),
        )
        for number in range(count)
    )
    baking = state is MonitorState.CANDIDATE
    return entry_of(
        state,
        evidence=evidence,
        event_time=last,
        heard_at=last - draw(st.integers(0, 2)) * WEEK,
        episode=draw(st.integers(0, 2)),
        bake_since=last - WEEK if baking else None,
        counts_from=draw(st.sampled_from([None, last])),
        last_action_at=draw(st.sampled_from([None, START, last])),
        rejections=draw(st.sampled_from([0, 1, 2, 70])),
        recent_actions=tuple([START] * draw(st.integers(0, 3))),
        blind_since=draw(st.sampled_from([None, START])),
    )


SITUATIONS = policies().flatmap(lambda policy: st.tuples(st.just(policy), entries(policy), BATCHES, MOMENTS))
Situation: TypeAlias = tuple[Policy, MonitorEntry, list[Point], datetime]


def settle(policy: Policy, entry: MonitorEntry, batch: Sequence[Point], now: datetime) -> MonitorEntry:
    """Decide as an evaluation does: again and again until nothing changes."""
    for _ in range(10):
        after = decide(policy, entry, batch, now, VERSIONS)
        if after is None:
            return entry
        entry = after
    raise AssertionError("decide never comes to rest")


@given(SITUATIONS)
def test_a_decision_comes_to_rest_and_repeating_points_changes_nothing(situation: Situation) -> None:
    policy, entry, batch, now = situation

    settled = settle(policy, entry, batch, now)

    assert decide(policy, settled, [*batch, *batch], now, VERSIONS) is None


@given(SITUATIONS, st.randoms(use_true_random=False))
def test_the_points_of_one_batch_may_come_in_any_order_and_more_than_once(situation: Situation, random: Random) -> None:
    policy, entry, batch, now = situation
    mixed = [*batch, *batch]
    random.shuffle(mixed)

    assert decide(policy, entry, mixed, now, VERSIONS) == decide(policy, entry, batch, now, VERSIONS)
    assert breach(policy, entry, mixed, now, VERSIONS) == breach(policy, entry, batch, now, VERSIONS)


@given(SITUATIONS, st.lists(points(values=GAPS), max_size=6))
def test_gaps_change_nothing_at_all(situation: Situation, gaps: list[Point]) -> None:
    policy, entry, batch, now = situation

    assert decide(policy, entry, [*gaps, *batch], now, VERSIONS) == decide(policy, entry, batch, now, VERSIONS)


@given(SITUATIONS)
def test_a_gap_alone_never_changes_the_state(situation: Situation) -> None:
    policy, entry, _, now = situation
    settled = settle(policy, entry, [], now)
    gaps = [point_of(gap, settled.event_time, version=version) for gap in (None, math.nan) for version in (0, 1, 2)]

    assert decide(policy, settled, gaps, now, VERSIONS) is None


@settings(max_examples=300)
@given(SITUATIONS)
def test_every_decision_is_a_legal_one(situation: Situation) -> None:
    policy, entry, batch, now = situation

    after = decide(policy, entry, batch, now, VERSIONS)

    if after is None:
        return
    assert is_legal(entry.state, after.state)
    assert entry.state is not MonitorState.HALTED or after.state is MonitorState.HALTED
    assert after.episode - entry.episode == (after.state is MonitorState.DEGRADED is not entry.state)
    assert len(after.evidence) <= policy.window
    assert list(after.evidence) == sorted(after.evidence, key=lambda item: item.event_time)
    assert len({item.event_time for item in after.evidence}) == len(after.evidence)
    assert all(math.isfinite(item.value) for item in after.evidence)
    assert after.event_time == max(entry.event_time, now)
    assert after.blind_since is None or after.blind_since <= after.event_time
    assert len(after.recent_actions) <= max(policy.budget, len(entry.recent_actions))
    assert replace(from_document(MonitorEntry, to_document(after)), revision=0) == after


@given(SITUATIONS)
def test_late_points_change_nothing(situation: Situation) -> None:
    policy, entry, batch, now = situation
    seen = {item.event_time for item in entry.evidence}
    newest = max(seen, default=START + timedelta(days=3650))
    late = [point for point in batch if point.event_time < newest and point.event_time not in seen]

    assert decide(policy, entry, late, now, VERSIONS) == decide(policy, entry, [], now, VERSIONS) or not seen


@given(SITUATIONS)
def test_only_a_fresh_point_moves_a_judged_state(situation: Situation) -> None:
    policy, entry, batch, now = situation
    if policy.max_age is None:
        return

    after = decide(policy, entry, batch, now, VERSIONS)

    moved_by_evidence = after is not None and after.state is not entry.state and entry.bake_since is None
    if after is not None and moved_by_evidence:
        assert after.event_time - after.evidence[-1].event_time <= policy.duration("max_age")
