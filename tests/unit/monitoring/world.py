"""A monitored model in a small world: a real journal, real points; an alias and training runs that the test moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_exia.monitoring.acceptance import RetrainRequest, accept
from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry
from airflow_provider_exia.monitoring.evaluation import (
    AliasPosition,
    Evaluation,
    Evaluator,
    RollbackOutcome,
    RunState,
)
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.points import Point, PointLog
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.documents import DocumentStore

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(weeks=1)
MODEL, MONITOR, METRIC = "delay", "watch", "loss"


def weeks(number: float) -> datetime:
    """Return the event time of a week."""
    return START + number * WEEK


def policy_of(**values: Any) -> Policy:
    """Return a policy: bad from 0.2, good from 0.18, 2 of 3, three weeks of cooldown and of bake."""
    standard: dict[str, Any] = {
        "metric": METRIC,
        "enter": 0.2,
        "exit": 0.18,
        "breaches": 2,
        "window": 3,
        "max_age": "10d",
        "cooldown": "3w",
        "bake": "3w",
        "min_gain": 0.01,
        "budget_window": "365d",
    }
    return Policy(**standard | values)


def point_of(value: float | None, at: datetime, **values: Any) -> Point:
    """Return a point of the live version 1."""
    standard: dict[str, Any] = {"model": MODEL, "monitor": MONITOR, "metric": METRIC, "version": 1, "samples": 100}
    return Point(value=value, event_time=at, **standard | values)


def entry_of(state: MonitorState = MonitorState.HEALTHY, **values: Any) -> MonitorEntry:
    """Return an entry of a monitor that began at the start."""
    standard: dict[str, Any] = {
        "model": MODEL,
        "monitor": MONITOR,
        "sequence": 1,
        "watching": 1,
        "event_time": START,
        "at": START,
        "state_since": START,
        "action": "begun",
        "by": "test",
        "policy_digest": "0",
        "heard_at": START,
    }
    return MonitorEntry(state=state, **standard | values)


def evidence_of(*values: float, until: datetime = START, previous: float | None = None) -> tuple[Evidence, ...]:
    """Return weekly evidence that ends at a moment."""
    first = until - (len(values) - 1) * WEEK
    return tuple(
        Evidence(event_time=first + week * WEEK, value=value, samples=100, previous=previous)
        for week, value in enumerate(values)
    )


@dataclass
class ManualClock:
    """Wall time that passes only when told."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("monitoring never waits")


@dataclass
class World:
    """The surroundings of one monitor: an alias, training runs and a clock; and what a test does to them.

    :param documents: where the monitor's journal and points lie
    :param before_answer: called with the name of a question before it is answered, to let things happen in between
    """

    documents: DocumentStore
    policy: Policy = field(default_factory=policy_of)
    shadow: bool = False
    clock: ManualClock = field(default_factory=ManualClock)
    since: int = 1
    promoted: bool = True
    stack: tuple[int, ...] = (1,)
    why: str = ""
    runs: dict[str, RunState] = field(default_factory=dict)
    rollbacks: list[tuple[int, str]] = field(default_factory=list)
    before_answer: Callable[[str], None] = lambda _question: None
    by: str = "test"

    def __post_init__(self) -> None:
        tickets = itertools.count(1)
        self.stores = MonitorStores(
            documents=self.documents, clock=self.clock, new_token=lambda: f"ticket-{next(tickets)}"
        )
        self.journal = MonitorJournal(self.stores, MODEL, MONITOR)
        self.points = PointLog(self.documents)

    # What an evaluation asks.

    def position(self) -> AliasPosition:
        self.before_answer("position")
        return AliasPosition(since=self.since, promoted=self.promoted, stack=self.stack, reason=self.why)

    def run_state(self, run_id: str) -> RunState:
        self.before_answer("run_state")
        return self.runs.get(run_id, RunState.ABSENT)

    def roll_back(self, *, expected: int, token: str, reason: str) -> tuple[RollbackOutcome, int]:
        self.before_answer("roll_back")
        for sequence, done in self.rollbacks:
            if done == token:
                return RollbackOutcome.DONE, sequence
        if expected != self.since:
            return RollbackOutcome.MOVED, 0
        if len(self.stack) < 2:
            return RollbackOutcome.NOTHING_OLDER, 0
        self.move_back(reason)
        self.rollbacks.append((self.since, token))
        return RollbackOutcome.DONE, self.since

    # What a test does.

    def evaluate(self, at: datetime) -> Evaluation:
        return Evaluator(
            journal=self.journal,
            points=self.points,
            policy=self.policy,
            surroundings=self,
            event_time=at,
            by=self.by,
            shadow=self.shadow,
        ).run()

    def hear(self, at: datetime, *values: float | None, previous: float | None = None, **fields: Any) -> Evaluation:
        """Record a value of the live version (and one of the version before it) for a moment, and evaluate then."""
        for value in values:
            self.points.record(point_of(value, at, **{"version": self.live} | fields))
        if previous is not None:
            self.points.record(point_of(previous, at, **{"version": self.stack[1]} | fields))
        return self.evaluate(at)

    def promote(self, version: int, why: str = "better") -> None:
        rest = tuple(one for one in self.stack if one != version)
        self.since, self.promoted, self.stack, self.why = self.since + 1, True, (version, *rest), why

    def move_back(self, why: str = "worse") -> None:
        self.since, self.promoted, self.stack, self.why = self.since + 1, False, self.stack[1:], why

    def begin_training(self) -> MonitorEntry:
        """Let the run of the newest episode be there and accept."""
        newest = self.newest
        self.runs[newest.run_id] = RunState.ACTIVE
        request = RetrainRequest(monitor=MONITOR, episode=newest.episode, ticket=self.stores.new_token())
        return accept(self.journal, request, by="training")

    def end_training(self, ending: RunState) -> None:
        self.runs[self.newest.run_id] = ending

    @property
    def live(self) -> int:
        return self.stack[0] if self.stack else 0

    @property
    def newest(self) -> MonitorEntry:
        entry = self.journal.newest()
        assert entry is not None
        return entry

    @property
    def told(self) -> list[tuple[str, int, str]]:
        """State, episode and action of every entry, oldest first."""
        return [(entry.state.value, entry.episode, entry.action) for entry in reversed(self.journal.history())]
