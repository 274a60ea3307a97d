"""Threads of one process that wait for SQLite's one writer share a commit: one sync of the disk for all of them.

Nothing is given up for it: a write returns only after the commit that holds it, and one that conflicts fails alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from airflow_provider_exia.storage.documents import WriteConflict, WriteUnknown

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


class Write:
    """One statement and what became of it.

    :param statement: changes one document, or raises
    """

    def __init__(self, statement: Callable[[Connection], Any]) -> None:
        self._statement = statement
        self._result: Any = None
        self.error: Exception | None = None
        self.spoils = False
        self.settled = False

    def run(self, connection: Connection) -> None:
        """Run the statement; a conflict undoes it alone, anything else spoils the whole transaction."""
        self.error, self.spoils = None, True
        try:
            self._result = self._statement(connection)
        except (WriteConflict, IntegrityError) as error:
            self.error = error
        self.spoils = False

    def result(self) -> Any:
        """Return what the statement returned, or raise what came of it."""
        if self.error is not None:
            raise self.error
        return self._result


class SharedCommits:
    """A queue in which whoever finds nobody at work commits what all have brought by then.

    :param transact: runs writes in one transaction and commits it
    """

    def __init__(self, transact: Callable[[Sequence[Write]], None]) -> None:
        self._transact = transact
        self._change = threading.Condition()
        self._waiting: list[Write] = []
        self._at_work = False

    def run(self, write: Write) -> Any:
        """Return what the statement returned, once the commit that holds it is done."""
        writes = self._wait_for_turn(write)
        if writes:
            try:
                self._settle(writes)
            except BaseException:  # a task's time-out, or Ctrl-C: the others hear that nothing is known
                for other in writes:
                    other.error = WriteUnknown("the commit was interrupted")
                raise
            finally:
                self._hand_on(writes)
        return write.result()

    def _wait_for_turn(self, write: Write) -> Sequence[Write]:
        """Return what this thread has to commit; nothing when another one has committed its write meanwhile."""
        with self._change:
            self._waiting.append(write)
            try:
                self._change.wait_for(lambda: write.settled or not self._at_work)
            except BaseException:  # interrupted: nobody is to write what nobody waits for
                if write in self._waiting:
                    self._waiting.remove(write)
                raise
            if write.settled:
                return ()
            self._at_work = True
            writes, self._waiting = self._waiting, []
            return writes

    def _settle(self, writes: Sequence[Write]) -> None:
        try:
            self._transact(writes)
        except Exception as error:  # whatever it is, each write gets it or is tried again without the one that failed
            spoiling = [write for write in writes if write.spoils] or writes
            for write in spoiling:
                write.error = error
            others = [write for write in writes if write not in spoiling]
            if others:
                self._settle(others)

    def _hand_on(self, writes: Sequence[Write]) -> None:
        with self._change:
            for write in writes:
                write.settled = True
            self._at_work = False
            self._change.notify_all()
