"""One watcher for each prefix of an agent in a process, however many wait for a change below it.

A watcher is a thread with a blocking query. It begins with the first who waits, tells all who wait what lies below the
prefix whenever that is something else, and ends when nobody waits any more. Those who wait use no thread and no
connection of their own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from airflow_provider_exia.consul.address import ConsulAddress
from airflow_provider_exia.consul.exceptions import ConsulRefused, ConsulUnavailable
from airflow_provider_exia.consul.key_values import KeyValue, KeyValues
from airflow_provider_exia.consul.keys import check_prefix

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Predicate = Callable[[Mapping[str, KeyValue]], Result | None]

WAIT_SECONDS = 10.0
"""So long an agent may hold an answer; a connection that died unnoticed is noticed after about as long again."""
MOST_REQUESTS, WINDOW_SECONDS = 3, 5.0
"""A watcher's agent gets at most so many requests in so long a time."""
SLOTS = 6
"""So many blocking queries at once to one agent; they leave connections of the shared transport to others."""
_UNDER_WAY_SECONDS = 0.2
"""Of two requests one may be longer under way than the other."""
_POLL_SECONDS, _MOST_POLLS_A_SECOND = 2.0, 20
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


def watch(key_values: KeyValues, prefix: str) -> Watch:
    """Return a way to wait for what lies below a prefix.

    Who waits for several keys should watch the prefix that they share: the first six prefixes of an agent are told of
    a change at once, further ones look every few seconds.

    :param key_values: of an agent; the watcher asks it through this process's own transport
    :param prefix: whole segments; the empty one is everything
    :raises InvalidInput: it is no prefix
    """
    return Watch(key_values.address, check_prefix(prefix))


@dataclass(frozen=True, slots=True)
class Watch:
    """A way to wait for what lies below a prefix; it costs nothing until somebody waits.

    :param address: of the agent
    :param prefix: empty, or ending in ``/``
    """

    address: ConsulAddress
    prefix: str

    def wait_for(self, predicate: Predicate[Result], timeout: timedelta) -> Result | None:
        """Block until a predicate returns something for the keys below the prefix.

        What it is given may be a few seconds older than what the caller has read by itself: let it compare indices.

        :param predicate: is given the values by key, at first and after every change; None goes on waiting
        :param timeout: how long
        :returns: what the predicate returned, or None after the time
        :raises ConsulRefused: the token may not read the prefix
        """
        changed = threading.Event()
        deadline = time.monotonic() + timeout.total_seconds()
        with _listening(self, changed.set) as watcher:
            judge = _Judge(predicate, watcher)
            while (result := judge.look()) is None:
                if not changed.wait(max(0.0, deadline - time.monotonic())):
                    return None
                changed.clear()
        return result

    async def until(self, predicate: Predicate[Result]) -> Result:
        """Wait in an event loop, without a thread, until a predicate returns something.

        :param predicate: as for :meth:`wait_for`; it is called in the loop
        :returns: what it returned
        :raises ConsulRefused: the token may not read the prefix
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        with _listening(self, lambda: loop.call_soon_threadsafe(changed.set)) as watcher:
            judge = _Judge(predicate, watcher)
            while (result := judge.look()) is None:
                await changed.wait()
                changed.clear()
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a watcher saw last: the values by key, or why it may not see them."""

    keys: Mapping[str, KeyValue]
    problem: str | None = None


@dataclass(slots=True)
class _Judge(Generic[Result]):
    """Shows one predicate everything that a watcher sees, once."""

    predicate: Predicate[Result]
    watcher: _Watcher
    judged: _Seen | None = None

    def look(self) -> Result | None:
        seen = self.watcher.seen
        if seen is None or seen is self.judged:
            return None
        self.judged = seen
        if seen.problem is not None:
            raise ConsulRefused(seen.problem)
        return self.predicate(seen.keys)


