"""PostgreSQL for the SQL backend, through psycopg2 or psycopg."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from airflow_provider_exia.storage.sql_dialects import (
    CONNECT_SECONDS,
    FIRST_COUNT,
    SCHEMA_LOCK,
    Dialect,
    Outcome,
    Verdict,
    words,
)
from airflow_provider_exia.storage.sql_watchdog import Watchdog

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.exc import DBAPIError

_UNIQUE_VIOLATION = "23505"
_BUSY = ("40001", "40P01", "55P03", "57014")  # not serializable, deadlock, lock or statement past its time
_COMPLETION_UNKNOWN = "40003"
_NOTHING_DONE = ("0A", "22", "23", "25", "26", "28", "34", "3D", "3F", "40", "42", "53", "54", "55")
_NOT_LET_IN = re.compile(r"authentication failed|no pg_hba\.conf entry|no password supplied|FATAL: .* does not exist")
"""What the client library says instead of a state when there is no connection yet."""


class Postgres(Dialect):
    """A PostgreSQL server."""

    refusals: ClassVar[Mapping[str, str]] = {
        "25006": "it is read-only",
        "28000": "this user may not connect",
        "28P01": "the user or the password is wrong",
        "3D000": "there is no such database",
        "42501": "this user may not do that",
        "53100": "the disk is full",
        "54000": "a key is too long for an index",
    }

    def make_engine(self) -> Engine:
        """Return a pool of connections, with a watchdog of this process.

        :raises MissingExtra: the driver is not installed
        """
        engine = super().make_engine()
        watchdog = Watchdog(self.seconds * 1.05)  # the server's own time-out comes first: it leaves nothing open

        def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
            with watchdog.watch(cursor.connection.fileno()):
                context.dialect.do_execute(cursor, statement, parameters, context)
            return True  # it is done

        sa.event.listen(engine, "do_execute", execute)
        return engine

    def arguments(self) -> dict[str, Any]:
        """Return what the driver is told beyond the URL: time-outs, and commits that wait for the disk."""
        milliseconds = max(1, int(self.seconds * 1000))
        settings = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
        theirs = str(self.url.query.get("options", ""))
        ours = {
            "application_name": "airflow-provider-exia",
            "connect_timeout": CONNECT_SECONDS,
        }
        chosen = {name: value for name, value in ours.items() if name not in self.url.query}
        # The last one holds: what is acknowledged is on disk, whatever the server's default.
        return {**chosen, "options": f"{settings} {theirs} -c synchronous_commit=on"}

    def text_key(self) -> sa.types.TypeEngine[Any]:
        """Return the type of a column for a key's text."""
        return PostgresKey()

    def lock_schema(self, connection: Connection) -> None:
        """Let one process at a time make tables, in a transaction."""
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA_LOCK}'))")

    def unlock_schema(self, connection: Connection) -> None:
        """Keep the tables that were made; after an error the connection is closed instead."""
        connection.exec_driver_sql("COMMIT")

    def count_up(self, table: sa.Table) -> sa.Executable:
        """Return the one statement that makes a counter or takes its next number."""
        first = postgresql.insert(table).values(FIRST_COUNT)
        more = first.on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
        return more.returning(table.c.value)

    def judge(self, error: DBAPIError) -> Verdict:
        """Say what an error means: a state that is not known to be harmless leaves the outcome open."""
        state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
        if state in _BUSY:
            return Verdict(Outcome.BUSY, state)
        if state == _UNIQUE_VIOLATION:
            return Verdict(Outcome.TAKEN, str(error.orig.diag.constraint_name))  # type: ignore[union-attr] # of psycopg
        if state in self.refusals:
            return Verdict(Outcome.REFUSED, f"{self.refusals[state]} ({words(error)})")
        if not state and _NOT_LET_IN.search(words(error)):
            return Verdict(Outcome.REFUSED, words(error))
        known = state.startswith(_NOTHING_DONE) and state != _COMPLETION_UNKNOWN
        return Verdict(Outcome.NOTHING_DONE if known else Outcome.UNANSWERED, words(error))


class PostgresKey(sa.TypeDecorator[str]):
    """Text in the order of its code points. PostgreSQL keeps no U+0000, so the first two characters are written as two.

    U+0000 becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002: no two texts become one, and the order stays.
    """

    impl = sa.Text(collation="C")
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> str | None:
        """Return what is kept for a text."""
        if value is None or not ("\x00" in value or "\x01" in value):
            return value
        return value.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")

    def process_result_value(self, value: str | None, _dialect: sa.Dialect) -> str | None:
        """Return the text that is kept."""
        return None if value is None else value.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")
