"""Documents in a SQL database through SQLAlchemy: one table per collection, key columns beside a JSON body.

On SQLite: write-ahead log, every commit synced, one writer at a time. A writer takes the lock before it does
anything (``BEGIN IMMEDIATE``), so "busy" always means that nothing was written and is retried here.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.documents import (
    REVISION,
    Collection,
    Document,
    Query,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
    field_values,
)
from airflow_provider_exia.storage.sql_commits import SharedCommits, Write
from airflow_provider_exia.storage.sql_schema import BODY, COUNTERS, constraint_name, ensure_table
from airflow_provider_exia.storage.sql_server import sql_facts
from airflow_provider_exia.storage.sql_statements import Statements, query_values, read

if TYPE_CHECKING:
    from airflow_provider_exia.storage.server_facts import ServerFacts

Result = TypeVar("Result")

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_FINAL = {
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_CANTOPEN": "it cannot be opened (does the folder exist, and may this user write there?)",
    "SQLITE_NOTADB": "it is not a SQLite database",
    "SQLITE_CORRUPT": "the database file is damaged",
    "SQLITE_PERM": "no permission",
}


class SqlDocuments:
    """A document store in a SQL database.

    :param url: a SQLAlchemy URL with a file, as in ``sqlite:////var/lib/exia/library.db``
    :param busy_timeout: how long to wait for another process's write before giving up
    """

    def __init__(self, url: str, *, busy_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._url = _checked_url(url)
        self._busy_seconds = busy_timeout.total_seconds()
        self._engine: Engine | None = None
        self._metadata = sa.MetaData()
        self._ready: dict[str, Statements] = {}
        self._commits = SharedCommits(self._transact)
        _stores.add(self)

    def insert(self, collection: Collection, document: Document) -> None:
        """Store a new document at revision 1."""
        row = self._row(collection, document, revision=1)

        def statement(connection: Connection, statements: Statements) -> None:
            connection.execute(statements.insert, row)

        self._write(collection, statement)

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        """Replace the document with the same identity if it is still at ``revision``."""
        row = self._row(collection, document, revision=revision + 1)
        values = {**row, **read(collection.identity, row), **read((REVISION,), {REVISION: revision})}

        def statement(connection: Connection, statements: Statements) -> None:
            if connection.execute(statements.swap, values).rowcount != 1:
                raise WriteConflict(collection=collection.name, key=(REVISION,))

        self._write(collection, statement)

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        """Return the document with this unique key, or None."""
        found = self._select(collection, lambda statements: statements.get(key), read(key, key))
        return found[0] if found else None

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents that match, in order."""
        return self._select(collection, lambda statements: statements.find(query), query_values(query))

    def next_number(self, counter: str) -> int:
        """Return a number that no earlier call for ``counter`` returned."""

        def statement(connection: Connection, statements: Statements) -> int:
            number = connection.execute(statements.count_up, read(("name",), {"name": counter})).scalar_one_or_none()
            if number is None:
                connection.execute(statements.insert, {"name": counter, "value": 1, REVISION: 1, BODY: "{}"})
                return 1
            return int(number)

        try:
            return self._write(COUNTERS, statement)
        except WriteConflict as error:  # two first calls at once, where the database lets them run side by side
            raise WriteUnknown(f"counter {counter!r}: another process made it at the same moment") from error

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document by its identity; absent is success."""

        def statement(connection: Connection, statements: Statements) -> None:
            connection.execute(statements.delete, read(collection.identity, key))

        self._write(collection, statement)

    def server(self) -> ServerFacts:
        """Ask the database what it is, and for its clock."""
        try:
            with self._connect() as connection:
                return sql_facts(connection)
        except DBAPIError as error:
            raise self._nothing_done(error) from error

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""
        with _opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _row(self, collection: Collection, document: Document, *, revision: int) -> dict[str, Any]:
        body = json.dumps({**document, REVISION: revision}, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return {**field_values(collection, document), REVISION: revision, BODY: body}

    def _select(
        self, collection: Collection, choose: Callable[[Statements], sa.Select[Any]], values: Document
    ) -> list[Document]:
        def once() -> list[Document]:
            try:
                statement = choose(self._statements(collection))
                with self._connect() as connection:
                    bodies = connection.execute(statement, values).scalars().all()
            except DBAPIError as error:
                raise self._nothing_done(error) from error
            return [json.loads(body) for body in bodies]

        return self._retry_while_busy(once)

    def _write(self, collection: Collection, statement: Callable[[Connection, Statements], Result]) -> Result:
        def once() -> Result:
            try:
                statements = self._statements(collection)
                result: Result = self._run(Write(lambda connection: statement(connection, statements)))
            except IntegrityError as error:
                raise WriteConflict(collection=collection.name, key=_conflicting_key(collection, error)) from error
            except DBAPIError as error:
                raise self._nothing_done(error) from error
            return result

        return self._retry_while_busy(once)

    def _run(self, write: Write) -> Any:
        if self._url.get_backend_name() == "sqlite":
            return self._commits.run(write)
        self._transact([write])  # a server has many writers, and its own way of syncing once for several
        return write.result()

    def _transact(self, writes: Sequence[Write]) -> None:
        with self._connect() as connection:
            self._begin(connection)
            for write in writes:
                write.run(connection)
            crash_point("documents.statement-done")
            self._commit(connection)

    def _connect(self) -> Connection:
        with _opening:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine.connect()

    def _make_engine(self) -> Engine:
        # As many connections stay open as threads were at work at once: opening one costs more than ten writes.
        engine = sa.create_engine(self._url, pool_size=0)
        if engine.dialect.name == "sqlite":
            folder = Path(self._url.database or "").absolute().parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreRefused(f"cannot make the folder {folder}: {error.strerror}; nothing was written") from error
            sa.event.listen(engine, "connect", self._prepare_sqlite)
        return engine

    def _prepare_sqlite(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000)}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as error:  # not yet inside SQLAlchemy's own translation
            raise sa.exc.OperationalError("PRAGMA", None, error) from error

    def _begin(self, connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except DBAPIError as error:
            if _sqlite_name(error).startswith((*_BUSY, "SQLITE_FULL")):
                raise  # the commit record is written last, so these two say that it was not
            raise WriteUnknown(f"{self._where}: no word whether it was committed: {error.orig}") from error

    def _statements(self, collection: Collection) -> Statements:
        if collection.name in self._ready:
            return self._ready[collection.name]
        with _opening:
            if collection.name not in self._ready:
                with self._connect() as connection:
                    self._begin(connection)
                    ensure_table(connection, self._metadata, collection)
                    connection.commit()
                table = self._metadata.tables[f"exia_{collection.name}"]
                self._ready[collection.name] = Statements(table, collection)
        return self._ready[collection.name]

    def _retry_while_busy(self, attempt: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                return attempt()
            except _Busy as error:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(
                        f"{self._where} was busy with other writers for {self._busy_seconds:g} s; nothing was written"
                    ) from error
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads the writers, guards nothing

    def _nothing_done(self, error: DBAPIError) -> Exception:
        name = _sqlite_name(error)
        if name.startswith(_BUSY):
            return _Busy()
        for prefix, reason in _FINAL.items():
            if name.startswith(prefix):
                return StoreRefused(f"{self._where}: {reason}; nothing was written")
        return StoreUnavailable(f"{self._where}: {error.orig}")

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database, which may not be there yet; None for a server's."""
        return Path(self._url.database or "").absolute() if self._url.get_backend_name() == "sqlite" else None

    @property
    def _where(self) -> str:
        return self._url.render_as_string(hide_password=True)


