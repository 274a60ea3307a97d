"""The statements of one collection, each built once: building one anew costs several times what running it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from airflow_provider_exia.storage.documents import BODY, REVISION, Collection, Document, Query

if TYPE_CHECKING:
    from airflow_provider_exia.storage.sql_dialects import Dialect

_READ = "read_"  # before the name of a parameter: SQLAlchemy keeps a column's own name for the value that is written


class Statements:
    """What is asked of a collection's table, with parameters in the place of values.

    :param table: the collection's table
    :param collection: its unique keys; by the first one rows are changed and ties are broken
    :param dialect: of the table's database
    """

    def __init__(self, table: sa.Table, collection: Collection, dialect: Dialect) -> None:
        self._table, self._collection, self._dialect = table, collection, dialect
        self._reads: dict[tuple[object, ...], sa.Select[Any]] = {}
        self.insert = table.insert().inline()
        same = self._equal(collection.identity)
        self.swap = table.update().where(*same, table.c.revision == sa.bindparam(f"{_READ}{REVISION}"))
        self.delete = table.delete().where(*same)

    @cached_property
    def count_up(self) -> sa.Executable:
        """The statement that makes a counter or takes its next number."""
        return self._dialect.count_up(self._table)

    def get(self, names: Iterable[str]) -> sa.Select[Any]:
        """Return the statement that reads one body by the fields of a unique key."""
        names = tuple(names)
        return self._once(names, lambda: self._bodies(names).limit(1))

    def find(self, query: Query) -> sa.Select[Any]:
        """Return the statement for a query; it serves every other one that differs in values only."""
        names = tuple(query.where)
        bounds = (query.at_least is not None, query.at_most is not None, query.limit is not None)
        return self._once((names, query.order, query.descending, bounds), lambda: self._search(query))

    def _search(self, query: Query) -> sa.Select[Any]:
        column = self._table.c[query.order]
        chosen = self._bodies(query.where)
        if query.at_least is not None:
            chosen = chosen.where(column >= sa.bindparam(f"{_READ}at_least"))
        if query.at_most is not None:
            chosen = chosen.where(column <= sa.bindparam(f"{_READ}at_most"))
        order = [self._table.c[name] for name in (query.order, *self._tie_break(query))]
        chosen = chosen.order_by(*(part.desc() if query.descending else part.asc() for part in order))
        return chosen if query.limit is None else chosen.limit(sa.bindparam(f"{_READ}limit", type_=sa.Integer))

    def _tie_break(self, query: Query) -> list[str]:
        """Return what to sort by after the query's own field: nothing that is fixed, or the index would not serve."""
        fixed = {*query.where, query.order}
        if any(fixed.issuperset(key) for key in self._collection.unique):
            return []
        return [name for name in self._collection.identity if name not in fixed]

    def _bodies(self, names: Iterable[str]) -> sa.Select[Any]:
        kept = (self._table.c[name] for name in (BODY, *self._collection.fields))
        return sa.select(*kept).where(*self._equal(names))

    def _equal(self, names: Iterable[str]) -> list[sa.ColumnElement[bool]]:
        return [self._table.c[name] == sa.bindparam(f"{_READ}{name}") for name in names]

    def _once(self, shape: tuple[object, ...], build: Callable[[], sa.Select[Any]]) -> sa.Select[Any]:
        if shape not in self._reads:
            self._reads[shape] = build()
        return self._reads[shape]


def read(names: Iterable[str], values: Document) -> dict[str, Any]:
    """Return the parameters of a statement that compares these fields."""
    return {f"{_READ}{name}": values[name] for name in names}


def query_values(query: Query) -> dict[str, Any]:
    """Return the parameters of a query's statement."""
    bounds = {"at_least": query.at_least, "at_most": query.at_most, "limit": query.limit}
    values = {**query.where, **{name: value for name, value in bounds.items() if value is not None}}
    return read(values, values)