@dataclass(eq=False)
class _Watcher:
    """The thread of one prefix, with who listens to it."""

    address: ConsulAddress
    prefix: str
    seen: _Seen | None = None
    listeners: list[Callable[[], object]] = field(default_factory=list)
    requests: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_REQUESTS))
    index: int = 0
    failures: int = 0

    def run(self) -> None:
        from airflow_provider_exia.consul.sharing import transport_to

        key_values = KeyValues(transport_to(self.address))
        while _is_wanted(self):
            try:
                pause = self._ask(key_values)
                self.failures = 0
            except ConsulUnavailable as error:
                pause = self._back_off(error)
            except Exception as error:  # whatever it is, all who wait must hear of it
                _drop(self)
                self._tell(_Seen(keys={}, problem=str(error)))
                return
            time.sleep(pause)

    def _ask(self, key_values: KeyValues) -> float:
        """Make one request; return how long to pause after it."""
        slots, crowd = _slots_of(self.address)
        wait, pause = None, max(_POLL_SECONDS, crowd / _MOST_POLLS_A_SECOND)
        self._pace()
        has_slot = slots.acquire(blocking=False)
        try:
            if has_slot:
                wait, pause = timedelta(seconds=WAIT_SECONDS * random.uniform(0.9, 1.1)), 0.0  # noqa: S311 - no secret
            found, self.index = key_values.list_since(self.prefix, index=self.index, wait=wait, proves_rights=False)
        finally:
            if has_slot:
                slots.release()
        keys = {item.key: item for item in found}
        if self.seen is None or self.seen.keys != keys:
            if not keys and self.prefix:
                self._pace()
                key_values.prove_rights(self.prefix)
            self._tell(_Seen(keys=keys))
        return pause

    def _pace(self) -> None:
        """Wait until another request may be made."""
        if len(self.requests) == MOST_REQUESTS:
            time.sleep(max(0.0, self.requests[0] + WINDOW_SECONDS + _UNDER_WAY_SECONDS - time.monotonic()))
        self.requests.append(time.monotonic())

    def _tell(self, seen: _Seen) -> None:
        self.seen = seen
        for listener in tuple(self.listeners):
            try:
                listener()
            except RuntimeError:  # its event loop was closed around it: nobody waits there any more
                log.debug("whoever watched %s has gone", self.prefix)

    def _back_off(self, error: ConsulUnavailable) -> float:
        """Begin again from nothing, later and later."""
        self.index = 0
        self.failures += 1
        if self.failures == 1:
            log.warning("watching %s in Consul goes on after: %s", self.prefix or "everything", error)
        longest = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2.0 ** min(self.failures, _LONGEST_PAUSE))
        return random.uniform(longest / 2, longest)  # noqa: S311 - so that not all come back at once


_lock = threading.Lock()
_watchers: dict[tuple[ConsulAddress, str], _Watcher] = {}
_slots: dict[ConsulAddress, threading.BoundedSemaphore] = {}


@contextmanager
def _listening(wanted: Watch, listener: Callable[[], object]) -> Iterator[_Watcher]:
    """Call ``listener`` whenever the watcher of a prefix has seen something else; begin it where there is none."""
    key = (wanted.address, wanted.prefix)
    with _lock:
        watcher = _watchers.get(key)
        if watcher is None:
            watcher = _watchers[key] = _Watcher(*key)
            threading.Thread(target=watcher.run, name=f"exia-watch-{wanted.prefix}", daemon=True).start()
        watcher.listeners.append(listener)
    try:
        yield watcher
    finally:
        with _lock:
            watcher.listeners.remove(listener)


def _is_wanted(watcher: _Watcher) -> bool:
    """Say whether anybody listens; if not, the watcher is forgotten, and the next who waits begins another."""
    with _lock:
        if watcher.listeners:
            return True
        del _watchers[watcher.address, watcher.prefix]
        return False


def _drop(watcher: _Watcher) -> None:
    """Forget a watcher that cannot go on: who comes later asks anew."""
    with _lock:
        del _watchers[watcher.address, watcher.prefix]


def _slots_of(address: ConsulAddress) -> tuple[threading.BoundedSemaphore, int]:
    """Return the slots of an agent, and how many watchers it has."""
    with _lock:
        slots = _slots.setdefault(address, threading.BoundedSemaphore(SLOTS))
        return slots, sum(watcher.address == address for watcher in _watchers.values())


def _forget() -> None:
    """A child of a fork has none of its parent's threads: let it begin watchers of its own."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it at the moment of the fork
    _watchers.clear()
    _slots.clear()


os.register_at_fork(after_in_child=_forget)
