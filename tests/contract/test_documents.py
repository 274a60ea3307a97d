"""What every document store promises."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_exia.storage import mongo, server_facts, sql
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import Collection, DocumentStore, Query, WriteConflict, body_text
from airflow_provider_exia.storage.server_facts import TellsOfItself, Way
from tests.processes import alone, at_once
from tests.simulation.stores import SimulatedDocuments

if TYPE_CHECKING:
    from tests.contract.conftest import Backend, OpenDocuments

SHELF = Collection(
    name="contract_shelf",
    fields={"owner": str, "name": str, "rank": int, "serial": int},
    unique=(("owner", "name"), ("serial",)),
    indexes=(("owner", "rank"), ("rank",)),
)
PROCESSES = 8
ROUNDS = 25

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def write_text_of(document: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every store keep the text of this document with the fields of the one it is given, as an attacker can."""
    for module in (sql, mongo):
        monkeypatch.setattr(
            module, "body_text", lambda collection, _, revision: body_text(collection, document, revision=revision)
        )


def item(name: str, *, owner: str = "ann", rank: int = 0, serial: int | None = None, **more: Any) -> dict[str, Any]:
    """A document; its serial is its own unless given."""
    serial = serial if serial is not None else uuid.uuid4().int >> 66
    return {"owner": owner, "name": name, "rank": rank, "serial": serial, **more}


def key(name: str, owner: str = "ann") -> dict[str, str | int]:
    return {"owner": owner, "name": name}


def names(documents: DocumentStore, query: Query) -> list[str]:
    return [document["name"] for document in documents.find(SHELF, query)]


def test_an_inserted_document_is_read_back_whole_at_revision_1(documents: DocumentStore) -> None:
    document = item("a", more={"nested": [1, 2.5, None, True, "ü\u0000\n"]})

    documents.insert(SHELF, document)

    assert documents.get(SHELF, key("a")) == {**document, "revision": 1}


