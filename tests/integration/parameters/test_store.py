"""Parameters on a real agent: histories, lost races, other programs, and many processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.parameters.exceptions import ForeignValue, ParameterChanged, SchemaBroken, UnknownParameter
from airflow_provider_exia.parameters.importing import read_2020_value
from airflow_provider_exia.parameters.records import FOREIGN
from airflow_provider_exia.parameters.schemas import Schemas
from airflow_provider_exia.parameters.snapshot import Snapshot, take_snapshot
from tests.integration.parameters.conftest import open_store

if TYPE_CHECKING:
    from airflow_provider_exia.parameters.store import ParameterStore
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

WRITERS, INCREMENTS = 20, 10
ROUNDS = 8
LOG_CONFIG_OF_2020 = (
    "{'LOG_ENABLED': True, 'LOG_TO_CONSOLE': True, 'LOG_PATH': './runtime.log', 'LOG_LEVEL': 'DEBUG', "
    "'ELASTIC_SEARCH_PORT': 9200, 'ELASTIC_SEARCH_HOST': '10.0.0.1', 'APP_ENVIRONMENT': 'dev'}"
)


def write_as_another_program(consul: Consul, store: ParameterStore, name: str, text: str) -> None:
    """Do what ``curl`` does."""
    path = f"kv/{store.root}/values/{store.environment}/{name}"
    assert consul.request("PUT", path, data=text).json() is True


@pytest.mark.parametrize("value", [1, 0.5, "text", None, True, [1, [2]], {"a": {"b": "ü\u2028"}}, {}], ids=repr)
def test_a_value_is_read_back_as_it_was_put(store: ParameterStore, value: Any) -> None:
    written = store.put("training/depth", value, by="ann")

    assert store.get("training/depth") == written
    assert (written.value, written.revision, written.environment) == (value, 1, "dev")


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), {"a": b"b"}], ids=repr)
def test_what_is_no_json_value_is_refused(store: ParameterStore, value: Any) -> None:
    with pytest.raises(InvalidInput, match="is no JSON value"):
        store.put("depth", value, by="ann")

    with pytest.raises(UnknownParameter):
        store.get("depth")


def test_an_environment_shows_what_it_inherits_and_hides_what_it_has_itself(
    consul: Consul, store: ParameterStore, root: str
) -> None:
    base = open_store(consul, root, environment="base")
    base.put_many({"a": "of base", "b": "of base"}, by="ann")
    store.put("b", "of dev", by="ann")

    found = {name: (item.value, item.environment) for name, item in store.find().items()}

    assert found == {"a": ("of base", "base"), "b": ("of dev", "dev")}
    assert (store.get("a").value, store.get("b").value) == ("of base", "of dev")


def test_a_change_decided_on_an_older_value_is_refused_and_names_who_was_faster(store: ParameterStore) -> None:
    seen = store.put("depth", 1, by="ann").index
    store.put("depth", 2, by="bob")

    with pytest.raises(ParameterChanged, match="by bob: read it again") as refused:
        store.put("depth", 3, by="ann", expected=seen)

    assert (refused.value.expected, refused.value.by) == (seen, "bob")
    assert store.get("depth").value == 2


def test_zero_expects_that_it_is_not_there(store: ParameterStore) -> None:
    store.put("depth", 1, by="ann", expected=0)

    with pytest.raises(ParameterChanged):
        store.put("depth", 2, by="ann", expected=0)


def test_the_history_tells_who_changed_what_and_why(store: ParameterStore) -> None:
    store.put("depth", 1, by="ann", reason="first")
    store.put("depth", {"a": 1}, by="bob", reason="second")
    store.delete("depth", by="cat", reason="third")

    told = [(item.number, item.value, item.is_deletion, item.by, item.reason) for item in store.history("depth")]

    assert told == [
        (3, None, True, "cat", "third"),
        (2, {"a": 1}, False, "bob", "second"),
        (1, 1, False, "ann", "first"),
    ]


def test_a_deleted_parameter_is_gone_and_goes_on_counting_when_it_comes_back(store: ParameterStore) -> None:
    store.put("depth", 1, by="ann")
    store.delete("depth", by="ann")

    with pytest.raises(UnknownParameter):
        store.get("depth")
    assert store.put("depth", 2, by="ann").revision == 3


def test_only_the_newest_revisions_are_kept(consul: Consul, root: str) -> None:
    store = open_store(consul, root, history_window=5)
    for value in range(12):
        store.put("depth", value, by="ann")

    assert [item.number for item in store.history("depth")] == [12, 11, 10, 9, 8]
    with pytest.raises(UnknownParameter, match="the newest 5 are kept"):
        store.revision("depth", 7)


def test_a_parameter_below_another_has_a_history_of_its_own(store: ParameterStore) -> None:
    store.put_many({"a": 1, "a/0000000001": 2}, by="ann")

    assert [item.value for item in store.history("a")] == [1]
    assert [item.value for item in store.history("a/0000000001")] == [2]


def test_what_was_true_at_a_moment_is_answered_from_the_history(store: ParameterStore) -> None:
    before = datetime.now(UTC)
    first = store.put("depth", 1, by="ann")
    at_first = store.revision("depth", first.revision).at
    store.put("depth", 2, by="ann")

    assert store.as_of("depth", at_first) == 1
    assert store.as_of("depth", datetime.now(UTC) + timedelta(seconds=1)) == 2
    with pytest.raises(UnknownParameter, match="had no value"):
        store.as_of("depth", before - timedelta(seconds=1))


def test_a_difference_names_the_place(store: ParameterStore) -> None:
    store.put("net", {"layers": {"first": 1, "second": 2}, "rate": 1}, by="ann")
    store.put("net", {"layers": {"first": 1, "second": 3}, "rate": 1.0}, by="ann")

    changes = [(change.path, change.before, change.after) for change in store.diff("net", 1, 2)]

    assert changes == [("layers.second", 2, 3), ("rate", 1, 1.0)]


def test_a_rollback_restores_the_very_bytes_as_a_new_revision(store: ParameterStore) -> None:
    key = f"{store.root}/values/dev/net"
    store.put("net", {"b": 1, "a": ["ü", 0.1]}, by="ann")
    first = store.key_values.get(key)
    store.put("net", {"b": 2}, by="ann")

    written = store.rollback("net", 1, by="bob")

    restored = store.key_values.get(key)
    assert first is not None
    assert restored is not None
    assert restored.value == first.value
    assert written.revision == 3
    assert store.history("net")[0].reason == "back to revision 1"


def test_a_value_that_breaks_its_schema_is_refused_by_field(consul: Consul, root: str) -> None:
    schema = {"type": "object", "properties": {"layers": {"type": "array", "items": {"type": "integer"}}}}
    store = open_store(consul, root, schemas=Schemas({"net": schema, "limits/": dict[str, int]}))

    for name, value, place in (("net/a", {"layers": [1, "2"]}, "layers.1"), ("limits/b", {"x": "many"}, "x")):
        with pytest.raises(SchemaBroken, match="nothing was written") as refused:
            store.put_many({"free": 1, name: value}, by="ann")
        assert (refused.value.name, refused.value.field) == (name, place)
    assert store.find() == {}


# Another program


def test_another_program_s_change_refuses_a_change_decided_before_it(consul: Consul, store: ParameterStore) -> None:
    seen = store.put("depth", 1, by="ann").index
    write_as_another_program(consul, store, "depth", "2")

    with pytest.raises(ParameterChanged, match=f"by {FOREIGN}"):
        store.put("depth", 3, by="ann", expected=seen)

    assert store.get("depth").value == 2


def test_another_program_s_change_is_seen_in_the_history_before_and_after_the_next_of_ours(
    consul: Consul, store: ParameterStore
) -> None:
    store.put("depth", 1, by="ann")
    write_as_another_program(consul, store, "depth", ' {"a":  2}')
    before = [(item.value, item.is_foreign) for item in store.history("depth")]

    store.put("depth", 3, by="bob")

    after = [(item.number, item.value, item.by) for item in store.history("depth")]
    assert before == [({"a": 2}, True), (1, False)]
    assert after == [(3, 3, "bob"), (2, {"a": 2}, FOREIGN), (1, 1, "ann")]


def test_what_another_program_wrote_that_is_no_json_is_named_kept_and_can_be_replaced(
    consul: Consul, store: ParameterStore
) -> None:
    write_as_another_program(consul, store, "depth", "{'a': True}")

    for read in (lambda: store.get("depth"), store.find):
        with pytest.raises(ForeignValue, match="depth was written by another program"):
            read()
    store.put("depth", 1, by="ann")

    assert store.get("depth").value == 1
    assert [item.raw is not None for item in store.history("depth")] == [False, True]


def test_another_program_s_deletion_is_a_revision_too(consul: Consul, store: ParameterStore) -> None:
    store.put("depth", 1, by="ann")
    consul.request("DELETE", f"kv/{store.root}/values/dev/depth")

    told = [(item.is_deletion, item.is_foreign) for item in store.history("depth")]

    assert told == [(True, True), (False, False)]
    assert store.put("depth", 2, by="ann").revision == 3


def test_a_value_of_2020_is_read_once_and_comes_back_typed(consul: Consul, store: ParameterStore) -> None:
    write_as_another_program(consul, store, "log_config_dict", LOG_CONFIG_OF_2020)
    found = store.key_values.get(f"{store.root}/values/dev/log_config_dict")
    assert found is not None

    store.put("log_config_dict", read_2020_value("log_config_dict", found.value), by="ann", expected=found.index)

    value = store.get("log_config_dict").value
    assert (value["LOG_ENABLED"], value["ELASTIC_SEARCH_PORT"], value["LOG_LEVEL"]) == (True, 9200, "DEBUG")


# A run


def test_a_snapshot_gives_the_same_values_after_fifty_changes(store: ParameterStore) -> None:
    store.put_many({"training/depth": 3, "training/rate": 0.1, "other": 0}, by="ann")
    kept = take_snapshot(store, "training", needed=["depth"]).as_document()
    for value in range(50):
        store.put("training/depth", value, by="bob")

    snapshot = Snapshot.from_document(kept)

    assert snapshot.values == {"depth": 3, "rate": 0.1}
    assert snapshot.digest != take_snapshot(store, "training").digest
    store.put("training/depth", 3, by="bob")
    assert snapshot.digest == take_snapshot(store, "training").digest


def test_a_snapshot_without_what_is_needed_is_refused_by_name(store: ParameterStore) -> None:
    store.put("training/depth", 3, by="ann")

    with pytest.raises(UnknownParameter, match="no parameter training/rate in 'dev'"):
        take_snapshot(store, "training", needed=["depth", "rate"])
    with pytest.raises(UnknownParameter, match="anything below nothing/"):
        take_snapshot(store, "nothing")


def test_flags_that_another_program_made_up_do_not_stop_a_write(consul: Consul, store: ParameterStore) -> None:
    for value in (1, 2, 3):
        store.put("depth", value, by="ann")
    consul.request("PUT", f"kv/{store.root}/values/dev/depth", data="1", params={"flags": "1"})

    assert store.put("depth", 5, by="bob").value == 5
    assert [item.number for item in store.history("depth")][0] >= 4


# Many at once


def test_of_racing_increments_none_is_lost(consul: Consul, root: str) -> None:
    open_store(consul, root).put("count", 0, by="ann")
    start = threading.Barrier(WRITERS)

    def increment(writer: int) -> None:
        store = open_store(consul, root)
        start.wait(30)
        for _ in range(INCREMENTS):
            while True:
                seen = store.get("count")
                try:
                    store.put("count", seen.value + 1, by=f"writer {writer}", expected=seen.index)
                except ParameterChanged:
                    continue
                break

    in_threads(WRITERS, increment)

    store = open_store(consul, root)
    assert store.get("count").value == WRITERS * INCREMENTS
    assert [item.value for item in store.history("count")] == list(range(200, 150, -1))


def test_writers_that_expect_nothing_all_get_through_and_each_has_its_revision(consul: Consul, root: str) -> None:
    def write(writer: int) -> None:
        open_store(consul, root).put("last", writer, by=f"writer {writer}")

    in_threads(WRITERS, write)

    history = open_store(consul, root).history("last")
    assert [item.number for item in history] == list(range(WRITERS, 0, -1))
    assert sorted(item.value for item in history) == list(range(WRITERS))


def test_many_parameters_change_together_before_the_eyes_of_readers(consul: Consul, root: str) -> None:
    store = open_store(consul, root)
    names = [f"together/p{number}" for number in range(store.key_values.largest_transaction // 2)]
    store.put_many(dict.fromkeys(names, 0), by="ann")
    done, torn = threading.Event(), []

    def read(_reader: int) -> None:
        reader = open_store(consul, root)
        while not done.is_set():
            values = {item.value for item in reader.find("together").values()}
            if len(values) != 1:
                torn.append(values)

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read, number) for number in range(8)]
        for value in range(1, ROUNDS + 1):
            store.put_many(dict.fromkeys(names, value), by="ann")
        done.set()
        for reader in readers:
            reader.result()

    assert torn == []
    assert all(store.history(name)[0].value == ROUNDS for name in names)


def test_a_thousand_parameters_are_read_in_one_request(
    consul: Consul, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(consul, root)
    for start in range(0, 1000, 32):
        store.put_many({f"many/p{number:04}": number for number in range(start, min(start + 32, 1000))}, by="ann")
    asked: list[str] = []
    transport = store.key_values._transport
    read = transport.read
    monkeypatch.setattr(
        transport, "read", lambda path, *more, **named: asked.append(path) or read(path, *more, **named)
    )

    found = store.find("many")

    assert [item.value for item in found.values()] == list(range(1000))
    assert len(asked) == 1


def in_threads(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work, number) for number in range(count)]:
            future.result()