class _Busy(Exception):
    """Another writer has the lock; nothing was written."""


_opening = threading.RLock()
"""Held while connections are opened or closed: by one thread at a time, and never across a fork."""
_stores: weakref.WeakSet[SqlDocuments] = weakref.WeakSet()


def _close_before_fork() -> None:
    """Close what is idle, so that neither side of a fork inherits an open connection.

    A child that inherits one is worse than one that uses it: SQLite keeps a table of locks per process, so the child
    opens its own connection without taking a lock, the parent's close then removes the log under it, and the child's
    next acknowledged write is lost.
    """
    _opening.acquire()
    for store in list(_stores):
        store.close()


def _begin_anew_in_child() -> None:
    """Forget the writes of threads that the child does not have."""
    for store in list(_stores):
        store._commits = SharedCommits(store._transact)
    _opening.release()


os.register_at_fork(before=_close_before_fork, after_in_parent=_opening.release, after_in_child=_begin_anew_in_child)


def _checked_url(url: str) -> sa.URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # Not the text itself: it may hold a password.
        raise InvalidInput(
            "the document store's address is no database URL: expected one as in sqlite:////var/lib/exia/library.db"
        ) from error
    database = parsed.database or ""
    if parsed.get_backend_name() == "sqlite" and (database in ("", ":memory:") or database.startswith("file:")):
        raise InvalidInput(
            f"{url!r} names no plain file, and what is kept in memory is lost: give a file, as in "
            "sqlite:////var/lib/exia/library.db"
        )
    return parsed


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _conflicting_key(collection: Collection, error: IntegrityError) -> tuple[str, ...]:
    message = str(error.orig)
    for key in collection.unique:
        columns = ", ".join(f"exia_{collection.name}.{name}" for name in key)
        if message.endswith(columns) or constraint_name(collection, key) in message:
            return key
    return collection.identity
