"""The evaluation of a monitor: the only decider, and the sweep that finishes what others left.

It repeats its steps until nothing is left to do. Every change is one appended entry; after a conflict or a lost reply
it reads again. It triggers nothing itself: an episode without a run is handed on as open work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.monitoring.bake import describe_breach
from airflow_provider_exia.monitoring.decide import Versions, breach, decide
from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry
from airflow_provider_exia.monitoring.journal import MonitorJournal
from airflow_provider_exia.monitoring.points import Point, PointLog
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import EPISODE_OPEN, MonitorState
from airflow_provider_exia.storage.documents import StorageError, WriteConflict, WriteUnknown

_MOST_STEPS = 50


class RunState(StrEnum):
    """What is known of a training run."""

    ABSENT = "absent"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RollbackOutcome(StrEnum):
    """What became of an automatic rollback."""

    DONE = "done"
    MOVED = "moved"
    NOTHING_OLDER = "nothing older"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasPosition:
    """Where the watched alias stands, read from one entry of the model's journal.

    :param since: sequence of its last move; 0: never moved
    :param promoted: whether that move was a promotion
    :param stack: version numbers, the live one first
    :param reason: why it was moved, in words
    """

    since: int
    promoted: bool
    stack: tuple[int, ...]
    reason: str = ""

    @property
    def versions(self) -> Versions:
        """The live version and the one before it."""
        return Versions(
            live=self.stack[0] if self.stack else 0, previous=self.stack[1] if len(self.stack) > 1 else None
        )


class Surroundings(Protocol):
    """What an evaluation needs from the model library and from Airflow."""

    def position(self) -> AliasPosition:
        """Return where the alias stands now."""

    def run_state(self, run_id: str) -> RunState:
        """Return what became of a training run."""

    def roll_back(self, *, expected: int, token: str, reason: str) -> tuple[RollbackOutcome, int]:
        """Roll the alias back if it still is at the move ``expected``.

        :returns: the outcome, and the sequence of the rollback's entry (0 without one)
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWork:
    """An episode whose training run does not exist: the next task triggers it.

    :param run_id: computed, so that at most one such run exists
    :param monitor: the monitor's name
    :param episode: number of the episode
    """

    run_id: str
    monitor: str
    episode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation ends with.

    :param entry: the monitor's newest entry
    :param open_work: what the next task has to trigger, or None
    """

    entry: MonitorEntry
    open_work: OpenWork | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """One evaluation of one monitor.

    :param journal: of the monitor
    :param points: all points
    :param policy: the literal of the DAG
    :param surroundings: the alias and the training runs
    :param event_time: of the evaluation
    :param by: who evaluates
    :param shadow: decide and record, never act
    """

    journal: MonitorJournal
    points: PointLog
    policy: Policy
    surroundings: Surroundings
    event_time: datetime
    by: str
    shadow: bool = False

    def run(self) -> Evaluation:
        """Evaluate until nothing is left to do.

        :raises OutcomeUnknown: others kept writing, or the store stopped answering: evaluate again
        """
        last: StorageError | None = None
        for _ in range(_MOST_STEPS):
            try:
                evaluation = self._step()
            except (WriteConflict, WriteUnknown) as error:
                last = error
                continue
            if evaluation is not None:
                return evaluation
        operation = f"evaluate monitor {self.journal.monitor} of {self.journal.model}"
        raise OutcomeUnknown(operation=operation, token=self.by, reason=last) from last

    def _step(self) -> Evaluation | None:
        """Make one change and return None, or return what the evaluation ends with."""
        entry = self.journal.newest()
        position = self.surroundings.position()
        if entry is None:
            self._begin(position)
            return None
        if position.since != entry.watching:
            self._append(entry, _follow(entry, position, max(self.event_time, entry.event_time)))
            return None
        if entry.state in EPISODE_OPEN:
            return self._look_after_episode(entry, position)
        if evidence := breach(self.policy, entry, self._new_points(entry), self.event_time, position.versions):
            self._undo(entry, position, evidence)
            return None
        return self._decide(entry, position)

    def _look_after_episode(self, entry: MonitorEntry, position: AliasPosition) -> Evaluation | None:
        """End an episode that cannot succeed any more, or hand on one that nobody has triggered."""
        if self.shadow:
            self._end(entry, "shadow", "in shadow nothing is trained", rejections=entry.rejections)
            return None
        run = self.surroundings.run_state(entry.run_id)
        ending = self._ending(entry, run)
        if ending is not None:
            # The run may have promoted after the alias was read and before the run's end was.
            if self.surroundings.position().since == position.since:
                self._end(entry, *ending, rejections=entry.rejections + 1)
            return None
        if entry.state is MonitorState.DEGRADED and run is RunState.ABSENT:
            work = OpenWork(run_id=entry.run_id, monitor=entry.monitor, episode=entry.episode)
            return Evaluation(entry=entry, open_work=work)
        return self._decide(entry, position)

    def _ending(self, entry: MonitorEntry, run: RunState) -> tuple[str, str] | None:
        """Return why an open episode is over, in a word and in words, or None."""
        waited = self.journal.stores.clock.now() - entry.state_since
        if entry.state is MonitorState.DEGRADED:
            if run in (RunState.SUCCEEDED, RunState.FAILED):
                return "failed", f"run {entry.run_id} ended before it began to train"
            if run is RunState.ACTIVE and waited > self.policy.duration("accept_within"):
                return "failed", f"run {entry.run_id} did not begin to train within {self.policy.accept_within}"
            return None
        if run is RunState.SUCCEEDED:
            return "refused", f"run {entry.run_id} ended without a promotion"
        if run in (RunState.FAILED, RunState.ABSENT):
            return "failed", f"run {entry.run_id} is {run}"
        if waited > self.policy.duration("finish_within"):
            return "failed", f"run {entry.run_id} did not end within {self.policy.finish_within}"
        return None

    def _end(self, entry: MonitorEntry, action: str, reason: str, *, rejections: int) -> None:
        after = replace(
            entry,
            state=MonitorState.ENDED,
            action=action,
            reason=reason,
            rejections=rejections,
            event_time=max(self.event_time, entry.event_time),
        )
        self._append(entry, after)

    def _undo(self, entry: MonitorEntry, position: AliasPosition, evidence: Sequence[Evidence]) -> None:
        """Take back the very promotion that was watched, never a newer one."""
        reason = describe_breach(self.policy, evidence)
        now = max(self.event_time, entry.event_time)
        breached = replace(entry, evidence=tuple(evidence), reason=reason, event_time=now)
        if self.shadow:
            self._append(entry, replace(breached, state=MonitorState.HEALTHY, action="breached", bake_since=None))
            return
        outcome, sequence = self.surroundings.roll_back(
            expected=entry.watching, token=f"auto:{entry.monitor}:{entry.watching}", reason=reason
        )
        crash_point("monitor.rolled-back")
        if outcome is RollbackOutcome.DONE:
            # What the next evaluation would write by itself, had this one died here.
            back = AliasPosition(since=sequence, promoted=False, stack=position.stack[1:], reason=reason)
            self._append(entry, _follow(entry, back, now))
        elif outcome is RollbackOutcome.NOTHING_OLDER:
            self._append(entry, replace(breached, state=MonitorState.HALTED, action="halted"))

    def _begin(self, position: AliasPosition) -> None:
        self.journal.begin(
            state=MonitorState.HEALTHY,
            watching=position.since,
            event_time=self.event_time,
            by=self.by,
            policy_digest=self.policy.digest,
        )

    def _decide(self, entry: MonitorEntry, position: AliasPosition) -> Evaluation | None:
        after = decide(self.policy, entry, self._new_points(entry), self.event_time, position.versions)
        if after is None:
            return Evaluation(entry=entry)
        self._append(entry, after)
        return None

    def _new_points(self, entry: MonitorEntry) -> Sequence[Point]:
        oldest = entry.evidence[0].event_time if entry.evidence else entry.counts_from
        return self.points.since(entry.model, entry.monitor, oldest)

    def _append(self, before: MonitorEntry, after: MonitorEntry) -> None:
        self.journal.append(before, after, by=self.by, policy_digest=self.policy.digest)


def _follow(entry: MonitorEntry, position: AliasPosition, now: datetime) -> MonitorEntry:
    """Return the entry after somebody moved the alias: a promotion is baked, whoever made it; a rollback never."""
    state = MonitorState.CANDIDATE if position.promoted else MonitorState.ROLLED_BACK
    live = f"version {position.versions.live} is live since move {position.since} of the alias"
    return replace(
        entry,
        state=entry.state if entry.state is MonitorState.HALTED else state,
        watching=position.since,
        action="promoted" if position.promoted else "rolled back",
        reason=f"{live}: {position.reason}" if position.reason else live,
        evidence=(),
        counts_from=now,
        event_time=now,
        bake_since=now if position.promoted else None,
        heard_at=now,
        blind_since=None,
        rejections=0 if position.promoted else entry.rejections,
    )
