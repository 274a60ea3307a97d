"""A metadata connection becomes an address, field by field, and nothing in it is passed over in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import Connection

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.hooks.documents import documents_url
from airflow_provider_exia.storage import sql_server


def connection(conn_type: str, extra: Any = None, **fields: Any) -> Connection:
    text = extra if isinstance(extra, str) else json.dumps(extra or {})
    return Connection(conn_id="db", conn_type=conn_type, extra=text, **fields)


@pytest.mark.parametrize(
    ("fields", "extra", "expected"),
    [
        ({"host": "db"}, {}, "mongodb://db/exia"),
        ({"host": "a:27017,b", "schema": "exia"}, {"replicaSet": "rs0"}, "mongodb://a:27017,b/exia?replicaSet=rs0"),
        (
            {"host": "db", "port": 27018, "login": "ann", "password": "p/w:@"},
            {"serverSelectionTimeoutMS": 900},
            "mongodb://ann:p%2Fw%3A%40@db:27018/exia?serverSelectionTimeoutMS=900&authSource=admin",
        ),
        (
            {"host": "db", "login": "ann", "password": "p", "schema": "team"},
            {},
            "mongodb://ann:p@db/team",
        ),
        ({"host": "db"}, {"ssl": True}, "mongodb://db/exia?tls=true"),
        (
            {"host": "db"},
            {"tls": "true", "allow_insecure": True},
            "mongodb://db/exia?tls=true&tlsAllowInvalidCertificates=true",
        ),
        ({"host": "db"}, {"allow_insecure": True, "srv": False, "ssl": None}, "mongodb://db/exia"),
        ({"host": "db"}, {"srv": True}, "mongodb+srv://db/exia"),
        ({"host": "db"}, {"srv": True, "ssl": False}, "mongodb+srv://db/exia?tls=false"),
        ({"host": "db"}, {"w": 1, "readPreference": "secondary"}, "mongodb://db/exia"),
    ],
)
def test_a_mongo_connection_is_read_as_the_official_hook_reads_it(
    fields: dict[str, Any], extra: dict[str, Any], expected: str
) -> None:
    assert documents_url(connection("mongo", extra, **fields)) == expected


def test_a_postgres_connection_keeps_its_tls_settings() -> None:
    given = connection(
        "postgres",
        {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "cursor": "dictcursor"},
        host="db",
        port=5433,
        login="ann",
        password="p/w:@%",
        schema="models",
    )

    url = sa.make_url(documents_url(given))

    assert (url.get_backend_name(), url.host, url.port, url.database) == ("postgresql", "db", 5433, "models")
    assert (url.username, url.password) == ("ann", "p/w:@%")
    assert url.query == {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}


def test_a_mysql_connection_keeps_its_tls_settings() -> None:
    given = connection("mysql", {"ssl": {"ca": "/etc/ca.pem"}, "charset": "utf8"}, host="db", schema="models")

    url = sa.make_url(documents_url(given))

    assert (url.get_backend_name(), url.database, url.query) == ("mysql", "models", {"ssl_ca": "/etc/ca.pem"})


def test_a_sqlite_connection_names_a_file() -> None:
    assert documents_url(connection("sqlite", host="/srv/library.db")) == "sqlite:////srv/library.db"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            connection("http", {"a": 1}),
            "it is of the type 'http', and documents are kept in mongo, mysql, postgres, sqlite",
        ),
        (connection("mongo"), "its host is empty"),
        (connection("mongo", host="db", login="ann"), "it has a login and no password"),
        (connection("mongo", {"srv": True}, host="db", port=1), "with 'srv' the port comes from the name service"),
        (connection("mongo", {"ssl": "maybe"}, host="db"), "ssl is 'maybe', expected true or false"),
        (
            connection("mongo", {"replicaset": "a"}, host="db"),
            "'replicaset' in its extra is not known: expected one of",
        ),
        (connection("mongo", {"tlsInsecure": True}, host="db"), "'tlsInsecure' in its extra is not supported here"),
        (connection("postgres", host="db"), "its schema is empty: give the name of the database"),
        (connection("postgres", {"iam": True}, host="db", schema="m"), "'iam' in its extra is not supported here"),
        (connection("postgres", {"sslMode": "a"}, host="db", schema="m"), "'sslMode' in its extra is not known"),
        (connection("mysql", {"ssl": {"check": 1}}, host="db", schema="m"), "'ssl' in its extra is not usable"),
        (connection("sqlite"), "its host is empty"),
        (connection("mongo", "{", host="db"), "its extra is no JSON object"),
        (connection("mongo", "[]", host="db"), "its extra is no JSON object"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(given: Connection, problem: str) -> None:
    with pytest.raises(InvalidInput, match=f"connection 'db': {problem}"):
        documents_url(given)


def test_a_driver_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_server.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=r"documents in mysql needs .* pip install 'airflow-provider-exia\[mysql\]'"):
        documents_url(connection("mysql", host="db", schema="models"))
