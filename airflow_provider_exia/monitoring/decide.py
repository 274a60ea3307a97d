"""The pure decision: policy, newest entry, points and event time in; the next entry, or None, out.

Nothing here reads a clock, a store or Airflow. Time is event time: a year replayed in two minutes decides what a year
decides. A value that is not a number, is late or has too few samples is evidence of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.monitoring.bake import is_breached
from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry
from airflow_provider_exia.monitoring.points import usable_value
from airflow_provider_exia.monitoring.states import MonitorState

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.points import Point
    from airflow_provider_exia.monitoring.policy import Policy

_JUDGED_BY_EVIDENCE = (
    MonitorState.HEALTHY,
    MonitorState.SUSPECT,
    MonitorState.ENDED,
    MonitorState.ROLLED_BACK,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Which versions the points are about.

    :param live: number of the version that the watched move made live; 0: none
    :param previous: number of the version before it in the alias's stack, or None
    """

    live: int
    previous: int | None = None


def decide(
    policy: Policy, entry: MonitorEntry, points: Iterable[Point], now: datetime, versions: Versions
) -> MonitorEntry | None:
    """Return the entry that follows, or None when nothing has changed.

    A breach of a bake is not decided here: it needs a rollback, see :func:`breach`.

    :param points: of this monitor, any order, repetitions allowed
    :param now: event time of the evaluation
    :returns: the next entry; who, when and its number are filled in by the journal
    """
    now = max(now, entry.event_time)
    heard = _listen(policy, entry, points, now, versions)
    decided = heard
    if entry.state in _JUDGED_BY_EVIDENCE:
        decided = _judge(policy, heard, now)
    elif entry.state is MonitorState.CANDIDATE:
        decided = _bake(policy, heard, now, versions)
    if decided.state is not entry.state:
        return replace(decided, event_time=now)
    if (decided.evidence, decided.blind_since) == (entry.evidence, entry.blind_since):
        return None
    reason = describe(policy, decided.evidence)
    if decided.blind_since is not None:
        reason = f"blind since {decided.blind_since.isoformat()}: {_what_is_missing(policy, entry)}; {reason}"
    return replace(decided, event_time=now, action="heard", reason=reason)


def breach(
    policy: Policy, entry: MonitorEntry, points: Iterable[Point], now: datetime, versions: Versions
) -> tuple[Evidence, ...]:
    """Return the paired evidence on which a bake is breached, or nothing."""
    if entry.state is not MonitorState.CANDIDATE or versions.previous is None:
        return ()
    now = max(now, entry.event_time)
    heard = _listen(policy, entry, points, now, versions)
    if not is_breached(policy, heard.evidence) or not _has_fresh_pair(policy, heard.evidence, now):
        return ()
    return heard.evidence


def _listen(
    policy: Policy, entry: MonitorEntry, points: Iterable[Point], now: datetime, versions: Versions
) -> MonitorEntry:
    """Take in new points: the window, when something was last heard, and since when nothing was."""
    counted = [point for point in points if entry.counts_from is None or point.event_time >= entry.counts_from]
    evidence = fold_evidence(policy, entry.evidence, counted, now, versions)
    heard_at = max([entry.heard_at, *(item.event_time for item in evidence)])
    blind_since = None
    if policy.max_age is not None and now > heard_at + policy.duration("max_age"):
        blind_since = heard_at + policy.duration("max_age")
    return replace(entry, evidence=evidence, heard_at=heard_at, blind_since=blind_since)


def fold_evidence(
    policy: Policy, evidence: Sequence[Evidence], points: Iterable[Point], now: datetime, versions: Versions
) -> tuple[Evidence, ...]:
    """Return the window: what was looked at before, newer points, and re-measurements of points within it.

    :param evidence: the window so far
    :returns: the newest ``policy.window`` points, oldest first
    """
    known = {item.event_time: item for item in evidence}
    newest = max(known, default=None)
    usable = [point for point in points if _is_usable(policy, point, now)]
    for moment, point in _with_most_samples(usable, (versions.live, 0)).items():
        value = float(point.value or 0.0)
        if moment in known:
            if point.samples > known[moment].samples:
                known[moment] = replace(known[moment], value=value, samples=point.samples)
        elif newest is None or moment > newest:
            known[moment] = Evidence(event_time=moment, value=value, samples=point.samples)
    if versions.previous is not None:
        for moment, point in _with_most_samples(usable, (versions.previous,)).items():
            if moment in known:
                known[moment] = replace(known[moment], previous=point.value)
    return tuple(known[moment] for moment in sorted(known)[-policy.window :])


def is_sick(policy: Policy, evidence: Sequence[Evidence]) -> bool:
    """Say whether enough points of the window are bad, and the last one is no sign of recovery."""
    bad = sum(policy.is_bad(item.value) for item in evidence)
    return bad >= policy.breaches and not policy.is_good(evidence[-1].value)


def is_calm(policy: Policy, evidence: Sequence[Evidence]) -> bool:
    """Say whether nothing in the window is bad, or enough of it is good again."""
    if not any(policy.is_bad(item.value) for item in evidence):
        return True
    good = sum(policy.is_good(item.value) for item in evidence)
    return policy.is_good(evidence[-1].value) and good >= policy.breaches


