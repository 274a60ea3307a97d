"""One run of several actors on one memory: who goes on next, and what becomes of each write, is chosen from outside.

Each actor is a greenlet that runs the library's real code. At a store call it hands the baton to the scheduler and
waits for a reply, so a run is a list of choices and can be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import ModelLibraryError
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.monitoring.requests import RequestRefused
from airflow_provider_exia.storage.documents import Key, StoreRefused, StoreUnavailable, WriteConflict, WriteUnknown
from tests.simulation.airflow_runs import OWN_WORK
from tests.simulation.operations import Operation
from tests.simulation.stores import Call, Memory, SimulatedBlobs, SimulatedDocuments

logging.getLogger(Attempts.__module__).setLevel(logging.ERROR)  # stores are away here hundreds of thousands of times

_MOST_STEPS = 400
"""No run needs half as many; one that goes on longer does not end."""
START = datetime(2024, 1, 1, tzinfo=UTC)


class Fate(StrEnum):
    """What becomes of a call, or of a request that was put aside."""

    REPLY = "reply"
    LATE = "late"
    """No answer; the request is put aside and may land at any later choice, or never."""
    DEATH = "death"
    """The process dies; its request is put aside. It starts again with the same work key or token."""
    REPEATED = "repeated"
    """The request is done, and the answer is a conflict: a driver repeated it."""
    TWICE = "twice"
    """The request is done, and a copy of it is put aside: a client sent it twice."""
    FORGOTTEN = "forgotten"
    """The store acknowledges a put that it does not keep."""
    UNAVAILABLE = "unavailable"
    """A definite no for now: nothing is done."""
    REFUSED = "refused"
    """A definite no for good: nothing is done."""
    DEADLINE = "deadline"
    """The answer comes, but so late that the operation gives up at its next failure."""
    LAND = "land"
    """A request that was put aside takes effect."""


USUAL_FAULTS = (Fate.LATE, Fate.DEATH, Fate.REPEATED)


@dataclass(frozen=True, slots=True)
class Choice:
    """One step of a run.

    :param fate: what happens
    :param index: the actor it happens to; for ``LAND`` the request put aside
    """

    fate: Fate
    index: int


class OutcomeKind(StrEnum):
    """How an operation ended."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    """An error that no operation may end with."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an operation.

    :param kind: done, refused, ...
    :param value: what it returned, or the error's type and message
    """

    kind: OutcomeKind
    value: Hashable


class _Killed(BaseException):
    """The process is dead; no code of the library catches this."""


@dataclass(slots=True)
class SimulatedClock:
    """Time is a number: it stands still unless the scheduler sets it."""

    moment: datetime
    seconds: float = 0.0

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Do not wait."""


