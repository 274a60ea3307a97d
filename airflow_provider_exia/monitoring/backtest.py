"""What a policy would have done with a history of points.

The evaluation that decides in Airflow runs here over a journal in memory: event time is the only clock, and a training
run is a word of the caller's. The values stay as they were measured: nobody can know how another model would have done.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.acceptance import RetrainRequest, accept
from airflow_provider_exia.monitoring.evaluation import AliasPosition, Evaluator, RollbackOutcome, RunState
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.points import Point, PointLog
from airflow_provider_exia.storage.documents import StoreRefused

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.policy import Policy
    from airflow_provider_exia.storage.documents import Collection, Document, Query

_BY = "backtest"
_AFTER_THE_LIMIT = timedelta(seconds=1)


class Outcome(StrEnum):
    """How every training run of a back-test ends."""

    REFUSED = "refused"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value of a history.

    :param event_time: aware
    :param value: None for a period without one
    :param samples: labelled samples behind it; 0: unknown
    :param version: the version that was live; where it changes, the alias moved; None: unknown
    :param previous: value of the version before it on the same data, where it was scored too
    """

    event_time: datetime
    value: float | None
    samples: int = 0
    version: int | None = None
    previous: float | None = None


def backtest(
    policy: Policy, readings: Iterable[Reading], *, outcome: Outcome = Outcome.REFUSED, model: str = "model"
) -> list[MonitorEntry]:
    """Return the journal that a monitor would have written, oldest entry first.

    The monitor is evaluated at each event time of the history, and where it would have fallen blind in between.

    :param readings: in any order
    :param outcome: how every training run ends: refused, or promoted as a further version
    :param model: what the entries call the model; the monitor is called like the metric
    :raises InvalidInput: the policy has no thresholds, or one measurement has two values
    """
    policy.require_thresholds()
    history = sorted(readings, key=lambda reading: reading.event_time)
    _refuse_two_values(history)
    replay = _Replay(policy, history, outcome, model)
    for moment in _evaluation_times(policy, history):
        replay.live_until(moment)
    return replay.journal.history()[::-1]


def _refuse_two_values(history: Sequence[Reading]) -> None:
    known: dict[tuple[datetime, int, int | None], Reading] = {}
    for reading in history:
        standing = known.setdefault((reading.event_time, reading.samples, reading.version), reading)
        if (standing.value, standing.previous) != (reading.value, reading.previous):
            raise InvalidInput(
                f"two values at {reading.event_time.isoformat()}, {standing.value} and {reading.value}: a measurement "
                "with more labels needs a higher number of samples"
            )


def _evaluation_times(policy: Policy, history: Sequence[Reading]) -> Iterator[datetime]:
    longest = policy.duration("max_age") if policy.max_age is not None else None
    evaluated: datetime | None = None
    heard: datetime | None = None
    for reading in history:
        moment = reading.event_time
        if longest is not None and heard is not None and evaluated is not None:
            silent = heard + longest + _AFTER_THE_LIMIT
            if evaluated < silent < moment:
                yield silent
        if moment != evaluated:
            yield moment
        evaluated = moment
        if reading.value is not None and reading.samples >= policy.min_samples:
            heard = moment


class _Replay:
    """A monitor, its alias and its training runs, as an evaluation meets them.

    :param policy: what is tried
    :param history: in the order of event time
    :param outcome: of every training run
    :param model: the model's name
    """

    def __init__(self, policy: Policy, history: Sequence[Reading], outcome: Outcome, model: str) -> None:
        self._policy, self._history, self._outcome = policy, history, outcome
        self._paired_at = [reading.event_time for reading in history if reading.previous is not None]
        self._taken = 0
        self._alias = _Alias()
        self._now = datetime.min.replace(tzinfo=UTC)
        documents = _Memory()
        stores = MonitorStores(documents=documents, clock=self, new_token=lambda: _BY)
        self.journal = MonitorJournal(stores, model, policy.metric)
        self._points = PointLog(documents)

    def live_until(self, moment: datetime) -> None:
        """Take in what was measured up to a moment, and evaluate there."""
        self._now = moment
        while self._taken < len(self._history) and self._history[self._taken].event_time <= moment:
            self._take(self._history[self._taken])
            self._taken += 1
        evaluation = Evaluator(
            journal=self.journal,
            points=self._points,
            policy=self._policy,
            surroundings=self,
            event_time=moment,
            by=_BY,
        ).run()
        if evaluation.open_work is not None:
            work = evaluation.open_work
            accept(self.journal, RetrainRequest(monitor=work.monitor, episode=work.episode, ticket=_BY), by=_BY)
            if self._outcome is Outcome.PROMOTED:
                self._alias.promote(None, paired=self._is_paired_after(moment))

    def _take(self, reading: Reading) -> None:
        self._alias.follow(reading.version, paired=self._is_paired_after(reading.event_time))
        live, *before = self._alias.stack
        if self._alias.has_left(reading.version):  # the history's value is of a version that was taken back here
            self._record(reading, live, reading.previous)
            return
        self._record(reading, live, reading.value)
        if reading.previous is not None and before:
            self._record(reading, before[0], reading.previous)

    def _record(self, reading: Reading, version: int, value: float | None) -> None:
        point = Point(
            model=self.journal.model,
            monitor=self.journal.monitor,
            metric=self._policy.metric,
            version=version,
            event_time=reading.event_time,
            samples=reading.samples,
            value=value,
        )
        self._points.record(point)

    def _is_paired_after(self, moment: datetime) -> bool:
        """Say whether the history tells, for a bake begun then, how the version before would have done."""
        index = bisect_left(self._paired_at, moment)
        return index < len(self._paired_at) and self._paired_at[index] <= moment + self._policy.duration("bake")

    # What an evaluation asks its surroundings.

    def position(self) -> AliasPosition:
        """Return where the alias stands."""
        return self._alias.position

    def run_state(self, run_id: str) -> RunState:
        """Return what became of a training run: it is over by the next evaluation."""
        newest = self.journal.newest()
        accepted = newest is not None and newest.ticket is not None and newest.run_id == run_id
        return RunState.SUCCEEDED if accepted else RunState.ABSENT

    def roll_back(self, *, expected: int, token: str, reason: str) -> tuple[RollbackOutcome, int]:
        """Take the newest promotion back."""
        if len(self._alias.stack) < 2:
            return RollbackOutcome.NOTHING_OLDER, 0
        self._alias.roll_back()
        return RollbackOutcome.DONE, self._alias.since

    # The clock of the journal: event time.

    def now(self) -> datetime:
        """Return the event time of the evaluation."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds of event time."""
        return self._now.timestamp()

    def sleep(self, seconds: float) -> None:
        """Wait for nothing."""


