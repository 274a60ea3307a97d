"""Tables that are made at first use and brought forward later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import Collection, Query, StoreRefused, WriteConflict
from airflow_provider_exia.storage.sql import SqlDocuments
from airflow_provider_exia.storage.sql_schema import SCHEMA_VERSION
from tests.processes import at_once

FIRST = Collection(name="things", fields={"name": str}, unique=(("name",),))
GROWN = Collection(
    name="things",
    fields={"name": str, "rank": int, "colour": str},
    unique=(("name",), ("rank", "name")),
    indexes=(("colour", "rank"),),
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the tables are."""
    return f"sqlite:///{tmp_path}/library.db"


@pytest.fixture
def old(url: str) -> Iterator[SqlDocuments]:
    """A store that an earlier version filled."""
    store = SqlDocuments(url)
    for number, name in enumerate("abc"):
        store.insert(FIRST, {"name": name, "rank": number, "colour": "red" if name == "b" else "blue"})
    yield store
    store.close()


@pytest.fixture
def new(old: SqlDocuments, url: str) -> Iterator[SqlDocuments]:
    """The same store, opened by a version whose collection has grown."""
    store = SqlDocuments(url)
    yield store
    store.close()


def test_a_grown_collection_is_found_by_its_new_fields(new: SqlDocuments) -> None:
    blue = new.find(GROWN, Query(where={"colour": "blue"}, order="rank", descending=True))

    assert [document["name"] for document in blue] == ["c", "a"]


def test_no_document_is_changed_by_the_step_forward(old: SqlDocuments, new: SqlDocuments) -> None:
    before = old.find(FIRST, Query(order="name"))

    after = new.find(GROWN, Query(order="name"))

    assert after == before


def test_a_damaged_document_stops_the_step_forward_and_is_named(new: SqlDocuments, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "library.db") as connection:
        connection.execute("UPDATE exia_things SET body = '{' WHERE name = 'b'")
    connection.close()

    with pytest.raises(DamagedDocument, match=r"document of 'things' \(name 'b'\)"):
        new.find(GROWN, Query(order="name"))


def test_old_documents_can_be_swapped_after_the_step_forward(new: SqlDocuments) -> None:
    document = new.get(GROWN, {"name": "b"})
    assert document is not None

    new.swap(GROWN, {**document, "colour": "green"}, revision=1)

    assert [found["name"] for found in new.find(GROWN, Query(where={"colour": "green"}, order="rank"))] == ["b"]


def test_new_indexes_are_made_and_new_unique_keys_hold(new: SqlDocuments, tmp_path: Path) -> None:
    new.find(GROWN, Query(order="name"))

    connection = sqlite3.connect(tmp_path / "library.db")
    made = dict(connection.execute("SELECT name, \"unique\" FROM pragma_index_list('exia_things')"))
    connection.close()
    assert made == {"exia_things__name": 1, "exia_things__rank_name": 1, "exia_things__colour_rank": 0}
    with pytest.raises(WriteConflict):
        new.insert(GROWN, {"name": "a", "rank": 0, "colour": "red"})


def test_the_version_before_still_writes_after_the_step_forward(old: SqlDocuments, new: SqlDocuments) -> None:
    new.find(GROWN, Query(order="name"))

    old.insert(FIRST, {"name": "d"})

    assert new.get(GROWN, {"name": "d"}) == {"name": "d", "revision": 1}


def bring_forward(url: str, _index: int) -> int:
    return len(SqlDocuments(url).find(GROWN, Query(where={"colour": "blue"}, order="rank")))


def test_processes_that_step_forward_at_once_do_it_once(old: SqlDocuments, url: str) -> None:
    found = at_once(4, bring_forward, url)

    assert found == [2, 2, 2, 2]


def make_tables(url: str, _index: int) -> list[object]:
    store = SqlDocuments(url)
    store.delete(GROWN, {"name": "absent"})
    return list(store.find(GROWN, Query(order="name")))


def test_processes_that_make_the_tables_at_once_make_them_once(url: str) -> None:
    found = at_once(8, make_tables, url)

    assert found == [[]] * 8


def test_tables_of_a_newer_version_are_refused_with_what_to_do(old: SqlDocuments, url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "library.db") as connection:
        connection.execute("UPDATE exia_schema SET version = version + 1")
    connection.close()

    for call in (lambda s: s.get(FIRST, {"name": "a"}), lambda s: s.insert(FIRST, {"name": "z"})):
        store = SqlDocuments(url)
        with pytest.raises(
            StoreRefused, match=rf"schema {SCHEMA_VERSION + 1}; this one knows {SCHEMA_VERSION}.*upgrade"
        ):
            call(store)
        store.close()