@dataclass(slots=True)
class Actor:
    """One process that does one operation, again after each death.

    :param name: signs its entries
    :param operation: what it does
    :param clock: its own; no two actors agree on the time
    :param library: the real one, once the run has begun
    :param waiting: the call at which it waits; None when it has ended
    :param history: all replies it had since it last started: with the operation they are its whole state
    :param sent: whether a write that it made since then was done, or may still be
    :param tokens: how many tokens it made, in all its lives
    :param lives: how often it was started
    :param outcome: how it ended
    """

    name: str
    operation: Operation
    clock: SimulatedClock
    library: Any = None
    thread: Any = None
    waiting: Call | None = None
    history: Hashable = ()
    sent: bool = False
    tokens: int = 0
    lives: int = 0
    outcome: Outcome | None = None

    def state(self) -> Hashable:
        """Return what its future depends on."""
        return self.outcome if self.outcome is not None else (self.history, self.tokens)

    @property
    def can_go_on(self) -> bool:
        """Whether it waits for a call that can be answered now."""
        return self.waiting is not None and self.waiting.ready()

    def new_token(self) -> str:
        """Return a token that nobody had before."""
        self.tokens += 1
        return f"{self.name} {self.tokens}"

    def body(self) -> None:
        """Do the operation."""
        do = self.operation.run if self.lives == 1 else self.operation.run_again
        try:
            self.outcome = Outcome(OutcomeKind.DONE, do(self.library))
        except _Killed:
            return
        except OutcomeUnknown as error:
            self.outcome = Outcome(OutcomeKind.UNKNOWN, str(error))
        except (StoreUnavailable, StoreRefused) as error:
            self.outcome = Outcome(OutcomeKind.UNAVAILABLE, "after a write" if self.sent else str(error))
        except (ModelLibraryError, RequestRefused) as error:
            self.outcome = Outcome(OutcomeKind.REFUSED, f"{type(error).__name__}: {error}")
        except Exception as error:  # whatever else comes out of an operation is a finding
            self.outcome = Outcome(OutcomeKind.BROKEN, f"{type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may go wrong.

    :param faults: how many times
    :param fates: in which ways
    :param unguarded: unique keys that the store does not enforce (only when a guard is taken away)
    :param compares_revisions: whether the store looks at the revision in a swap (likewise)
    :param keys_hold_numbers: whether the key of a blob holds its version's number (likewise)
    :param steady: reads, by method and collection, of what no actor of the scenario changes: the order in which they
        are done cannot matter, so nobody waits with them
    """

    faults: int = 1
    fates: Sequence[Fate] = USUAL_FAULTS
    unguarded: frozenset[Key] = frozenset()
    compares_revisions: bool = True
    keys_hold_numbers: bool = True
    steady: frozenset[tuple[str, str]] = frozenset()


@dataclass(slots=True)
class Run:
    """One run, step by step. Use as a context: greenlets that are left over are ended.

    :param memory: changed by the run
    :param operations: one actor for each
    :param rules: what may go wrong
    :param known: a number for every state of an actor or memory that was met, shared by the runs of one exploration
    """

    memory: Memory
    operations: Sequence[Operation]
    rules: Rules
    known: dict[Hashable, int] = field(default_factory=dict)
    actors: list[Actor] = field(default_factory=list)
    aside: list[Call] = field(default_factory=list)
    faults: int = 0
    trace: list[tuple[str, str, str]] = field(default_factory=list)

    def __enter__(self) -> Run:
        for index, operation in enumerate(self.operations):
            clock = SimulatedClock(START - timedelta(hours=index) + operation.ahead)
            name = f"{index} {operation.kind}"
            actor = Actor(name, operation, clock)
            documents = SimulatedDocuments(
                self.memory, self._gate, compares_revisions=self.rules.compares_revisions, caller=name
            )
            blobs = SimulatedBlobs(self.memory, self._gate, clock)
            resources = Resources(documents=documents, blobs=blobs, clock=clock, new_token=actor.new_token)
            actor.library = ModelLibrary(resources, by=name)
            self.actors.append(actor)
            self._start(actor)
        return self

    def __exit__(self, *_error: object) -> None:
        for actor in self.actors:
            while actor.thread:
                actor.thread.throw(GreenletExit)

    @property
    def is_idle(self) -> bool:
        """Whether every actor has ended or waits for what nobody brings any more."""
        return not any(actor.can_go_on for actor in self.actors)

    @property
    def too_long(self) -> bool:
        """Whether some operation does not end."""
        return len(self.trace) > _MOST_STEPS

    def state(self) -> Hashable:
        """Return what the rest of the run depends on."""
        actors = tuple(actor.state() for actor in self.actors)
        return self._number(self.memory.content()), actors, tuple(self.aside), self.rules.faults - self.faults

    def options(self) -> list[Choice]:
        """Return everything that can happen next; the undisturbed goes first."""
        waiting = [
            (index, actor.waiting)
            for index, actor in enumerate(self.actors)
            if actor.waiting is not None and actor.can_go_on
        ]
        options = [Choice(Fate.REPLY, index) for index, _ in waiting]
        options += [Choice(Fate.LAND, index) for index in range(len(self.aside))]
        if self.faults < self.rules.faults:
            options += [
                Choice(fate, index) for index, call in waiting for fate in self.rules.fates if _can_happen(fate, call)
            ]
        return options

    def take(self, choice: Choice) -> None:
        """Let something happen."""
        if choice.fate is Fate.LAND:
            self._land(self.aside.pop(choice.index))
            return
        actor = self.actors[choice.index]
        call = actor.waiting
        assert call is not None
        self.faults += choice.fate is not Fate.REPLY
        if choice.fate is Fate.DEATH:
            self.trace.append((actor.name, str(call), "dies; the request is put aside, the same work starts again"))
            self.aside.append(call)
            self._throw(actor, _Killed())
            self._start(actor)
            return
        reply, error, seen = self._answer(actor, call, choice.fate)
        self.trace.append((actor.name, str(call), seen))
        replied = reply if error is None else seen
        actor.history = self._number((actor.history, choice.fate is Fate.DEADLINE, replied))
        if error is None:
            self._wait_for(actor, actor.thread.switch(reply))
        else:
            self._throw(actor, error)

    def _answer(self, actor: Actor, call: Call, fate: Fate) -> tuple[Hashable, Exception | None, str]:
        """Do to the store what the fate says; return the reply or the error, and what the trace shows."""
        if fate is Fate.LATE:
            actor.sent = True
            self.aside.append(call)
            return None, WriteUnknown(f"no answer to {call.name}"), "no answer; the request is put aside"
        if fate is Fate.UNAVAILABLE:
            return None, StoreUnavailable(f"no connection for {call.name}"), "refused, nothing done"
        if fate is Fate.REFUSED:
            return None, StoreRefused(f"no room for {call.name}"), "refused for good, nothing done"
        if fate is Fate.FORGOTTEN:
            return None, None, "acknowledged, not kept"
        if fate is Fate.DEADLINE:
            actor.clock.seconds += actor.library.resources.patience.total_seconds()
        try:
            reply = call.perform()
        except WriteConflict as error:
            self.faults -= fate is Fate.REPEATED  # an honest conflict
            return None, error, f"conflict on {', '.join(error.key)}"
        actor.sent |= call.writes
        if fate is Fate.TWICE:
            self.aside.append(call)
            return reply, None, "done; a second request is put aside"
        if fate is Fate.REPEATED:
            return None, WriteConflict(collection=call.subject, key=("repeated",)), "done, but answered as a conflict"
        return reply, None, "the deadline passes" if fate is Fate.DEADLINE else "done"

    def _land(self, call: Call) -> None:
        try:
            call.perform()
            seen = "lands"
        except WriteConflict as error:
            seen = f"arrives and conflicts on {', '.join(error.key)}"
        self.trace.append(("late request", str(call), seen))

    def _start(self, actor: Actor) -> None:
        actor.history, actor.sent, actor.lives = (), False, actor.lives + 1
        actor.thread = greenlet(actor.body)
        self._wait_for(actor, actor.thread.switch())

    def _throw(self, actor: Actor, error: BaseException) -> None:
        self._wait_for(actor, actor.thread.throw(error))

    def _wait_for(self, actor: Actor, call: Call | None) -> None:
        actor.waiting = None if actor.thread.dead else call
        if actor.outcome is not None and actor.outcome.kind is OutcomeKind.UNKNOWN:
            actor.outcome = None  # the error says: repeat it with the same token to find out
            self._start(actor)

    def _gate(self, call: Call) -> Any:
        """Hand the baton to the scheduler until it answers."""
        if (call.name, call.subject) in self.rules.steady:
            return call.perform()
        return getcurrent().parent.switch(call)

    def _number(self, state: Hashable) -> int:
        return self.known.setdefault(state, len(self.known))


def _can_happen(fate: Fate, call: Call) -> bool:
    if call.name in OWN_WORK:
        return False
    if fate in (Fate.UNAVAILABLE, Fate.REFUSED, Fate.DEADLINE):
        return True
    if fate is Fate.FORGOTTEN:
        return call.name == "put"
    if fate is Fate.TWICE:
        return call.name == "create run"
    if fate is Fate.REPEATED:
        return call.conditional
    return call.writes
