"""What is particular to documents on PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from airflow_provider_exia.model_library import records
from airflow_provider_exia.storage.documents import (
    Collection,
    Query,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
)
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.processes import at_once
from tests.servers import session
from tests.servers.proxy import Proxy
from tests.silent import port_of_nobody, silent_server

THINGS = Collection(name="things", fields={"name": str, "rank": int}, unique=(("name",),), indexes=(("rank",),))
GROWN = Collection(
    name="things",
    fields={"name": str, "rank": int, "colour": str},
    unique=(("name",), ("rank", "name")),
    indexes=(("colour", "rank"),),
)
LONG = Collection(
    name="a_collection_with_a_name",
    fields={"a_field_with_a_name": str, "another_field_with_a_name": str},
    unique=(("a_field_with_a_name",), ("a_field_with_a_name", "another_field_with_a_name")),
)
KINDS = [pytest.param(kind, marks=pytest.mark.servers(kind)) for kind in ("mariadb", "postgres")]
DRIVERS = {"mariadb": "mysql+pymysql", "postgres": "postgresql+psycopg2"}
SECONDS = 2.0
AND_A_TENTH = 1.1
CONNECT_SECONDS = 3.0


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn."""
    return str(request.param)


@pytest.fixture
def url(kind: str) -> str:
    """An empty database."""
    return session.fresh_documents_url(kind)


@pytest.fixture
def documents(url: str) -> Iterator[SqlDocuments]:
    """A fresh store."""
    store = SqlDocuments(url)
    yield store
    store.close()


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """What stands before the server."""
    with Proxy(make_url(url).port or 0) as standing:
        yield standing


@pytest.fixture
def behind(proxy: Proxy, url: str) -> Iterator[SqlDocuments]:
    """The store through the proxy, warm: its table and its connection are there."""
    store = SqlDocuments(proxy.through(url), busy_timeout=timedelta(seconds=SECONDS))
    store.insert(THINGS, {"name": "a", "rank": 1})
    store.next_number("counter")
    yield store
    store.close()


def begins(statement: bytes) -> Callable[[bytes], bool]:
    return lambda request: statement in request[:100]


def test_a_server_that_is_down_is_unavailable_in_time(kind: str) -> None:
    store = SqlDocuments(f"{DRIVERS[kind]}://ann:secret@127.0.0.1:{port_of_nobody()}/exia")
    begun = time.monotonic()

    for call in (lambda: store.insert(THINGS, {"name": "a", "rank": 1}), lambda: store.get(THINGS, {"name": "a"})):
        with pytest.raises(StoreUnavailable, match="nothing was written") as failed:
            call()
        assert "secret" not in str(failed.value)

    assert time.monotonic() - begun < CONNECT_SECONDS * AND_A_TENTH


def test_a_server_that_says_nothing_to_a_new_connection_is_unavailable_in_time(kind: str) -> None:
    with silent_server() as port:
        seconds = timedelta(seconds=CONNECT_SECONDS)
        store = SqlDocuments(f"{DRIVERS[kind]}://ann:secret@127.0.0.1:{port}/exia", busy_timeout=seconds)
        begun = time.monotonic()

        with pytest.raises(StoreUnavailable, match="nothing was written"):
            store.insert(THINGS, {"name": "a", "rank": 1})

        assert time.monotonic() - begun < CONNECT_SECONDS * AND_A_TENTH


WRITES: dict[str, tuple[bytes, Callable[[SqlDocuments], object]]] = {
    "insert": (b"INSERT INTO exia_things", lambda store: store.insert(THINGS, {"name": "b", "rank": 2})),
    "swap": (b"UPDATE exia_things", lambda store: store.swap(THINGS, {"name": "a", "rank": 2}, revision=1)),
    "delete": (b"DELETE FROM exia_things", lambda store: store.delete(THINGS, {"name": "a"})),
    "next_number": (b"INSERT INTO exia_counters", lambda store: store.next_number("counter")),
}


