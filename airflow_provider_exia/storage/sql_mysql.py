"""MariaDB and MySQL for the SQL backend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from airflow_provider_exia.storage.documents import MAXIMUM_KEY_BYTES, StoreUnavailable
from airflow_provider_exia.storage.sql_dialects import (
    CONNECT_SECONDS,
    FIRST_COUNT,
    SCHEMA_LOCK,
    Dialect,
    Outcome,
    Verdict,
    words,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult
    from sqlalchemy.exc import DBAPIError

_DUPLICATE = "1062"
_BUSY = ("1020", "1205", "1213")  # changed meanwhile, waited too long for a lock, deadlock
_NOTHING_DONE = ("1040", "1054", "1064", "1071", "1146", "1264", "1366", "1406")


class Mysql(Dialect):
    """A MariaDB or MySQL server."""

    refusals: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("1044", "1045", "1142", "1143", "1227"), "this user may not do that"),
        **dict.fromkeys(("1290", "1836"), "it is read-only"),
        **dict.fromkeys(("1021", "1114"), "the disk is full"),
        "1049": "there is no such database",
        "1153": "the document is larger than the server's max_allowed_packet",
    }

    def arguments(self) -> dict[str, Any]:
        """Return what the driver is told beyond the URL: time-outs, and that a value which does not fit is an error."""
        locks = self._lock_seconds()
        seconds = max(locks + 1, int(self.seconds))  # the server's own time-out comes first: it leaves nothing open
        ours = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": seconds,
            "write_timeout": seconds,
            "init_command": f"SET SESSION innodb_lock_wait_timeout = {locks}, lock_wait_timeout = {locks}, "
            "sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        }
        return {name: value for name, value in ours.items() if name not in self.url.query}

    def text_key(self) -> sa.types.TypeEngine[Any]:
        """Return the type of a column for a key's text."""
        return MysqlKey()

    def body_type(self) -> sa.types.TypeEngine[Any]:
        """Return the type of the column for a document's text; TEXT would hold 64 KiB."""
        return mysql.LONGTEXT(charset="ascii", collation="ascii_bin")

    def lock_schema(self, connection: Connection) -> None:
        """Let one process at a time make tables of this database; each statement about them commits itself.

        :raises StoreUnavailable: another process has the lock for too long
        """
        name = f"CONCAT('{SCHEMA_LOCK}_', MD5(DATABASE()))"
        if connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {self._lock_seconds()})").scalar_one() != 1:
            raise StoreUnavailable(f"{self.where}: another process makes tables; nothing was written")

    def unlock_schema(self, connection: Connection) -> None:
        """Let the next process make tables."""
        connection.exec_driver_sql(f"DO RELEASE_LOCK(CONCAT('{SCHEMA_LOCK}_', MD5(DATABASE())))")

    def count_up(self, table: sa.Table) -> sa.Executable:
        """Return the one statement that makes a counter or takes its next number."""
        taken = sa.func.last_insert_id  # tells this connection what the statement made of its argument
        first = mysql.insert(table).inline().values({**FIRST_COUNT, "value": taken(1)})
        return first.on_duplicate_key_update(value=taken(table.c.value + 1))

    def counted(self, result: CursorResult[Any]) -> int:
        """Return the number that the statement took."""
        return int(result.lastrowid)

    def judge(self, error: DBAPIError) -> Verdict:
        """Say what an error means: a number that is not known to be harmless leaves the outcome open."""
        arguments: tuple[object, ...] = getattr(error.orig, "args", ())
        number = str(arguments[0]) if arguments else ""
        if number in _BUSY:
            return Verdict(Outcome.BUSY, number)
        if number == _DUPLICATE:
            named = re.search(r" for key '(?:\w+\.)?(\w+)'$", str(arguments[-1]))
            return Verdict(Outcome.TAKEN, named[1] if named else "")
        if number in self.refusals:
            return Verdict(Outcome.REFUSED, f"{self.refusals[number]} ({words(error)})")
        return Verdict(Outcome.NOTHING_DONE if number in _NOTHING_DONE else Outcome.UNANSWERED, words(error))

    def _lock_seconds(self) -> int:
        """Return how long the server waits for a lock, in whole seconds as it wants them."""
        return max(1, int(self.seconds * 0.9))


class MysqlKey(sa.TypeDecorator[str]):
    """Text as bytes of UTF-8: the collations of MariaDB and MySQL that tell "a" from "a " have different names."""

    impl = mysql.VARBINARY(MAXIMUM_KEY_BYTES)
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> Any:
        """Return what is kept for a text."""
        return None if value is None else value.encode()

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> str | None:
        """Return the text that is kept; bytes that are none become one that no document has."""
        return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else value
