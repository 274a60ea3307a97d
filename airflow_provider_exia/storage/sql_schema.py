"""The tables of the SQL backend: made at first use, and brought forward when a collection has grown.

The body is the document; the other columns repeat the fields that keys and indexes need. So every step forward is
the same one: add the missing columns, fill them from the bodies, add the missing indexes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from airflow_provider_exia.storage.documents import REVISION, Collection, Key, StoreRefused

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

BODY = "body"
COUNTERS = Collection(name="counters", fields={"name": str, "value": int}, unique=(("name",),))
SCHEMA_VERSION = 1

_COLUMN_TYPES: dict[type, type[sa.types.TypeEngine[Any]]] = {str: sa.String, int: sa.BigInteger}
_KEY_LENGTH = 255


def constraint_name(collection: Collection, key: Key) -> str:
    """Return the name of the constraint or index on these fields."""
    return f"exia_{collection.name}__{'_'.join(key)}"


def ensure_table(connection: Connection, metadata: sa.MetaData, collection: Collection) -> None:
    """Make the collection's table or bring it forward, inside the caller's transaction.

    :raises StoreRefused: a newer version of this package made the tables
    """
    _check_schema_version(connection, metadata)
    table = _declare(metadata, collection)
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        table.create(connection)
        return
    present = {column["name"] for column in inspector.get_columns(table.name)}
    missing = [name for name in collection.fields if name not in present]
    if missing:
        _add_columns(connection, table, missing)
    indexes = {index["name"] for index in inspector.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexes:
            index.create(connection)


def _declare(metadata: sa.MetaData, collection: Collection) -> sa.Table:
    name = f"exia_{collection.name}"
    if name in metadata.tables:
        return metadata.tables[name]
    columns = [sa.Column(field, _column_type(kind), nullable=False) for field, kind in collection.fields.items()]
    table = sa.Table(
        name,
        metadata,
        *columns,
        sa.Column(REVISION, sa.BigInteger, nullable=False),
        sa.Column(BODY, sa.Text, nullable=False),
    )
    for key in collection.unique:
        sa.Index(constraint_name(collection, key), *(table.c[field] for field in key), unique=True)
    for key in collection.indexes:
        sa.Index(constraint_name(collection, key), *(table.c[field] for field in key))
    return table


def _column_type(kind: type) -> sa.types.TypeEngine[Any]:
    return sa.String(_KEY_LENGTH) if kind is str else _COLUMN_TYPES[kind]()


def _add_columns(connection: Connection, table: sa.Table, missing: list[str]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    for name in missing:
        column_type = table.c[name].type.compile(connection.dialect)
        empty = "''" if isinstance(table.c[name].type, sa.String) else "0"
        connection.exec_driver_sql(
            f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(name)} {column_type} NOT NULL DEFAULT {empty}"
        )
    for row in connection.execute(sa.select(table.c.body)).all():
        document = json.loads(row.body)
        values = {name: document[name] for name in missing if name in document}
        if values:
            connection.execute(table.update().where(table.c.body == row.body).values(values))


def _check_schema_version(connection: Connection, metadata: sa.MetaData) -> None:
    table = metadata.tables.get("exia_schema")
    if table is None:
        table = sa.Table("exia_schema", metadata, sa.Column("version", sa.BigInteger, nullable=False))
    if not sa.inspect(connection).has_table(table.name):
        table.create(connection)
        connection.execute(table.insert().values(version=SCHEMA_VERSION))
        return
    found = connection.execute(sa.select(table.c.version)).scalar_one()
    if found > SCHEMA_VERSION:
        raise StoreRefused(
            f"the tables in {connection.engine.url.render_as_string(hide_password=True)} were made by a newer "
            f"airflow-provider-exia (schema {found}; this one knows {SCHEMA_VERSION}): upgrade this installation"
        )