class _Alias:
    """The watched alias. Versions are numbered anew: a back-test may promote some that never were."""

    def __init__(self) -> None:
        self.since, self._promoted, self._newest = 1, True, 1
        self._stack: list[tuple[int, int | None]] = [(1, None)]  # number here, number in the history
        self._told: list[int] = []  # the history's own stack
        self._taken_back: set[int | None] = set()  # versions of the history that are not live here any more
        self._paired = True

    @property
    def stack(self) -> tuple[int, ...]:
        """Numbers of the versions, the live one first."""
        return tuple(number for number, _told in self._stack)

    @property
    def position(self) -> AliasPosition:
        """As an evaluation reads it; a version before that nobody scored counts as none."""
        stack = self.stack if self._paired else self.stack[:1]
        return AliasPosition(since=self.since, promoted=self._promoted, stack=stack)

    def has_left(self, told: int | None) -> bool:
        """Say whether the history's live version was taken back here."""
        return told is not None and told in self._taken_back

    def promote(self, told: int | None, *, paired: bool) -> None:
        """Make a further version live."""
        self._taken_back.discard(told)
        self._newest += 1
        self._stack.insert(0, (self._newest, told))
        self.since, self._promoted, self._paired = self.since + 1, True, paired

    def roll_back(self) -> None:
        """Make the version before live again."""
        self._taken_back.add(self._stack.pop(0)[1])
        self.since, self._promoted = self.since + 1, False

    def follow(self, told: int | None, *, paired: bool) -> None:
        """Move as the history did where it names another version than before."""
        if told is None or self._told[:1] == [told]:
            return
        if not self._told:
            self._told, self._stack[0] = [told], (self._stack[0][0], told)
            return
        goes_back, leaves = self._told[1:2] == [told], self._told[0]
        self._told = self._told[1:] if goes_back else [told, *self._told]
        if goes_back and leaves in self._taken_back:  # the back-test went back before
            return
        if goes_back and len(self._stack) > 1:
            self.roll_back()
        else:
            self.promote(told, paired=paired)


class _Memory:
    """A document store for one monitor that writes its documents in order and changes none."""

    def __init__(self) -> None:
        self._documents: dict[str, list[Document]] = {}

    def insert(self, collection: Collection, document: Document) -> None:
        """Keep a document."""
        self._documents.setdefault(collection.name, []).append(document)

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents in order of their writing, or the newest first."""
        kept = self._documents.get(collection.name, [])
        if query.descending:
            return kept[: -query.limit - 1 : -1] if query.limit is not None else kept[::-1]
        if query.at_least is None:
            return list(kept)
        return kept[bisect_left(kept, query.at_least, key=lambda document: _field(document, query.order)) :]

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        """Refuse: no journal changes what it wrote."""
        raise StoreRefused("a back-test: no journal changes what it wrote")

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        """Refuse: nothing here is asked for by key."""
        raise StoreRefused("a back-test: nothing here is asked for by key")

    def next_number(self, counter: str) -> int:
        """Refuse: nothing here is counted."""
        raise StoreRefused("a back-test: nothing here is counted")

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Refuse: journals and points are kept."""
        raise StoreRefused("a back-test: journals and points are kept")

    def close(self) -> None:
        """Release nothing."""


def _field(document: Document, name: str) -> Any:
    return document[name]