@pytest.mark.parametrize("silent", [False, True], ids=["connection lost", "no answer"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_reply_is_lost_is_unknown_in_time_and_may_be_there(
    documents: SqlDocuments, behind: SqlDocuments, proxy: Proxy, write: str, silent: bool
) -> None:
    statement, call = WRITES[write]
    proxy.swallow(begins(statement), silent=silent)
    begun = time.monotonic()

    with pytest.raises(WriteUnknown):
        call(behind)

    assert time.monotonic() - begun < SECONDS * AND_A_TENTH
    assert proxy.swallowed == 1
    there = [(found["name"], found["rank"]) for found in documents.find(THINGS, Query(order="name"))]
    expected = {"insert": [("a", 1), ("b", 2)], "swap": [("a", 2)], "delete": [], "next_number": [("a", 1)]}
    assert there == expected[write]
    assert behind.next_number("counter") == (3 if write == "next_number" else 2)


def test_a_read_whose_connection_was_lost_meanwhile_is_asked_again(behind: SqlDocuments, proxy: Proxy) -> None:
    proxy.reset_all()

    found = behind.get(THINGS, {"name": "a"})

    assert found == {"name": "a", "rank": 1, "revision": 1}


def test_a_read_without_an_answer_is_unavailable_in_time_and_asked_once(behind: SqlDocuments, proxy: Proxy) -> None:
    proxy.black_hole()
    begun = time.monotonic()

    with pytest.raises(StoreUnavailable):
        behind.get(THINGS, {"name": "a"})

    assert time.monotonic() - begun < SECONDS * AND_A_TENTH
    proxy.reset_all()
    proxy.pass_all()
    assert behind.get(THINGS, {"name": "a"}) is not None


def test_a_write_that_waits_too_long_for_another_ones_row_has_written_nothing(
    url: str, documents: SqlDocuments
) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    impatient = SqlDocuments(url, busy_timeout=timedelta(seconds=1))
    engine = sa.create_engine(url)
    with engine.connect() as other:
        other.exec_driver_sql("UPDATE exia_things SET revision = revision")

        with pytest.raises(StoreUnavailable, match="busy with other writers for 1 s; nothing was written"):
            impatient.swap(THINGS, {"name": "a", "rank": 2}, revision=1)

        other.rollback()
    engine.dispose()
    assert documents.get(THINGS, {"name": "a"}) == {"name": "a", "rank": 1, "revision": 1}
    impatient.close()


def test_a_wrong_password_is_refused_and_not_shown(url: str) -> None:
    wrong = make_url(url).set(password="wrong-secret").render_as_string(hide_password=False)

    with pytest.raises(StoreRefused, match="nothing was written") as refused:
        SqlDocuments(wrong).get(THINGS, {"name": "a"})

    assert "wrong-secret" not in str(refused.value)


def test_a_database_that_is_not_there_is_refused(url: str) -> None:
    elsewhere = make_url(url).set(database="nobody_made_it").render_as_string(hide_password=False)

    with pytest.raises(StoreRefused, match="nobody_made_it"):
        SqlDocuments(elsewhere).insert(THINGS, {"name": "a", "rank": 1})


@pytest.mark.servers("postgres")
def test_a_read_only_database_is_refused_for_writing_and_can_be_read() -> None:
    url = session.fresh_documents_url("postgres")
    SqlDocuments(url).insert(THINGS, {"name": "a", "rank": 1})
    standby = make_url(url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    store = SqlDocuments(standby.render_as_string(hide_password=False))

    found = store.get(THINGS, {"name": "a"})

    assert found is not None
    with pytest.raises(StoreRefused, match="it is read-only"):
        store.insert(THINGS, {"name": "b", "rank": 1})
    store.close()


def test_a_read_makes_no_table(url: str, documents: SqlDocuments) -> None:
    found = documents.find(THINGS, Query(order="name")), documents.get(THINGS, {"name": "a"})

    engine = sa.create_engine(url)
    assert found == ([], None)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_megabyte_of_text_is_kept(documents: SqlDocuments) -> None:
    text = '\u00e9"\\\u0000' * 200_000

    documents.insert(THINGS, {"name": "a", "rank": 1, "text": text})

    found = documents.get(THINGS, {"name": "a"})
    assert found is not None
    assert found["text"] == text


def test_the_longest_keys_fit_into_their_index(documents: SqlDocuments) -> None:
    wide = Collection(name="wide", fields=dict.fromkeys("abcde", str), unique=(tuple("abcde"),))
    values = {name: f"{name}\u00e9" + "".join(chr(0x4E00 + i * 7 % 20_000) for i in range(169)) for name in "abcde"}
    assert all(len(value.encode()) == 510 for value in values.values())

    documents.insert(wide, values)

    assert documents.get(wide, values) == {**values, "revision": 1}


def test_first_characters_keep_their_order(documents: SqlDocuments) -> None:
    texts = ["", "\x00", "\x00\x00", "\x00\x01", "\x00a", "\x01", "\x01\x00", "\x01\x02", "\x02", "a", "a\x00", "a\x01"]
    for number, text in enumerate(texts):
        documents.insert(THINGS, {"name": text, "rank": -number})

    found = [document["name"] for document in documents.find(THINGS, Query(order="name"))]

    assert found == texts
    assert all(first < second for first, second in pairwise(found))


def test_a_conflict_of_a_key_with_a_long_name_is_named(documents: SqlDocuments) -> None:
    first, second = LONG.fields
    documents.insert(LONG, {first: "a", second: "b"})

    with pytest.raises(WriteConflict) as refused:
        documents.insert(LONG, {first: "a", second: "c"})

    assert refused.value.key == (first,)
    documents.insert(LONG, {first: "b", second: "b"})


def test_every_collection_of_the_package_can_be_kept(url: str, documents: SqlDocuments) -> None:
    collections = [value for value in vars(records).values() if isinstance(value, Collection)]
    assert len(collections) > 2

    for collection in collections:
        documents.delete(collection, {name: collection.fields[name]() for name in collection.identity})

    engine = sa.create_engine(url)
    made = [len(sa.inspect(engine).get_indexes(f"exia_{collection.name}")) for collection in collections]
    engine.dispose()
    assert made == [len(collection.unique) + len(collection.indexes) for collection in collections]


def bring_forward(url: str, _index: int) -> list[str]:
    store = SqlDocuments(url)
    return [found["name"] for found in store.find(GROWN, Query(where={"colour": "blue"}, order="rank"))]


def test_processes_that_step_forward_at_once_do_it_once(url: str, documents: SqlDocuments) -> None:
    for number, name in enumerate("aAb"):
        documents.insert(THINGS, {"name": name, "rank": number, "colour": "red" if name == "A" else "blue"})

    found = at_once(4, bring_forward, url)

    assert found == [["a", "b"]] * 4


def test_a_step_forward_that_was_cut_off_before_its_indexes_is_finished(url: str, documents: SqlDocuments) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1, "colour": "blue"})
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:  # as on MariaDB, where each such statement commits itself
        connection.exec_driver_sql("ALTER TABLE exia_things ADD COLUMN colour VARCHAR(100) NOT NULL DEFAULT ''")
    engine.dispose()

    assert bring_forward(url, 0) == ["a"]


def test_threads_that_wait_for_one_counter_get_numbers_of_their_own(documents: SqlDocuments) -> None:
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(documents.next_number("counter") for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(1, 81))


def test_tables_of_a_newer_version_are_refused(url: str, documents: SqlDocuments) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exia_schema SET version = version + 1")
    engine.dispose()

    with contextlib.closing(SqlDocuments(url)) as store, pytest.raises(StoreRefused, match="made by a newer"):
        store.get(THINGS, {"name": "a"})


FORMS: dict[str, list[str]] = {
    "postgres": ["postgresql", "postgresql+psycopg2", "postgresql+psycopg"],
    "mariadb": ["mysql", "mysql+pymysql", "mariadb", "mariadb+pymysql"],
}


@pytest.mark.parametrize(
    ("key", "form"),
    [
        pytest.param(key, form, marks=pytest.mark.servers(key), id=form)
        for key, forms in FORMS.items()
        for form in forms
    ],
)
def test_each_form_of_the_address_leads_to_the_same_documents(key: str, form: str) -> None:
    url = session.fresh_documents_url(key)
    SqlDocuments(url).insert(THINGS, {"name": "\x00", "rank": 1})
    store = SqlDocuments(f"{form}:{url.partition(':')[2]}")

    found = store.get(THINGS, {"name": "\x00"})

    assert found == {"name": "\x00", "rank": 1, "revision": 1}
    with pytest.raises(WriteConflict) as refused:
        store.insert(THINGS, {"name": "\x00", "rank": 1})
    assert refused.value.key == ("name",)
    assert store.server().product.split()[0] in ("PostgreSQL", "MySQL", "MariaDB")
    store.close()
