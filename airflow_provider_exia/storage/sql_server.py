"""A SQL server from outside: its URL with a driver that is installed, and what it says of itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING

import sqlalchemy as sa

from airflow_provider_exia.exceptions import MissingExtra
from airflow_provider_exia.storage.server_facts import ServerFacts

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_DRIVERS = {
    "postgresql": (("psycopg2", "psycopg2"), ("psycopg", "psycopg")),
    "mysql": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql")),
}
_QUESTIONS = {
    "sqlite": ("SQLite", "SELECT sqlite_version(), NULL"),
    "postgresql": ("PostgreSQL", "SELECT current_setting('server_version'), now()"),
    "mysql": ("MySQL", "SELECT version(), utc_timestamp(6)"),
    "mariadb": ("MariaDB", "SELECT version(), utc_timestamp(6)"),
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}


def sql_url(
    dialect: str,
    *,
    host: str | None = None,
    port: int | None = None,
    login: str | None = None,
    password: str | None = None,
    database: str | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """Return a URL as :func:`~airflow_provider_exia.storage.opening.open_documents` takes it; it holds the password.

    :param dialect: ``postgresql``, ``mysql`` or ``sqlite``
    :param options: what the driver is told beyond it
    :raises MissingExtra: no driver of this dialect is installed
    """
    url = sa.URL.create(
        _with_driver(dialect),
        username=login,
        password=password,
        host=host,
        port=port,
        database=database,
        query=dict(options or {}),
    )
    return url.render_as_string(hide_password=False)


def sql_facts(connection: Connection) -> ServerFacts:
    """Ask a database for its name, its version and its clock."""
    name, question = _QUESTIONS[connection.dialect.name]
    version, now = connection.exec_driver_sql(question).one()
    if now is not None:
        now = now if now.tzinfo else now.replace(tzinfo=UTC)
    return ServerFacts(product=f"{name} {version}", now=now)


def _with_driver(dialect: str) -> str:
    drivers = _DRIVERS.get(dialect)
    if drivers is None:
        return dialect
    for name, module in drivers:
        if importlib.util.find_spec(module) is not None:
            return f"{dialect}+{name}"
    raise MissingExtra(library=drivers[0][1], extra=_EXTRAS[dialect], purpose=f"documents in {dialect}")
