"""A SQL server from outside: its URL with a driver that is installed, and what it says of itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.storage.server_facts import ServerFacts, Way, way_to

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_MYSQL_DRIVERS = (("mysqldb", "MySQLdb"), ("pymysql", "pymysql"))
_DRIVERS = {
    "postgresql": (("psycopg2", "psycopg2"), ("psycopg", "psycopg")),
    "mysql": _MYSQL_DRIVERS,
    "mariadb": _MYSQL_DRIVERS,
}
_QUESTIONS = {
    "sqlite": ("SQLite", "SELECT sqlite_version(), NULL"),
    "postgresql": ("PostgreSQL", "SELECT current_setting('server_version'), now()"),
    "mysql": ("MySQL", "SELECT version(), utc_timestamp(6)"),
    "mariadb": ("MariaDB", "SELECT version(), utc_timestamp(6)"),
}
EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


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
        with_driver(dialect),
        username=login,
        password=password,
        host=host,
        port=port,
        database=database,
        query=dict(options or {}),
    )
    return url.render_as_string(hide_password=False)


def sql_facts(connection: Connection) -> ServerFacts:
    """Ask a database for its name, its version and its clock, and how it is spoken to."""
    name, question = _QUESTIONS[connection.dialect.name]
    version, now = connection.exec_driver_sql(question).one()
    if now is not None:
        now = now if now.tzinfo else now.replace(tzinfo=UTC)
    return ServerFacts(product=f"{name} {version}", way=_way(connection), now=now)


def _way(connection: Connection) -> Way:
    url = connection.engine.url
    if connection.dialect.name == "sqlite":
        return Way.LOCAL
    host = url.host or str(url.query.get("host") or url.query.get("unix_socket") or "")
    checked = url.query.get("sslmode") == "verify-full" or "ssl_ca" in url.query
    return way_to(host.split(","), encrypted=_encrypted(connection), checked=checked)


def _encrypted(connection: Connection) -> bool:
    if connection.dialect.name != "postgresql":
        return bool(connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()[-1])
    driver: Any = connection.connection.dbapi_connection  # the server would tell of a pooler's connection, not of ours
    return bool(getattr(driver, "pgconn", driver.info).ssl_in_use)


def with_driver(dialect: str) -> str:
    """Return a dialect with its driver, as in "postgresql+psycopg2": the one that it names, or one that is installed.

    :raises InvalidInput: the driver that it names is none that this package speaks through
    :raises MissingExtra: it is not installed
    """
    kind, _, chosen = dialect.partition("+")
    drivers = _DRIVERS.get(kind)
    if drivers is None:
        return dialect
    possible = [(name, module) for name, module in drivers if chosen in ("", name)]
    if not possible:
        names = " or ".join(name for name, _ in drivers)
        raise InvalidInput(f"{dialect!r} is no way to a document store: expected {names} behind the '+', or no '+'")
    for name, module in possible:
        if importlib.util.find_spec(module) is not None:
            return f"{kind}+{name}"
    raise MissingExtra(library=possible[0][1], extra=EXTRAS[kind], purpose=f"documents in {kind}")
