"""What is particular to documents in MongoDB and needs no server."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.storage.codec import DamagedDocument, read_body
from airflow_provider_exia.storage.documents import (
    Collection,
    DocumentStore,
    Query,
    StorageError,
    StoreRefused,
    StoreUnavailable,
    WriteUnknown,
)
from airflow_provider_exia.storage.mongo import MongoDocuments, _client_options
from airflow_provider_exia.storage.mongo_schema import conflicting_key
from tests.silent import port_of_nobody, silent_server

THINGS = Collection(name="things", fields={"name": str, "rank": int}, unique=(("name",), ("rank", "name")))
LIMIT_SECONDS = 5.5

CALLS: dict[str, Callable[[DocumentStore], object]] = {
    "insert": lambda store: store.insert(THINGS, {"name": "a", "rank": 1}),
    "get": lambda store: store.get(THINGS, {"name": "a"}),
    "next_number": lambda store: store.next_number("counter"),
}


def test_a_server_that_is_down_is_unavailable_within_five_seconds() -> None:
    store = MongoDocuments(f"mongodb://ann:secret@127.0.0.1:{port_of_nobody()}/exia")
    begun = time.monotonic()

    with pytest.raises(StoreUnavailable, match=r"^127\.0\.0\.1:\d+/exia: .*refused.*; nothing was written$") as failed:
        store.insert(THINGS, {"name": "a", "rank": 1})

    assert time.monotonic() - begun < LIMIT_SECONDS
    assert "secret" not in str(failed.value)
    store.close()


@pytest.mark.parametrize("call", CALLS)
def test_every_call_says_that_the_server_is_down(call: str) -> None:
    store = MongoDocuments(f"mongodb://127.0.0.1:{port_of_nobody()}/exia?serverSelectionTimeoutMS=100")

    with pytest.raises(StoreUnavailable, match="nothing was written"):
        CALLS[call](store)

    store.close()


def test_a_server_that_says_nothing_is_unavailable_in_time() -> None:
    with silent_server() as port:
        store = MongoDocuments(f"mongodb://127.0.0.1:{port}/exia")
        begun = time.monotonic()

        with pytest.raises(StoreUnavailable, match="nothing was written"):
            store.insert(THINGS, {"name": "a", "rank": 1})

        assert time.monotonic() - begun < LIMIT_SECONDS
        store.close()


def test_the_driver_looks_every_half_second_and_still_gives_up_within_five() -> None:
    with silent_server() as port:
        # It begins to count half seconds anew when a connection is given up: here they end at 4.75 and at 5.25.
        store = MongoDocuments(f"mongodb://127.0.0.1:{port}/exia?connectTimeoutMS=3250")
        begun = time.monotonic()

        with pytest.raises(StoreUnavailable, match="nothing was written"):
            store.insert(THINGS, {"name": "a", "rank": 1})

        assert time.monotonic() - begun < 5
        store.close()


@pytest.mark.parametrize("uri", ["mongodb://host", "mongodb://host/", "mongodb://ann:secret@host:1/?w=1"])
def test_an_address_without_a_database_is_refused_with_what_to_add(uri: str) -> None:
    with pytest.raises(InvalidInput, match=r"^mongodb://host.* names no database: .*'mongodb://host:27017/exia'") as no:
        MongoDocuments(uri)

    assert "secret" not in str(no.value)


@pytest.mark.parametrize("name", ["a/b", "a.b", "a$b", "a%00b", "a b"])
def test_a_name_that_no_database_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="names no database"):
        MongoDocuments(f"mongodb://host/{name}")


@pytest.mark.parametrize("uri", ["http://host/exia", "exia", "ann:secret@host/exia"])
def test_what_is_none_of_mongodb_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(InvalidInput, match="none of MongoDB") as refused:
        MongoDocuments(uri)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("uri", ["mongodb://ann:sec/ret@host/exia", "mongodb://ann:sec:ret@host/exia"])
def test_a_password_that_breaks_the_address_is_not_shown(uri: str) -> None:
    with pytest.raises(InvalidInput, match=r"host.*(%-escapes|names no database)") as refused:
        MongoDocuments(uri, database="exia").get(THINGS, {"name": "a"})

    assert "sec" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("database", [None, "exia"])
@pytest.mark.parametrize(
    "uri", ["mongodb://ann:secret", "mongodb://ann:secret/exia", "mongodb://host:1,ann:secret/exia"]
)
def test_a_password_in_the_place_of_a_port_is_not_shown(uri: str, database: str | None) -> None:
    with pytest.raises(InvalidInput, match="address cannot be read: .* with %-escapes") as refused:
        MongoDocuments(uri, database=database)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("hosts", ["[::1]:27017", "a,b:1", "%2Ftmp%2Fm.sock"])
def test_every_way_to_write_hosts_is_taken(hosts: str) -> None:
    with pytest.raises(InvalidInput, match="names no database") as refused:
        MongoDocuments(f"mongodb://ann:secret@{hosts}/")

    assert str(refused.value).startswith(f"mongodb://{hosts} names no database")


def test_a_certificate_that_cannot_be_read_is_named_as_an_option() -> None:
    store = MongoDocuments("mongodb://host/exia?tls=true&tlsCAFile=/nowhere.pem")

    with pytest.raises(
        InvalidInput, match="an option of the document store host/exia .*: .* tlscafile .* not readable"
    ):
        store.get(THINGS, {"name": "a"})


@pytest.mark.parametrize("database", [None, "exia"])
@pytest.mark.parametrize("password", ["sec[ret", "sec\u2100ret"], ids=["bracket", "a sign that means a/c"])
def test_a_password_that_makes_the_address_unreadable_is_not_shown(password: str, database: str | None) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: .*%-escapes") as refused:
        MongoDocuments(f"mongodb://ann:{password}@host/exia", database=database)

    assert "sec" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_option_that_is_not_for_mongodb_is_refused_by_name() -> None:
    store = MongoDocuments("mongodb://host/exia", options={"srv_port": 3})

    with pytest.raises(InvalidInput, match=r"option of the document store host/exia is not for MongoDB: .*srv_port"):
        store.get(THINGS, {"name": "a"})


def test_time_outs_are_ours_unless_the_address_or_the_options_have_others() -> None:
    chosen = _client_options("mongodb://host/exia?connecttimeoutms=7", {"serverSelectionTimeoutMS": 8}, 9_000)

    assert chosen == {
        "appname": "airflow-provider-exia",
        "serverSelectionTimeoutMS": 8,
        "socketTimeoutMS": 9_000,
        "retryReads": False,
        "retryWrites": False,
    }


def test_nobody_switches_the_drivers_own_repetitions_on() -> None:
    chosen = _client_options("mongodb://host/exia?retryWrites=true", {"retryWrites": True}, 9_000)

    assert chosen["retryWrites"] is False


@pytest.mark.parametrize(
    ("error", "reading", "writing"),
    [
        pytest.param(AutoReconnect("connection closed"), StoreUnavailable, WriteUnknown, id="lost connection"),
        pytest.param(NetworkTimeout("timed out"), StoreUnavailable, WriteUnknown, id="time-out"),
        pytest.param(
            WTimeoutError("waiting", 64, {"code": 64}), StoreUnavailable, WriteUnknown, id="no majority in time"
        ),
        pytest.param(
            NotPrimaryError("not primary", {"code": 10107}), StoreUnavailable, StoreUnavailable, id="not the primary"
        ),
        pytest.param(
            NotPrimaryError("stepped down", {"code": 11602}), StoreUnavailable, WriteUnknown, id="interrupted"
        ),
        pytest.param(OperationFailure("not allowed", 13, {"code": 13}), StoreRefused, StoreRefused, id="no permission"),
        pytest.param(OperationFailure("full", 14031, {"code": 14031}), StoreRefused, StoreRefused, id="disk full"),
        pytest.param(OperationFailure("odd", 8, {"code": 8}), StoreUnavailable, WriteUnknown, id="anything else"),
    ],
)
def test_only_what_is_known_to_have_written_nothing_is_said_to(
    error: PyMongoError, reading: type[StorageError], writing: type[StorageError]
) -> None:
    # A member of a replica set that stops at the wrong moment cannot be had here.
    store = MongoDocuments("mongodb://host/exia")

    read, written = (store._failure(error, unanswered=kind) for kind in (StoreUnavailable, WriteUnknown))

    assert type(read) is reading
    assert type(written) is writing
    assert ("nothing was written" in str(written)) == (writing is not WriteUnknown)


@pytest.mark.parametrize(
    ("details", "key"),
    [
        ({"keyPattern": {"rank": 1, "name": 1}}, ("rank", "name")),
        ({"errmsg": "E11000 duplicate key error collection: a.exia_things index: exia__rank_name dup key: {}"},
         ("rank", "name")),
        ({"errmsg": "E11000 duplicate key error"}, ("name",)),
    ],
    ids=["told", "in words, before 4.4", "not told"],
)  # fmt: skip
def test_a_conflict_names_the_key_that_the_server_names(details: dict[str, Any], key: tuple[str, ...]) -> None:
    error = DuplicateKeyError("duplicate", 11000, details)

    assert conflicting_key(THINGS, error) == key


@pytest.mark.parametrize("more", [{}, {"body": None}, {"body": "{"}, {"body": "[]"}, {"body": {"name": "a"}}])
def test_a_text_that_is_no_json_object_is_damaged_and_named(more: dict[str, Any]) -> None:
    with pytest.raises(DamagedDocument, match=r"document of 'things' \(name 'a'\) is .* 'body': it is no JSON object"):
        read_body(THINGS, {"_id": 1, "name": "a", **more})


def test_a_limit_of_none_at_all_asks_nobody() -> None:
    store = MongoDocuments("mongodb://host/exia")

    assert store.find(THINGS, Query(order="name", limit=0)) == []


def test_without_its_library_the_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_name: str, *_more: object) -> ModuleSpec | None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_nothing)

    with pytest.raises(MissingExtra, match=r"airflow-provider-exia\[mongo\]"):
        MongoDocuments("mongodb://host/exia")
