"""The tables of the SQL backend: made at the first write, and brought forward when a collection has grown.

The body is the document; the other columns repeat the fields that keys and indexes need. So every step forward is
the same one: add the missing columns, fill them from the bodies, add the missing indexes. The indexes come last: where
a process died in between, what they need is filled again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from airflow_provider_exia.storage.codec import read_body
from airflow_provider_exia.storage.documents import BODY, REVISION, Collection, Key, StoreRefused

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_exia.storage.sql_dialects import Dialect

COUNTERS = Collection(name="counters", fields={"name": str, "value": int}, unique=(("name",),))
SCHEMA_VERSION = 1


class Tables:
    """The tables of one store, as they should be and as they are; used by one thread at a time.

    :param dialect: of its database
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._metadata = dialect, sa.MetaData()

    def table(self, collection: Collection) -> sa.Table:
        """Return the collection's table as it should be."""
        name = f"exia_{collection.name}"
        if name in self._metadata.tables:
            return self._metadata.tables[name]
        key_type = self._dialect.key_type
        columns = [sa.Column(field, key_type(kind), nullable=False) for field, kind in collection.fields.items()]
        table = sa.Table(
            name,
            self._metadata,
            *columns,
            sa.Column(REVISION, sa.BigInteger, nullable=False),
            sa.Column(BODY, self._dialect.body_type(), nullable=False),
        )
        for key in collection.unique:
            sa.Index(self.index_name(collection, key), *(table.c[field] for field in key), unique=True)
        for key in collection.indexes:
            sa.Index(self.index_name(collection, key), *(table.c[field] for field in key))
        return table

    def index_name(self, collection: Collection, key: Key) -> str:
        """Return the name of the index on these fields."""
        return self._dialect.index_name(f"exia_{collection.name}__{'_'.join(key)}")

    def is_ready(self, connection: Connection, collection: Collection) -> bool | None:
        """Return whether the collection's table is as it should be; None if there is none. Takes no lock.

        :raises StoreRefused: a newer version of this package made the tables
        """
        inspector = sa.inspect(connection)
        table = self.table(collection)
        self._check_schema_version(connection, inspector)
        if not inspector.has_table(table.name):
            return None
        return not (_missing_columns(inspector, table) or _missing_indexes(inspector, table))

    def make(self, connection: Connection, collection: Collection) -> None:
        """Make the collection's table or bring it forward; the caller holds the lock of the schema.

        :raises StoreRefused: a newer version of this package made the tables
        """
        inspector = sa.inspect(connection)
        table = self.table(collection)
        if not self._check_schema_version(connection, inspector):
            self._write_schema_version(connection, inspector)
        if not inspector.has_table(table.name):
            table.create(connection)
            return
        columns, indexes = _missing_columns(inspector, table), _missing_indexes(inspector, table)
        if columns:
            _add_columns(connection, table, {name: collection.fields[name] for name in columns})
        needed = {column.name for index in indexes for column in index.columns}
        if columns or needed:
            _fill_columns(connection, table, collection, names={*columns, *needed})
        for index in indexes:
            index.create(connection)

    def _check_schema_version(self, connection: Connection, inspector: sa.Inspector) -> bool:
        """Return whether a version is written down."""
        if not inspector.has_table("exia_schema"):
            return False
        found = connection.execute(sa.select(sa.func.max(self._versions().c.version))).scalar_one()
        if found is not None and found > SCHEMA_VERSION:
            raise StoreRefused(
                f"the tables in {self._dialect.where} were made by a newer airflow-provider-exia (schema {found}; this "
                f"one knows {SCHEMA_VERSION}): upgrade this installation"
            )
        return found is not None

    def _write_schema_version(self, connection: Connection, inspector: sa.Inspector) -> None:
        table = self._versions()
        if not inspector.has_table(table.name):
            table.create(connection)
        connection.execute(table.insert().values(version=SCHEMA_VERSION))

    def _versions(self) -> sa.Table:
        found = self._metadata.tables.get("exia_schema")
        if found is not None:
            return found
        return sa.Table("exia_schema", self._metadata, sa.Column("version", sa.BigInteger, nullable=False))


def _missing_columns(inspector: sa.Inspector, table: sa.Table) -> list[str]:
    present = {column["name"] for column in inspector.get_columns(table.name)}
    return [column.name for column in table.columns if column.name not in present]


def _missing_indexes(inspector: sa.Inspector, table: sa.Table) -> list[sa.Index]:
    present = {index["name"] for index in inspector.get_indexes(table.name)}
    return [index for index in table.indexes if index.name not in present]


def _add_columns(connection: Connection, table: sa.Table, kinds: dict[str, type]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    for name, kind in kinds.items():
        column_type = table.c[name].type.compile(connection.dialect)
        empty = "''" if kind is str else "0"
        connection.exec_driver_sql(
            f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(name)} {column_type} NOT NULL DEFAULT {empty}"
        )


def _fill_columns(connection: Connection, table: sa.Table, collection: Collection, *, names: Iterable[str]) -> None:
    """Write fields of the bodies into their columns; at another revision somebody wrote newer ones meanwhile."""
    kept = (table.c[name] for name in (BODY, *collection.identity))
    for row in connection.execute(sa.select(*kept)).all():
        document = read_body(collection, row._asdict())
        values = {name: document[name] for name in names if name in document}
        if values:
            same = [table.c[name] == document[name] for name in (*collection.identity, REVISION)]
            connection.execute(table.update().where(*same).values(values))
