"""An end to calls that a server leaves without an answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOOKS = 50
"""How often a call is looked at before its time is over: it ends at most a fiftieth too late."""


class Watchdog:
    """Shuts the connection of a call that takes too long: the client library of PostgreSQL waits for ever.

    A server that is stopped, or a network that swallows what is sent, closes nothing. What is shut here ends the wait
    as a lost connection does.

    :param seconds: how long a call may take
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: dict[int, float] = {}  # socket to the moment at which it is shut
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, connection: int) -> Iterator[None]:
        """Shut the socket ``connection`` if the body takes too long."""
        with self._lock:
            self._calls[connection] = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="exia-watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:  # from here on the number may be another connection's
                self._calls.pop(connection, None)

    def _look(self) -> None:
        quiet = 0
        while quiet < _LOOKS:  # then nothing has been called for long, and the next call starts another thread
            time.sleep(self._seconds / _LOOKS)
            with self._lock:
                quiet = 0 if self._calls else quiet + 1
                for connection, end in list(self._calls.items()):
                    if time.monotonic() >= end:
                        _shut(connection)
                        del self._calls[connection]
                if quiet == _LOOKS:
                    self._thread = None


def _shut(connection: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(connection)) as shared:  # OSError: it is closed already
        shared.shutdown(socket.SHUT_RDWR)
