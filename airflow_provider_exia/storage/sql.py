"""Documents in a SQL database through SQLAlchemy: one table per collection, key columns beside a JSON body."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.codec import read_body
from airflow_provider_exia.storage.documents import (
    BODY,
    REVISION,
    Collection,
    Document,
    Query,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
    body_text,
    check_query,
    check_values,
    field_values,
)
from airflow_provider_exia.storage.sql_commits import SharedCommits, Write
from airflow_provider_exia.storage.sql_dialects import Dialect, Outcome, Sqlite, Verdict
from airflow_provider_exia.storage.sql_forks import FilesInUse
from airflow_provider_exia.storage.sql_schema import COUNTERS, Tables
from airflow_provider_exia.storage.sql_server import sql_facts, with_driver
from airflow_provider_exia.storage.sql_statements import Statements, query_values, read

if TYPE_CHECKING:
    import sqlalchemy as sa

    from airflow_provider_exia.storage.server_facts import ServerFacts

Result = TypeVar("Result")


class SqlDocuments:
    """A document store in a SQL database; nothing is connected before the first call.

    :param url: a SQLAlchemy URL, as in ``sqlite:////var/lib/exia/library.db`` or
        ``postgresql://user:password@host/exia``
    :param busy_timeout: how long to wait for another process's write, and for a server's answer
    :raises InvalidInput: the URL is none, or names no file or database
    :raises MissingExtra: no driver of this database is installed
    """

    def __init__(self, url: str, *, busy_timeout: timedelta = timedelta(seconds=30)) -> None:
        self._dialect = _dialect_of(_checked_url(url), seconds=busy_timeout.total_seconds())
        self._engine: Engine | None = None
        self._tables = Tables(self._dialect)
        self._ready: dict[str, Statements] = {}
        self._begin_anew()
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
        values = read(key, check_values(collection, key))
        found = self._select(collection, lambda statements: statements.get(key), values)
        return found[0] if found else None

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents that match, in order."""
        check_query(collection, query)
        return self._select(collection, lambda statements: statements.find(query), query_values(query))

    def next_number(self, counter: str) -> int:
        """Return a number that no earlier call for ``counter`` returned."""

        def statement(connection: Connection, statements: Statements) -> int:
            return self._dialect.counted(connection.execute(statements.count_up, {"name": counter}))

        return self._write(COUNTERS, statement)

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document by its identity; absent is success."""
        values = read(collection.identity, check_values(collection, key))

        def statement(connection: Connection, statements: Statements) -> None:
            connection.execute(statements.delete, values)

        self._write(collection, statement)

    def server(self) -> ServerFacts:
        """Ask the database what it is, and for its clock."""
        try:
            with self._connect() as connection:
                return sql_facts(connection)
        except DBAPIError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database, which may not be there yet; None for a server's."""
        return Path(self._dialect.url.database or "").absolute() if self._dialect.is_file else None

    def _row(self, collection: Collection, document: Document, *, revision: int) -> dict[str, Any]:
        values = field_values(collection, document)
        return {**values, REVISION: revision, BODY: body_text(collection, document, revision=revision)}

    def _select(
        self, collection: Collection, choose: Callable[[Statements], sa.Select[Any]], values: Document
    ) -> list[Document]:
        def rows() -> Sequence[sa.Row[Any]]:
            statements = self._statements(collection)
            if statements is None:
                return ()
            statement = choose(statements)
            with self._connect() as connection:
                return connection.execute(statement, values).all()

        found = self._retry_while_busy(lambda: self._ask(rows))
        return [read_body(collection, row._asdict()) for row in found]

    def _write(self, collection: Collection, statement: Callable[[Connection, Statements], Result]) -> Result:
        def once() -> Result:
            statements = self._ask(lambda: self._made_statements(collection))
            try:
                result: Result = self._run(Write(lambda connection: statement(connection, statements)))
            except DBAPIError as error:
                verdict = self._dialect.judge(error)
                if verdict.outcome is Outcome.TAKEN:
                    key = self._conflicting_key(collection, verdict)
                    raise WriteConflict(collection=collection.name, key=key) from error
                raise self._failure(error, of_write=True) from error
            return result

        return self._retry_while_busy(once)

    def _run(self, write: Write) -> Any:
        if self._dialect.is_file:
            return self._commits.run(write)
        self._transact([write])  # a server has many writers, and its own way of syncing once for several
        return write.result()

    def _transact(self, writes: Sequence[Write]) -> None:
        with self._connect() as connection:
            self._dialect.begin(connection)
            for write in writes:
                write.run(connection)
            crash_point("documents.statement-done")
            self._dialect.commit(connection)

    def _ask(self, question: Callable[[], Result]) -> Result:
        """Ask what changes no document, and once more if the connection had been lost while nobody used it."""
        begun = time.monotonic()
        try:
            try:
                return question()
            except DBAPIError as error:
                if not error.connection_invalidated or time.monotonic() - begun >= self._dialect.seconds:
                    raise
                return question()
        except DBAPIError as error:
            raise self._failure(error) from error

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        """Lend a connection; a failure to get one is an answer: nothing was asked."""
        with _files.one() if self._dialect.is_file else nullcontext():
            try:
                connection = self._open().connect()
            except DBAPIError as error:
                raise self._failure(error) from error
            with connection:
                yield connection

    def _open(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._dialect.make_engine()
            return self._engine

    def _statements(self, collection: Collection) -> Statements | None:
        """Return what is asked of a collection's table; None if there is none: a read makes none, and needs no lock."""
        ready = self._ready.get(collection.name)
        if ready is not None:
            return ready
        with self._making, self._connect() as connection:
            if self._tables.is_ready(connection, collection) is None:
                return None
        return self._made_statements(collection)

    def _made_statements(self, collection: Collection) -> Statements:
        """Return what is asked of a collection's table, which is made or brought forward where it has to be."""
        ready = self._ready.get(collection.name)
        if ready is None:
            with self._making, self._connect() as connection:
                if not self._tables.is_ready(connection, collection):
                    self._make_table(connection, collection)
                ready = Statements(self._tables.table(collection), collection, self._dialect)
                self._ready[collection.name] = ready
        return ready

    def _make_table(self, connection: Connection, collection: Collection) -> None:
        try:
            self._dialect.lock_schema(connection)
            self._tables.make(connection, collection)
            self._dialect.unlock_schema(connection)
        except BaseException:  # a time-out or Ctrl-C too: the lock must not stay
            connection.invalidate()  # the lock, and what was begun, end with the connection
            raise

    def _retry_while_busy(self, attempt: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._dialect.seconds
        while True:
            try:
                return attempt()
            except _Busy as error:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(
                        f"{self._dialect.where} was busy with other writers for {self._dialect.seconds:g} s; nothing "
                        "was written"
                    ) from error
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads the writers, guards nothing

    def _failure(self, error: DBAPIError, *, of_write: bool = False) -> Exception:
        """Return the error of ours for one of the database's.

        :param of_write: whether no answer means that the outcome is unknown; else no document was to change
        """
        verdict = self._dialect.judge(error)
        said = f"{self._dialect.where}: {verdict.reason}"
        if verdict.outcome is Outcome.BUSY:
            return _Busy()
        if verdict.outcome is Outcome.REFUSED:
            return StoreRefused(f"{said}; nothing was written")
        if verdict.outcome is Outcome.UNANSWERED and of_write:
            return WriteUnknown(said)
        return StoreUnavailable(f"{said}; nothing was written")

    def _conflicting_key(self, collection: Collection, verdict: Verdict) -> tuple[str, ...]:
        for key in collection.unique:
            columns = ", ".join(f"exia_{collection.name}.{name}" for name in key)
            if verdict.reason in (columns, self._tables.index_name(collection, key)):
                return key
        return collection.identity

    def _begin_anew(self) -> None:
        """Forget what other threads were at: a child that was forked has none of them."""
        self._lock = _files.lock if self._dialect.is_file else threading.RLock()
        self._making = _files.lock if self._dialect.is_file else threading.RLock()
        self._commits = SharedCommits(self._transact)


class _Busy(Exception):
    """Another writer has the lock; nothing was written."""


_files = FilesInUse()
_stores: weakref.WeakSet[SqlDocuments] = weakref.WeakSet()
_inherited: list[Engine] = []
"""Connections of the parent to servers in a forked child: never used, and never closed, since the parent goes on."""


def _close_before_fork() -> None:
    """Close the connections to files once none is in use, so that neither side of a fork inherits an open one."""
    _files.before_fork(seconds=max((store._dialect.seconds for store in list(_stores)), default=0))
    for store in list(_stores):
        if store.file is not None:
            store.close()


def _begin_anew_in_child() -> None:
    for store in list(_stores):
        store._begin_anew()
        if store.file is None and store._engine is not None:
            _inherited.append(store._engine)
            store._engine = None
    _files.after_fork_in_child()


os.register_at_fork(before=_close_before_fork, after_in_parent=_files.after_fork, after_in_child=_begin_anew_in_child)


def _dialect_of(url: sa.URL, *, seconds: float) -> Dialect:
    kind = url.get_backend_name()
    if kind == "sqlite":
        return Sqlite(url, seconds=seconds)
    if kind == "postgresql":
        from airflow_provider_exia.storage.sql_postgres import Postgres

        return Postgres(url, seconds=seconds)
    from airflow_provider_exia.storage.sql_mysql import Mysql

    return Mysql(url, seconds=seconds)


def _checked_url(url: str) -> sa.URL:
    # Neither the text nor what SQLAlchemy says about it: both may hold a password.
    unreadable = InvalidInput(
        "the document store's address is no database URL: expected one as in sqlite:////var/lib/exia/library.db, with "
        "%-escapes in user and password where it has them"
    )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise unreadable from None
    if "@" in (parsed.host or ""):  # of a user or password that is not escaped
        raise unreadable
    database = parsed.database or ""
    if parsed.get_backend_name() != "sqlite":
        if not database:
            raise InvalidInput(
                f"{parsed.set(query={}).render_as_string(hide_password=True)} names no database: put its name behind "
                "the host, as in postgresql://user:password@host/exia"
            )
        return parsed.set(drivername=with_driver(parsed.drivername))
    if database in ("", ":memory:") or database.startswith("file:"):
        raise InvalidInput(
            "the document store's address names no plain file, and what is kept in memory is lost: give a file, as in "
            "sqlite:////var/lib/exia/library.db"
        )
    return parsed
