"""SQLite and forks: no connection to a file is in use while the process is copied.

SQLite keeps its locks in the process. A child that inherits an open connection opens its own without taking a lock, the
parent's close then removes the log under it, and what the child is told is written is lost. If a thread was at work in
SQLite, the child may also wait for ever for what that thread held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FilesInUse:
    """Which threads use a connection to a file; none begins to while the process is about to fork."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while connections are closed or tables made: by one thread at a time, and never across a fork."""
        self._change = threading.Condition(self.lock)
        self._users: dict[object, int] = {}
        self._forking: int | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Use a connection, opened and closed within; a thread that uses one already is not kept from another."""
        use, thread = object(), threading.get_ident()
        try:
            with self._change:
                self._change.wait_for(lambda: self._forking in (None, thread) or thread in self._users.values())
                self._users[use] = thread
            yield
        finally:
            with self._change:
                self._users.pop(use, None)
                self._change.notify_all()

    def before_fork(self, *, seconds: float) -> None:
        """Wait until no other thread uses a connection, and keep the lock.

        :param seconds: how long at the most: who is at work may wait for the thread that forks
        """
        self._change.acquire()
        thread = threading.get_ident()
        self._change.wait_for(lambda: self._forking is None)
        self._forking = thread
        self._change.wait_for(lambda: all(user == thread for user in self._users.values()), seconds)

    def after_fork(self) -> None:
        """Let connections be used again."""
        self._forking = None
        self._change.notify_all()
        self._change.release()

    def after_fork_in_child(self) -> None:
        """Forget the threads that are not in the child."""
        self._users.clear()
        self.after_fork()
