"""A metadata connection becomes the address of a document store: ``mongo``, ``postgres``, ``mysql`` or ``sqlite``.

The fields are those of the official providers. Their hooks are not used: they read the connection anew, which a trigger
may not do, and their SQLAlchemy URL of PostgreSQL leaves out ``sslmode``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow_provider_exia.hooks.fields import Fields

if TYPE_CHECKING:
    from airflow.sdk import Connection

_DATABASE = "exia"
_MONGO_OPTIONS = (
    *("appName", "authMechanism", "authSource", "directConnection", "replicaSet"),
    *("connectTimeoutMS", "serverSelectionTimeoutMS", "timeoutMS", "maxIdleTimeMS", "maxPoolSize", "minPoolSize"),
    *("tlsAllowInvalidHostnames", "tlsCAFile", "tlsCertificateKeyFile"),
)
_MONGO_SET_BY_US = (
    *("journal", "readConcernLevel", "readPreference", "retryReads", "retryWrites"),
    *("socketTimeoutMS", "w", "wtimeoutMS"),
)
_POSTGRES_OPTIONS = (
    *("application_name", "channel_binding", "gssencmode", "options", "target_session_attrs"),
    *("sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert"),
    *("keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"),
)


def documents_url(connection: Connection) -> str:
    """Return the address of the document store that a connection names; it holds the password.

    :raises InvalidInput: the connection is of another type, or one of its fields cannot be used
    :raises MissingExtra: no driver is installed
    """
    make = _KINDS.get(connection.conn_type or "")
    if make is None:
        raise Fields(connection, known=(), ignored=connection.extra_dejson).problem(
            f"it is of the type {connection.conn_type!r}, and documents are kept in {', '.join(sorted(_KINDS))}: name "
            "another connection as 'documents'"
        )
    return make(connection)


def _mongo(connection: Connection) -> str:
    fields = Fields(
        connection,
        known=("allow_insecure", "srv", "ssl", "tls", *_MONGO_OPTIONS),
        ignored=_MONGO_SET_BY_US,
        refused=("authMechanismProperties", "tlsCertificateKeyFilePassword", "tlsInsecure"),
    )
    seeds = fields.switch("srv")
    if seeds and connection.port:
        raise fields.problem("with 'srv' the port comes from the name service: leave the port empty")
    options = {name: text for name in _MONGO_OPTIONS if (text := fields.text(name)) is not None}
    if fields.switch("ssl") or fields.switch("tls"):
        options["tls"] = "true"
        if fields.switch("allow_insecure"):
            options["tlsAllowInvalidCertificates"] = "true"
    elif seeds and (fields.text("ssl") or fields.text("tls")):
        options["tls"] = "false"  # with seeds the driver's default is true
    database = connection.schema or _DATABASE
    if connection.login and not connection.schema:
        options.setdefault("authSource", "admin")  # else the driver would look for the user in our database
    who = f"{quote(connection.login, safe='')}:{quote(_password(fields), safe='')}@" if connection.login else ""
    where = f"{_host(fields)}:{connection.port}" if connection.port else _host(fields)
    query = f"?{urlencode(options)}" if options else ""
    return f"mongodb{'+srv' if seeds else ''}://{who}{where}/{quote(database, safe='')}{query}"


def _postgres(connection: Connection) -> str:
    fields = Fields(
        connection,
        known=_POSTGRES_OPTIONS,
        ignored=("connect_timeout", "cursor", "enable_log_db_messages"),
        refused=("aws_conn_id", "azure_conn_id", "iam", "redshift", "service", "sqlalchemy_query"),
    )
    options = {name: text for name in _POSTGRES_OPTIONS if (text := fields.text(name)) is not None}
    return _server_url("postgresql", fields, options)


def _mysql(connection: Connection) -> str:
    fields = Fields(
        connection,
        known=("ssl", "unix_socket"),
        ignored=("charset", "client", "cursor", "local_infile"),
        refused=("aws_conn_id", "iam", "init_command", "ssl_mode"),
    )
    options = {"unix_socket": text} if (text := fields.text("unix_socket")) else {}
    ssl = fields.extra.get("ssl") or {}
    if not isinstance(ssl, dict) or not set(ssl) <= {"ca", "cert", "key"}:
        raise fields.problem('\'ssl\' in its extra is not usable: expected files by name, as in {"ca": "/etc/ca.pem"}')
    return _server_url("mysql", fields, options | {f"ssl_{name}": str(file) for name, file in ssl.items()})


def _sqlite(connection: Connection) -> str:
    from airflow_provider_exia.storage.sql_server import sql_url

    return sql_url("sqlite", database=_host(Fields(connection, known=())))


def _server_url(dialect: str, fields: Fields, options: dict[str, str]) -> str:
    from airflow_provider_exia.storage.sql_server import sql_url

    connection = fields.connection
    if not connection.schema:
        raise fields.problem("its schema is empty: give the name of the database")
    return sql_url(
        dialect,
        host=_host(fields),
        port=connection.port,
        login=connection.login or None,
        password=connection.password or None,
        database=connection.schema,
        options=options,
    )


def _host(fields: Fields) -> str:
    if not fields.connection.host:
        raise fields.problem("its host is empty: give where the store is")
    return fields.connection.host


def _password(fields: Fields) -> str:
    if not fields.connection.password:
        raise fields.problem("it has a login and no password: give both, or neither")
    return fields.connection.password


_KINDS = {"mongo": _mongo, "mysql": _mysql, "postgres": _postgres, "sqlite": _sqlite}
