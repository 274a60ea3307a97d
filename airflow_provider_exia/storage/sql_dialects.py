"""What differs between the databases of the SQL backend: one small class each; here what they share, and SQLite.

On a server each write is one statement that commits itself, conditional by its WHERE clause or by a unique index. At
READ COMMITTED a statement that waited for another one's row judges the row anew, so two swaps of one revision cannot
both succeed; at a higher level the server refuses the second one, and it is repeated. What a server reports about a
statement was rolled back with it; only the loss of the connection leaves the outcome open.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from airflow_provider_exia.exceptions import MissingExtra
from airflow_provider_exia.storage.documents import BODY, REVISION, StoreRefused, WriteUnknown
from airflow_provider_exia.storage.sql_server import EXTRAS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult, Engine

CONNECT_SECONDS = 3
SCHEMA_LOCK = "exia_schema"
FIRST_COUNT: Mapping[str, Any] = {"name": sa.bindparam("name"), "value": 1, REVISION: 1, BODY: "{}"}
"""The row of a new counter."""

_RECYCLE_SECONDS = 300
"""After which a connection is opened anew: what lies between may forget one that says nothing for long."""


class Outcome(Enum):
    """What an error says about the request."""

    BUSY = auto()
    TAKEN = auto()
    REFUSED = auto()
    NOTHING_DONE = auto()
    UNANSWERED = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """An error of a database, understood.

    :param outcome: what it says about the request
    :param reason: in words; for a taken key the name of its index, or its columns
    """

    outcome: Outcome
    reason: str


class Dialect(ABC):
    """One kind of database; as it stands here, a server.

    :param url: where it is
    :param seconds: how long to wait for another process's write, and for an answer
    """

    is_file: ClassVar[bool] = False
    """Whether it is a file: one writer at a time, and no open connection may cross a fork."""
    longest_name: ClassVar[int | None] = 63
    refusals: ClassVar[Mapping[str, str]] = {}

    def __init__(self, url: sa.URL, *, seconds: float) -> None:
        self.url, self.seconds = url, seconds
        self.where = url.set(query={}).render_as_string(hide_password=True)

    def make_engine(self) -> Engine:
        """Return a pool of connections; as many stay open as threads were at work at once.

        :raises MissingExtra: the driver is not installed
        """
        try:
            return sa.create_engine(
                self.url,
                connect_args=self.arguments(),
                pool_size=0,
                pool_recycle=_RECYCLE_SECONDS,
                pool_reset_on_return=None,
                isolation_level="AUTOCOMMIT",
            )
        except ModuleNotFoundError as error:
            kind = self.url.get_backend_name()
            raise MissingExtra(
                library=str(error.name), extra=EXTRAS[kind], purpose=f"a document store in {kind}"
            ) from error

    def arguments(self) -> dict[str, Any]:
        """Return what the driver is told beyond the URL."""
        return {}

    def index_name(self, name: str) -> str:
        """Return the name that an index has here: a long one is cut, and told from others by its digest."""
        if self.longest_name is None or len(name) <= self.longest_name:
            return name
        digest = sha256(name.encode()).hexdigest()[:8]
        return f"{name[: self.longest_name - len(digest) - 1]}_{digest}"

    def key_type(self, kind: type) -> sa.types.TypeEngine[Any]:
        """Return the type of a column for a key's field: texts differ, and are ordered, by their code points."""
        return self.text_key() if kind is str else sa.BigInteger()

    @abstractmethod
    def text_key(self) -> sa.types.TypeEngine[Any]:
        """Return the type of a column for a key's text."""

    def body_type(self) -> sa.types.TypeEngine[Any]:
        """Return the type of the column for a document's text, which is ASCII."""
        return sa.Text()

    def begin(self, connection: Connection) -> None:  # noqa: B027 - nothing to do on a server
        """Begin a write, where one statement is not a transaction of its own."""

    def commit(self, connection: Connection) -> None:  # noqa: B027 - nothing to do on a server
        """End a write.

        :raises WriteUnknown: there was no word about it
        """

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Let one process at a time make tables."""

    @abstractmethod
    def unlock_schema(self, connection: Connection) -> None:
        """Keep the tables that were made; after an error the connection is closed instead."""

    @abstractmethod
    def count_up(self, table: sa.Table) -> sa.Executable:
        """Return the one statement that makes a counter or takes its next number."""

    def counted(self, result: CursorResult[Any]) -> int:
        """Return the number that the statement took."""
        return int(result.scalar_one())

    @abstractmethod
    def judge(self, error: DBAPIError) -> Verdict:
        """Say what an error means."""


class Sqlite(Dialect):
    """A file: write-ahead log, every commit synced, one writer at a time.

    A writer takes the lock before it does anything (``BEGIN IMMEDIATE``), so "busy" always means that nothing was
    written.
    """

    is_file = True
    longest_name = None
    refusals: ClassVar[Mapping[str, str]] = {
        "SQLITE_READONLY": "it is read-only",
        "SQLITE_FULL": "the disk is full",
        "SQLITE_CANTOPEN": "it cannot be opened (does the folder exist, and may this user write there?)",
        "SQLITE_NOTADB": "it is not a SQLite database",
        "SQLITE_CORRUPT": "the database file is damaged",
        "SQLITE_PERM": "no permission",
    }
    _BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")

    def make_engine(self) -> Engine:
        """Make the folder, and return a pool of connections to the file.

        :raises StoreRefused: the folder cannot be made
        """
        folder = Path(self.url.database or "").absolute().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreRefused(f"cannot make the folder {folder}: {error.strerror}; nothing was written") from error
        # As many connections stay open as threads were at work at once: opening one costs more than ten writes.
        engine = sa.create_engine(self.url, pool_size=0)
        sa.event.listen(engine, "connect", self._prepare)
        return engine

    def text_key(self) -> sa.types.TypeEngine[Any]:
        """Return the type of a column for a key's text; SQLite compares bytes of UTF-8, which is the same order."""
        return sa.String(255)

    def begin(self, connection: Connection) -> None:
        """Take the lock of the one writer."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def commit(self, connection: Connection) -> None:
        """End a write.

        :raises WriteUnknown: there was no word about it
        """
        try:
            connection.commit()
        except DBAPIError as error:
            if _sqlite_name(error).startswith((*self._BUSY, "SQLITE_FULL")):
                raise  # the commit record is written last, so these two say that it was not
            raise WriteUnknown(f"{self.where}: no word whether it was committed: {error.orig}") from error

    def lock_schema(self, connection: Connection) -> None:
        """Let one process at a time make tables."""
        self.begin(connection)

    def unlock_schema(self, connection: Connection) -> None:
        """Keep the tables that were made."""
        connection.commit()

    def count_up(self, table: sa.Table) -> sa.Executable:
        """Return the one statement that makes a counter or takes its next number."""
        from sqlalchemy.dialects import sqlite

        first = sqlite.insert(table).values(FIRST_COUNT)
        more = first.on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
        return more.returning(table.c.value)

    def judge(self, error: DBAPIError) -> Verdict:
        """Say what an error means."""
        name = _sqlite_name(error)
        if name.startswith(self._BUSY):
            return Verdict(Outcome.BUSY, name)
        if name == "SQLITE_CONSTRAINT_UNIQUE":
            return Verdict(Outcome.TAKEN, str(error.orig).rpartition(": ")[2])
        for prefix, reason in self.refusals.items():
            if name.startswith(prefix):
                return Verdict(Outcome.REFUSED, reason)
        return Verdict(Outcome.NOTHING_DONE, words(error))

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(self.seconds * 1000)}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as error:  # not yet inside SQLAlchemy's own translation
            raise sa.exc.OperationalError("PRAGMA", None, error) from error


def words(error: DBAPIError) -> str:
    """Return what the driver says, in one line."""
    return " ".join(str(error.orig).split())


def _sqlite_name(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlite_errorname", ""))
