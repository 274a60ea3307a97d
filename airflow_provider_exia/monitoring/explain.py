"""Why a monitor is in its state, in words: what it saw, what that means, and what it waits for.

Pure: entries and a policy in, short sentences out. Without the policy the entries say what they can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.clock import to_text
from airflow_provider_exia.monitoring.bake import is_breached, loss, margin
from airflow_provider_exia.monitoring.decide import describe, is_sick, may_act_at
from airflow_provider_exia.monitoring.states import MonitorState

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry
    from airflow_provider_exia.monitoring.policy import Policy

_S = MonitorState
_MEANING = {
    _S.HEALTHY: "nothing asks for action",
    _S.SUSPECT: "there are signs of trouble",
    _S.DEGRADED: "the model is bad and a training run is wanted",
    _S.RETRAINING: "a training run is under way",
    _S.ENDED: "the episode ended without a new champion",
    _S.CANDIDATE: "a promotion is being watched beside the version before it",
    _S.ROLLED_BACK: "the last move of the alias went back",
    _S.HALTED: "nothing is done until a person resumes it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a monitor is in its state.

    :param standing: the state, since when, and what it means, in one sentence
    :param because: what led there and what was seen since, with the numbers
    :param waits_for: what comes next, and from whom
    """

    standing: str
    because: tuple[str, ...]
    waits_for: tuple[str, ...]


def explain(history: Sequence[MonitorEntry], policy: Policy | None = None) -> Explanation:
    """Explain the newest entry.

    :param history: entries of one monitor, newest first, at least back to the one that opened the newest episode
    :param policy: as the DAG has it; without it thresholds come from the entries' own words
    """
    newest, steps = history[0], _steps(history)
    episode = f", episode {newest.episode}" if newest.episode else ""
    blind = ", but it is blind" if newest.blind_since is not None else ""
    return Explanation(
        standing=(
            f"{newest.model} {newest.monitor} is {newest.state} since {_day(steps[-1].event_time)}{episode}: "
            f"{_MEANING[newest.state]}{blind}."
        ),
        because=tuple(_because(newest, steps, policy)),
        waits_for=tuple(_waits_for(newest, policy)),
    )


def _steps(history: Sequence[MonitorEntry]) -> list[MonitorEntry]:
    """Return the entry with which the state began, and where an episode led there also its earlier steps, in order."""
    entered = [
        entry
        for entry, before in zip(history, [*history[1:], None], strict=True)
        if before is None or (entry.state, entry.episode) != (before.state, before.episode)
    ]
    newest = history[0]
    if newest.state not in (_S.RETRAINING, _S.ENDED):
        return entered[:1]
    opened = next((place for place, entry in enumerate(entered) if entry.state is _S.DEGRADED), 0)
    return [entry for entry in entered[opened::-1] if entry.episode == newest.episode]


def _because(newest: MonitorEntry, steps: Sequence[MonitorEntry], policy: Policy | None) -> Iterator[str]:
    for step in steps:
        reason = f": {step.reason}" if step.reason else ""
        yield f"{step.action.capitalize()} ({step.by}, {_minute(step.at)}){reason}."
    if newest.blind_since is not None:
        yield (
            f"Blind since {_day(newest.blind_since)}: the newest usable point is of {_day(newest.heard_at)}; "
            "labels are late, scoring fails, or there are too few samples."
        )
    if newest.state is _S.CANDIDATE:
        yield from _seen_in_bake(newest, policy)
    elif not newest.evidence:
        yield "No point counts yet for the version that is live."
    elif policy is not None and describe(policy, newest.evidence) not in steps[-1].reason:
        yield from _seen(newest, policy)
    elif newest.action == "heard" and newest.blind_since is None:
        yield f"Heard since, up to {_day(newest.evidence[-1].event_time)}: {newest.reason}."
    if newest.rejections:
        runs = "training run" if newest.rejections == 1 else f"{newest.rejections} training runs in a row"
        yield f"The last {runs} brought no new champion."
    if policy is not None and policy.digest != newest.policy_digest:
        yield (
            f"This policy ({policy.digest[:12]}) is not the one of the newest entry ({newest.policy_digest[:12]}): "
            "what follows from it was not decided yet."
        )


def _seen(newest: MonitorEntry, policy: Policy) -> Iterator[str]:
    bad = sum(policy.is_bad(item.value) for item in newest.evidence)
    yield f"{bad} of the last {len(newest.evidence)} points of {policy.metric} are bad: {_points(newest.evidence)}."
    limit = policy.enter if policy.exit is None else policy.exit
    yield (
        f"Bad begins at {_limit(policy.enter)}, good at {_limit(limit)}, "
        f"{'inside' if policy.direction == 'band' else policy.direction} is better; an episode needs "
        f"{policy.breaches} bad of {policy.window} points."
    )


def _seen_in_bake(newest: MonitorEntry, policy: Policy | None) -> Iterator[str]:
    if not newest.evidence:
        yield "Neither version was scored since the promotion."
        return
    yield f"Points since the promotion: {_points(newest.evidence)}."
    if policy is not None:
        yield _bake_so_far(newest, policy)