def may_act_at(policy: Policy, entry: MonitorEntry) -> datetime | None:
    """Return the event time from which another episode may be opened; None: at any time."""
    if entry.last_action_at is None:
        return None
    cooldown = policy.duration("cooldown").total_seconds() * 2.0 ** min(max(entry.rejections - 1, 0), 64)
    longest = datetime.max.replace(tzinfo=UTC) - entry.last_action_at
    return entry.last_action_at + timedelta(seconds=min(cooldown, longest.total_seconds() - 1))


def _is_usable(policy: Policy, point: Point, now: datetime) -> bool:
    return (
        point.metric == policy.metric
        and usable_value(point.value) is not None
        and point.samples >= policy.min_samples
        and point.event_time <= now
    )


def _with_most_samples(points: Iterable[Point], versions: Sequence[int]) -> dict[datetime, Point]:
    """Return, for each event time, the measurement of these versions that rests on most labels."""
    chosen: dict[datetime, Point] = {}
    for point in points:
        if point.version not in versions:
            continue
        standing = chosen.get(point.event_time)
        if standing is None or _weight(point) > _weight(standing):
            chosen[point.event_time] = point
    return chosen


def _weight(point: Point) -> tuple[int, int, str]:
    return (point.samples, point.version, point.source)


def _judge(policy: Policy, entry: MonitorEntry, now: datetime) -> MonitorEntry:
    evidence = entry.evidence
    if not evidence or not _is_fresh(policy, evidence[-1], now):
        return entry
    if is_sick(policy, evidence):
        earliest = may_act_at(policy, entry)
        if earliest is None or now >= earliest:
            return open_episode(policy, entry, now, action="degraded", reason=describe(policy, evidence))
    if is_calm(policy, evidence):
        return _to(entry, MonitorState.HEALTHY, "recovered", describe(policy, evidence))
    if entry.state is MonitorState.HEALTHY and not policy.is_bad(evidence[-1].value):
        return entry
    return _to(entry, MonitorState.SUSPECT, "suspect", describe(policy, evidence))


def open_episode(policy: Policy, entry: MonitorEntry, now: datetime, *, action: str, reason: str) -> MonitorEntry:
    """Open the next episode, or halt when the budget is spent.

    :param action: what the entry says happened
    """
    window_start = now - policy.duration("budget_window")
    recent = tuple(moment for moment in entry.recent_actions if moment > window_start)
    if len(recent) >= policy.budget:
        spent = f"{len(recent)} episodes since {window_start.isoformat()}: the budget is spent, a person must resume"
        return _to(entry, MonitorState.HALTED, "halted", f"{spent}; {reason}")
    return replace(
        entry,
        state=MonitorState.DEGRADED,
        episode=entry.episode + 1,
        ticket=None,
        action=action,
        reason=reason,
        episode_opened_at=now,
        last_action_at=now,
        recent_actions=(*recent, now),
    )


def _bake(policy: Policy, entry: MonitorEntry, now: datetime, versions: Versions) -> MonitorEntry:
    begun = entry.bake_since or entry.event_time
    if now - begun < policy.duration("bake"):
        return entry
    paired = _paired(entry.evidence)
    if versions.previous is not None:
        if not _has_fresh_pair(policy, entry.evidence, now):
            return replace(entry, blind_since=_bake_is_blind_since(policy, begun, paired))
        if is_breached(policy, entry.evidence):
            return entry
    reason = f"the bake of {policy.bake} is over with no breach in {len(paired)} paired points"
    return replace(_to(entry, MonitorState.HEALTHY, "baked", reason), bake_since=None, evidence=entry.evidence)


def _bake_is_blind_since(policy: Policy, begun: datetime, paired: Sequence[Evidence]) -> datetime:
    """Return from when on a pair was missed: at the end of the bake's time, or when the newest pair grew too old."""
    missed = begun + policy.duration("bake")
    if not paired or policy.max_age is None:
        return missed
    return max(missed, paired[-1].event_time + policy.duration("max_age"))


def _paired(evidence: Sequence[Evidence]) -> list[Evidence]:
    return [item for item in evidence if item.previous is not None]


def _has_fresh_pair(policy: Policy, evidence: Sequence[Evidence], now: datetime) -> bool:
    paired = _paired(evidence)
    return bool(paired) and _is_fresh(policy, paired[-1], now)


def _is_fresh(policy: Policy, item: Evidence, now: datetime) -> bool:
    return policy.max_age is None or now - item.event_time <= policy.duration("max_age")


def _what_is_missing(policy: Policy, entry: MonitorEntry) -> str:
    if entry.state is MonitorState.CANDIDATE:
        return f"no fresh point of {policy.metric} for this version and the one before it"
    return f"no fresh point of {policy.metric}"


def _to(entry: MonitorEntry, state: MonitorState, action: str, reason: str) -> MonitorEntry:
    if entry.state is state:
        return entry
    return replace(entry, state=state, action=action, reason=reason)


def describe(policy: Policy, evidence: Sequence[Evidence]) -> str:
    """Return the window in words, with the thresholds."""
    if not evidence:
        return f"no point of {policy.metric} yet"
    bad = sum(policy.is_bad(item.value) for item in evidence)
    values = ", ".join(f"{item.value:.4g}" for item in evidence)
    return (
        f"{bad} of the last {len(evidence)} points of {policy.metric} are bad ({values}); bad from {policy.enter}, "
        f"good from {policy.enter if policy.exit is None else policy.exit}, {policy.breaches} of {policy.window} count"
    )
