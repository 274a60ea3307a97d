"""A collection that has grown by a field and an index is brought forward by its first use, whatever the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.storage.documents import Collection, Query, StoreRefused, WriteConflict
from airflow_provider_exia.storage.opening import open_documents
from tests.processes import at_once

if TYPE_CHECKING:
    from airflow_provider_exia.storage.documents import DocumentStore

OLD = Collection(name="things", fields={"name": str}, unique=(("name",),))
GROWN = Collection(
    name="things",
    fields={"name": str, "rank": int, "colour": str},
    unique=(("name",), ("rank", "name")),
    indexes=(("colour", "rank"),),
)
BLUE = Query(where={"colour": "blue"}, order="rank", descending=True)
EVERY = Query(order="name")


@pytest.fixture
def old(documents_url: str) -> Iterator[DocumentStore]:
    """A store that an older release filled and still uses."""
    store = open_documents(documents_url)
    for number, name in enumerate("abc"):
        store.insert(OLD, {"name": name, "rank": number, "colour": "red" if name == "b" else "blue"})
    yield store
    store.close()


@pytest.fixture
def new(old: DocumentStore, documents_url: str) -> Iterator[DocumentStore]:
    """The same store in a release whose collection has grown."""
    store = open_documents(documents_url)
    yield store
    store.close()


def test_older_documents_are_found_by_the_new_fields_and_stay_as_they_are(
    old: DocumentStore, new: DocumentStore
) -> None:
    before = old.find(OLD, EVERY)

    assert [document["name"] for document in new.find(GROWN, BLUE)] == ["c", "a"]
    assert new.find(GROWN, EVERY) == before


def test_a_new_unique_key_holds_for_older_documents_too(new: DocumentStore) -> None:
    new.insert(GROWN, {"name": "d", "rank": 0, "colour": "blue"})

    with pytest.raises(WriteConflict, match="name"):
        new.insert(GROWN, {"name": "a", "rank": 0, "colour": "blue"})
    new.swap(GROWN, {"name": "a", "rank": 7, "colour": "green"}, revision=1)
    assert [document["name"] for document in new.find(GROWN, BLUE)] == ["c", "d"]


def test_the_older_release_reads_and_writes_after_the_step(old: DocumentStore, new: DocumentStore) -> None:
    new.find(GROWN, BLUE)

    old.swap(OLD, {"name": "a", "rank": 5, "colour": "blue"}, revision=1)
    old.insert(OLD, {"name": "d", "rank": 9, "colour": "blue"})

    assert old.get(OLD, {"name": "a"}) == new.get(GROWN, {"name": "a"})
    assert [document["name"] for document in new.find(GROWN, EVERY)] == ["a", "b", "c", "d"]


def step_forward(url: str, _index: int) -> int:
    return len(open_documents(url).find(GROWN, BLUE))


def test_processes_that_step_forward_at_once_do_it_once(old: DocumentStore, documents_url: str) -> None:
    old.close()

    assert at_once(8, step_forward, documents_url) == [2] * 8


def test_a_store_of_a_newer_release_is_refused_with_what_to_do(old: DocumentStore, documents_url: str) -> None:
    old.close()
    make_newer(documents_url)

    for use in (lambda store: store.find(OLD, EVERY), lambda store: store.insert(OLD, {"name": "z"})):
        store = open_documents(documents_url)
        with pytest.raises(StoreRefused, match=r"made by a newer .* \(schema 99; .* upgrade this installation"):
            use(store)
        store.close()


def make_newer(url: str) -> None:
    """Write down the schema version of a release to come."""
    if url.startswith("mongodb"):
        from pymongo import MongoClient

        with MongoClient(url) as client:
            client.get_default_database()["exia_schema"].update_one({"_id": "schema"}, {"$set": {"version": 99}})
        return
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE exia_schema SET version = 99"))