def _bake_so_far(newest: MonitorEntry, policy: Policy) -> str:
    paired = [item for item in newest.evidence if item.previous is not None][-policy.window :]
    worse = sum(loss(policy, item) > margin(policy) for item in paired)
    return (
        f"Worse than the version before by more than {margin(policy):g}: {worse} of {len(paired)} paired points; "
        f"{policy.breaches} of {policy.window} would take it back."
    )


def _waits_for(newest: MonitorEntry, policy: Policy | None) -> Iterator[str]:
    if newest.state is _S.DEGRADED:
        yield f"The run {newest.run_id}: the next evaluation asks for it, and its training task accepts the episode."
        if policy is not None:
            yield f"If it does not begin to train by {_deadline(newest, policy, 'accept_within')}, the episode ends."
    elif newest.state is _S.RETRAINING:
        yield f"The run {newest.run_id}: it promotes a version, or ends and with it the episode."
        if policy is not None:
            yield f"If it has not ended by {_deadline(newest, policy, 'finish_within')}, the episode ends."
    elif newest.state is _S.CANDIDATE:
        yield from _bake_waits_for(newest, policy)
    elif newest.state is _S.HALTED:
        after = "goes on watching the promotion" if newest.bake_since is not None else "begins anew as HEALTHY"
        options = f"{newest.model} --monitor {newest.monitor}"
        yield f"A person: 'exia monitor resume {options} --reason TEXT'; it then {after}."
    else:
        yield from _judged_waits_for(newest, policy)
    if newest.blind_since is not None and newest.state is not _S.CANDIDATE:
        yield "A usable point, which ends the blindness."


def _bake_waits_for(newest: MonitorEntry, policy: Policy | None) -> Iterator[str]:
    begun = newest.bake_since or newest.event_time
    if policy is None:
        yield f"The end of the bake that began on {_day(begun)}, or a breach, which takes the promotion back."
        return
    end = begun + policy.duration("bake")
    if is_breached(policy, newest.evidence):
        yield "The next evaluation: the bake is breached, and it takes the promotion back."
    elif newest.event_time < end:
        yield f"The end of the bake on {_day(end)} ({policy.bake} after it began), or a breach."
    else:
        yield "A point that both versions were scored on: the bake's time is over, but nothing fresh says how it went."


def _judged_waits_for(newest: MonitorEntry, policy: Policy | None) -> Iterator[str]:
    if policy is None:
        yield "The next points."
        if newest.last_action_at is not None and newest.state is not _S.HEALTHY:
            yield f"A cooldown may hold the next episode back; the last was opened on {_day(newest.last_action_at)}."
        return
    following = f"episode {newest.episode + 1}"
    earliest = may_act_at(policy, newest)
    held_back = f" before {_day(earliest)} ({_cooldown(newest, policy)})" if earliest is not None else ""
    is_held_back = earliest is not None and newest.event_time < earliest
    if not newest.evidence or not is_sick(policy, newest.evidence):
        yield f"The next points: with {policy.breaches} bad of {policy.window}, {following} is opened."
        if is_held_back:
            yield f"No episode is opened{held_back}."
    elif is_held_back:
        yield f"The cooldown: {following} is not opened{held_back}, and only if the points are still bad then."
    elif newest.blind_since is not None:
        yield "A fresh point: what was seen is bad enough, but too old to act on."
    else:
        yield f"The next evaluation: the points are bad enough for {following}."
    yield _budget(newest, policy)
    if policy.max_age is not None and newest.blind_since is None:
        yield f"A usable point by {_day(newest.heard_at + policy.duration('max_age'))}; without one it is blind."


def _cooldown(newest: MonitorEntry, policy: Policy) -> str:
    factor = f" x {2 ** (newest.rejections - 1)} after {newest.rejections} in vain" if newest.rejections > 1 else ""
    return f"cooldown of {policy.cooldown}{factor}"


def _budget(newest: MonitorEntry, policy: Policy) -> str:
    start = newest.event_time - policy.duration("budget_window")
    spent = sum(moment > start for moment in newest.recent_actions)
    halts = ": instead of the next one it halts" if spent >= policy.budget else ""
    return f"{spent} of {policy.budget} episodes within {policy.budget_window} are spent{halts}."


def _deadline(newest: MonitorEntry, policy: Policy, name: str) -> str:
    limit: timedelta = policy.duration(name)
    return f"{_minute(newest.state_since + limit)} ({getattr(policy, name)} of wall time)"


def _points(evidence: Sequence[Evidence]) -> str:
    return ", ".join(
        f"{item.value:.4g}{f' against {item.previous:.4g}' if item.previous is not None else ''} on "
        f"{_day(item.event_time)}"
        for item in evidence
    )


def _limit(threshold: object) -> str:
    return f"{threshold[0]:g} and {threshold[1]:g}" if isinstance(threshold, tuple) else f"{threshold:g}"


def _day(moment: datetime) -> str:
    text = _minute(moment)
    return text.removesuffix(" 00:00Z")


def _minute(moment: datetime) -> str:
    return to_text(moment)[:16].replace("T", " ") + "Z"