@pytest.mark.parametrize("change", [{"name": "b"}, {"owner": "bob"}, {"rank": 2}, {"serial": 8}])
def test_the_text_of_another_document_is_refused_under_every_field(
    documents: DocumentStore, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    document = item("a", rank=1, serial=7)
    write_text_of({**document, **change}, monkeypatch)
    documents.insert(SHELF, document)
    if isinstance(documents, SimulatedDocuments):
        pytest.skip("keeps no fields beside a document")
    [(field, value)] = change.items()

    reads: tuple[Callable[[], object], ...] = (
        lambda: documents.get(SHELF, key("a")),
        lambda: documents.get(SHELF, {"serial": 7}),
        lambda: documents.find(SHELF, Query(order="rank")),
    )
    for read in reads:
        with pytest.raises(DamagedDocument, match=rf"\(owner 'ann', name 'a'\) is damaged at '{field}': .* {value!r}"):
            read()


def test_a_document_is_found_by_each_of_its_unique_keys(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a", serial=7))

    by_identity, by_serial = documents.get(SHELF, key("a")), documents.get(SHELF, {"serial": 7})

    assert by_identity is not None
    assert by_identity == by_serial


def test_an_absent_document_is_none(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a"))

    found = documents.get(SHELF, key("b"))

    assert found is None


@pytest.mark.parametrize(
    ("second", "taken"),
    [
        pytest.param({"name": "a", "serial": 2}, ("owner", "name"), id="identity"),
        pytest.param({"name": "b", "serial": 1}, ("serial",), id="other key"),
    ],
)
def test_a_second_insert_of_a_unique_key_is_refused_and_names_the_key(
    documents: DocumentStore, second: dict[str, Any], taken: tuple[str, ...]
) -> None:
    documents.insert(SHELF, item("a", serial=1, body="first"))

    with pytest.raises(WriteConflict) as refused:
        documents.insert(SHELF, item(**second, body="second"))

    assert refused.value.key == taken
    assert refused.value.collection == SHELF.name
    assert [document["body"] for document in documents.find(SHELF, Query(order="name"))] == ["first"]


def test_the_same_name_of_another_owner_is_another_document(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a", owner="ann"))

    documents.insert(SHELF, item("a", owner="bob"))

    assert documents.get(SHELF, key("a", "bob")) != documents.get(SHELF, key("a", "ann"))


@pytest.mark.parametrize("other", ["A", "a ", "á", "a\u0000", " a", "ａ"])
def test_names_that_look_alike_are_different_keys(documents: DocumentStore, other: str) -> None:
    documents.insert(SHELF, item("a"))

    documents.insert(SHELF, item(other))

    assert documents.get(SHELF, key(other)) != documents.get(SHELF, key("a"))


def test_a_swap_at_the_read_revision_replaces_the_document_and_counts_up(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a", serial=1, rank=1, colour="red"))

    documents.swap(SHELF, item("a", serial=1, rank=2), revision=1)

    assert documents.get(SHELF, key("a")) == {**item("a", serial=1, rank=2), "revision": 2}
    assert names(documents, Query(where={"rank": 2}, order="name")) == ["a"]
    assert names(documents, Query(where={"rank": 1}, order="name")) == []


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_a_swap_at_another_revision_is_refused_and_changes_nothing(documents: DocumentStore, revision: int) -> None:
    documents.insert(SHELF, item("a", serial=1))
    documents.swap(SHELF, item("a", serial=1, body="second"), revision=1)

    with pytest.raises(WriteConflict) as refused:
        documents.swap(SHELF, item("a", serial=1, body="late"), revision=revision)

    assert refused.value.key == ("revision",)
    assert documents.get(SHELF, key("a")) == {**item("a", serial=1, body="second"), "revision": 2}


def test_a_swap_of_an_absent_document_is_refused_and_makes_none(documents: DocumentStore) -> None:
    with pytest.raises(WriteConflict) as refused:
        documents.swap(SHELF, item("a"), revision=1)

    assert refused.value.key == ("revision",)
    assert documents.get(SHELF, key("a")) is None


def test_a_swap_onto_another_documents_unique_key_is_refused_and_names_the_key(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a", serial=1))
    documents.insert(SHELF, item("b", serial=2))

    with pytest.raises(WriteConflict) as refused:
        documents.swap(SHELF, item("b", serial=1), revision=1)

    assert refused.value.key == ("serial",)
    assert documents.get(SHELF, key("b")) == {**item("b", serial=2), "revision": 1}


@pytest.mark.parametrize("write", ["insert", "swap"])
@pytest.mark.parametrize("value", [None, 1.5, "1", True], ids=repr)
def test_a_key_field_of_another_type_is_refused_by_name(documents: DocumentStore, write: str, value: Any) -> None:
    documents.insert(SHELF, item("a"))
    calls: dict[str, Callable[[Any], None]] = {
        "insert": lambda document: documents.insert(SHELF, document),
        "swap": lambda document: documents.swap(SHELF, document, revision=1),
    }

    with pytest.raises(ValueError, match="contract_shelf: field 'rank' must be int"):
        calls[write]({**item("a" if write == "swap" else "b"), "rank": value})

    assert names(documents, Query(order="name")) == ["a"]


def test_a_document_without_a_key_field_is_refused_by_name(documents: DocumentStore) -> None:
    document = item("a")
    del document["serial"]

    with pytest.raises(ValueError, match="contract_shelf: field 'serial' must be int, not None"):
        documents.insert(SHELF, document)

    assert documents.find(SHELF, Query(order="name")) == []


def test_find_gives_only_what_matches_in_order(documents: DocumentStore) -> None:
    for rank, name in enumerate("cabd"):
        documents.insert(SHELF, item(name, rank=rank))
    documents.insert(SHELF, item("z", owner="bob"))

    rising = names(documents, Query(where={"owner": "ann"}, order="rank"))
    falling = names(documents, Query(where={"owner": "ann"}, order="rank", descending=True))

    assert rising == ["c", "a", "b", "d"]
    assert falling == ["d", "b", "a", "c"]


def test_bounds_include_themselves(documents: DocumentStore) -> None:
    for rank, name in enumerate("abcde"):
        documents.insert(SHELF, item(name, rank=rank))

    found = names(documents, Query(where={"owner": "ann"}, order="rank", at_least=1, at_most=3))

    assert found == ["b", "c", "d"]


def test_a_bound_of_zero_is_a_bound(documents: DocumentStore) -> None:
    for rank, name in ((-1, "a"), (0, "b"), (1, "c")):
        documents.insert(SHELF, item(name, rank=rank))

    below, above = Query(order="rank", at_most=0), Query(order="rank", at_least=0)

    assert names(documents, below) == ["a", "b"]
    assert names(documents, above) == ["b", "c"]


def test_ties_are_broken_by_the_identity_in_the_same_direction(documents: DocumentStore) -> None:
    for name in "bca":
        documents.insert(SHELF, item(name, rank=5))

    rising = names(documents, Query(order="rank"))
    falling = names(documents, Query(order="rank", descending=True))

    assert rising == ["a", "b", "c"]
    assert falling == ["c", "b", "a"]


def test_a_limit_cuts_after_sorting(documents: DocumentStore) -> None:
    for rank, name in enumerate("cab"):
        documents.insert(SHELF, item(name, rank=rank))

    newest = names(documents, Query(where={"owner": "ann"}, order="rank", descending=True, limit=2))

    assert newest == ["b", "a"]


def test_texts_are_ordered_by_code_point(documents: DocumentStore) -> None:
    for name in ("ab", "a", "a_b", "B", "a ", "é", "z"):
        documents.insert(SHELF, item(name))

    found = names(documents, Query(order="name"))

    assert found == ["B", "a", "a ", "a_b", "ab", "z", "é"]


def test_find_in_an_empty_collection_is_empty(documents: DocumentStore) -> None:
    found = documents.find(SHELF, Query(order="rank"))

    assert list(found) == []


SAME_STORE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SAME_STORE
@given(
    ranks=st.dictionaries(TEXT, st.integers(-3, 3), max_size=8),
    wanted=st.none() | st.integers(-3, 3),
    order=st.sampled_from(["rank", "name"]),
    descending=st.booleans(),
    bounds=st.tuples(st.none() | st.integers(-4, 4), st.none() | st.integers(-4, 4)),
    limit=st.none() | st.integers(0, 5),
)
def test_find_agrees_with_a_sorted_list(
    documents: DocumentStore,
    ranks: dict[str, int],
    wanted: int | None,
    order: str,
    descending: bool,
    bounds: tuple[int | None, int | None],
    limit: int | None,
) -> None:
    owner = uuid.uuid4().hex
    for name, rank in ranks.items():
        documents.insert(SHELF, item(name, owner=owner, rank=rank))
    at_least, at_most = bounds if order == "rank" else (None, None)
    where: dict[str, str | int] = {"owner": owner} if wanted is None else {"owner": owner, "rank": wanted}

    found = documents.find(
        SHELF,
        Query(where=where, order=order, descending=descending, at_least=at_least, at_most=at_most, limit=limit),
    )

    rows = [{"name": name, "rank": rank} for name, rank in ranks.items() if wanted is None or rank == wanted]
    rows = [row for row in rows if at_least is None or row["rank"] >= at_least]
    rows = [row for row in rows if at_most is None or row["rank"] <= at_most]
    rows.sort(key=itemgetter(order, "name"), reverse=descending)
    assert [document["name"] for document in found] == [row["name"] for row in rows[:limit]]


def test_numbers_of_one_counter_grow_and_counters_are_apart(documents: DocumentStore) -> None:
    taken = [documents.next_number("a") for _ in range(3)]

    other = documents.next_number("ab")

    assert taken == sorted(set(taken))
    assert min(taken) >= 1
    assert other <= taken[0]


def test_a_deleted_document_is_gone_and_its_keys_are_free(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a", serial=1))
    documents.insert(SHELF, item("b", serial=2))

    documents.delete(SHELF, key("a"))

    assert names(documents, Query(order="name")) == ["b"]
    documents.insert(SHELF, item("a", serial=1))


def test_deleting_an_absent_document_is_success(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a"))

    documents.delete(SHELF, key("b"))

    assert names(documents, Query(order="name")) == ["a"]


def test_a_server_says_what_it_is_and_that_others_can_listen(
    documents: DocumentStore, documents_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(documents, TellsOfItself):
        pytest.skip("has no server")
    monkeypatch.setattr(server_facts, "is_this_machine", lambda _: False)

    facts = documents.server()

    assert facts.product
    assert facts.way is (Way.PLAIN if documents_backend.server else Way.LOCAL)


def test_a_closed_store_can_be_used_again(documents: DocumentStore) -> None:
    documents.insert(SHELF, item("a"))
    first = documents.next_number("counter")

    documents.close()
    documents.close()

    assert names(documents, Query(order="name")) == ["a"]
    assert documents.next_number("counter") > first


def test_another_handle_sees_every_acknowledged_write(open_documents: OpenDocuments) -> None:
    writer, reader = open_documents(), open_documents()
    writer.insert(SHELF, item("a", serial=1))
    before = reader.get(SHELF, key("a"))

    writer.swap(SHELF, item("a", serial=1, body="second"), revision=1)

    assert before is not None
    assert before["revision"] == 1
    assert reader.get(SHELF, key("a")) == {**item("a", serial=1, body="second"), "revision": 2}
    writer.close()
    reader.close()


def test_threads_may_share_a_store_from_its_first_call_on(shared_documents: OpenDocuments) -> None:
    start, failures = threading.Barrier(12), []
    store = shared_documents()

    def insert(index: int) -> None:
        try:
            start.wait(30)
            store.insert(SHELF, item(f"n{index:02}"))
        except Exception as error:  # whatever it is, it is looked at below
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # as many turns between the threads as Python allows
    try:
        threads = [threading.Thread(target=insert, args=(index,)) for index in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert failures == []
    assert names(store, Query(order="name")) == [f"n{index:02}" for index in range(12)]
    store.close()


# Many processes.


def insert_each_name(open_documents: OpenDocuments, index: int) -> list[str]:
    documents, won = open_documents(), []
    for number in range(ROUNDS):
        try:
            documents.insert(SHELF, item(f"n{number:02}", by=index))
        except WriteConflict:
            continue
        else:
            won.append(f"n{number:02}")
    return won


def test_of_racing_inserts_of_one_key_exactly_one_wins(shared_documents: OpenDocuments) -> None:
    won = at_once(PROCESSES, insert_each_name, shared_documents)

    expected = [f"n{number:02}" for number in range(ROUNDS)]
    assert sorted(name for mine in won for name in mine) == expected
    for document in shared_documents().find(SHELF, Query(order="name")):
        assert document["name"] in won[document["by"]]


def add_one_often(open_documents: OpenDocuments, _index: int) -> int:
    documents, lost = open_documents(), 0
    for _ in range(ROUNDS):
        while True:
            document = documents.get(SHELF, key("total"))
            assert document is not None
            try:
                documents.swap(SHELF, {**document, "rank": document["rank"] + 1}, revision=document["revision"])
            except WriteConflict:
                lost += 1
            else:
                break
    return lost


def test_racing_swaps_lose_no_update(shared_documents: OpenDocuments) -> None:
    shared_documents().insert(SHELF, item("total"))

    at_once(PROCESSES, add_one_often, shared_documents)

    total = shared_documents().get(SHELF, key("total"))
    assert total is not None
    assert total["rank"] == PROCESSES * ROUNDS
    assert total["revision"] == PROCESSES * ROUNDS + 1


def take_numbers(open_documents: OpenDocuments, _index: int) -> list[int]:
    documents = open_documents()
    return [documents.next_number("contract") for _ in range(ROUNDS)]


def test_racing_processes_take_distinct_growing_numbers(shared_documents: OpenDocuments) -> None:
    taken = at_once(PROCESSES, take_numbers, shared_documents)

    together = [number for mine in taken for number in mine]
    assert len(set(together)) == PROCESSES * ROUNDS
    assert all(mine == sorted(mine) for mine in taken)
    assert shared_documents().next_number("contract") > max(together)


def use_on_both_sides_of_a_fork(open_documents: OpenDocuments) -> list[str]:
    documents = open_documents()
    documents.insert(SHELF, item("before the fork"))
    child_wrote, parent_closed = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            documents.insert(SHELF, item("child, while the parent is open"))
            os.write(child_wrote[1], b"x")
            os.read(parent_closed[0], 1)
            documents.insert(SHELF, item("child, after the parent closed"))
            status = 0
        finally:
            os._exit(status)
    os.read(child_wrote[0], 1)
    documents.insert(SHELF, item("parent, beside the child"))
    documents.close()
    os.write(parent_closed[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    return names(open_documents(), Query(order="name"))


def test_both_sides_of_a_fork_may_use_a_store_that_was_open_and_no_write_is_lost(
    shared_documents: OpenDocuments,
) -> None:
    found = alone(use_on_both_sides_of_a_fork, shared_documents)

    assert found == [
        "before the fork",
        "child, after the parent closed",
        "child, while the parent is open",
        "parent, beside the child",
    ]
