"""Verification finds each kind of damage, names it, and finds nothing where nothing is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_provider_exia.model_library.exceptions import UnknownModel
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import MODEL_JOURNAL, VERSIONS
from airflow_provider_exia.model_library.signing import read_keys
from airflow_provider_exia.model_library.verifying import count, verify
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import (
    Collection,
    Document,
    Query,
    StorageError,
    StoreRefused,
    StoreUnavailable,
)
from tests.simulation.scenarios import library_on
from tests.simulation.scheduler import SimulatedClock
from tests.simulation.stores import Memory, SimulatedDocuments, as_stored

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def library(memory: Memory, clock: SimulatedClock, tmp_path: Path) -> ModelLibrary:
    """Versions 1 and 2 were champions, version 3 is retired and collected, version 4 was never used."""
    library = library_on(memory, clock=clock)
    for number in (1, 2, 3, 4):
        source = tmp_path / "model.json"
        source.write_text(json.dumps({"number": number}))
        library.publish("m", source, format="json", work=f"work {number}")
    library.promote("m/1")
    library.promote("m/2")
    library.retire("m/3")
    clock.moment += timedelta(days=4)
    library.collect("m", delete=True)
    return library


def problems(library: ModelLibrary) -> dict[str, str]:
    """Return what is damaged."""
    found = list(verify(library.resources, "m"))
    assert len(found) == count(library.resources, "m") == 5
    return {one.name: "; ".join(one.problems) for one in found if one.problems}


def change(memory: Memory, collection: str, field: str, value: int, **fields: Any) -> None:
    """Change what is stored, behind the store's back."""
    kept = memory.documents[collection]
    for identity, item in list(kept.items()):
        if item.document[field] == value:
            kept[identity] = as_stored({**item.document, **fields}, revision=item.document["revision"])


def key_of(library: ModelLibrary, number: int) -> str:
    version = next(each for each in library.versions("m") if each.number == number)
    return blob_key("models", version, "model.json")


def test_nothing_is_damaged_where_everything_is_as_it_was_written(library: ModelLibrary) -> None:
    assert problems(library) == {}
    assert sum(one.size for one in verify(library.resources, "m")) == 3 * len('{"number": 1}')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "model.json: there is none at 'models/m/"),
        (b'{"number": 9}', "model.json: its SHA-256 is "),
        (b"{}", "model.json: it has 2 bytes, not 13"),
    ],
)
def test_a_file_that_is_not_what_was_published_is_named(
    library: ModelLibrary, memory: Memory, content: bytes | None, problem: str
) -> None:
    key = key_of(library, 1)
    if content is None:
        memory.delete_blob(key)
    else:
        memory.put(key, content)

    assert list(problems(library)) == ["m/1"]
    assert problems(library)["m/1"].startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"foreign": 1}, "a stored Version is damaged at 'foreign'"),
        ({"digest": "0" * 64}, "its list of files was changed"),
        ({"work": "another"}, "its list of files was changed"),
        ({"format": "raw"}, "its list of files was changed"),
    ],
)
def test_a_document_that_was_changed_is_named(
    library: ModelLibrary, memory: Memory, fields: dict[str, Any], problem: str
) -> None:
    change(memory, VERSIONS.name, "number", 4, **fields)

    assert list(problems(library)) == ["m/4"]
    assert problem in problems(library)["m/4"]


def test_a_path_that_no_key_can_have_is_named_and_nothing_is_opened(library: ModelLibrary, memory: Memory) -> None:
    (file,) = next(each for each in library.versions("m") if each.number == 4).files
    hostile = {"path": "../other", "role": "model", "sha256": file.sha256, "size": file.size}
    change(memory, VERSIONS.name, "number", 4, files=[hostile])

    assert "'../other' cannot name a file of a version" in problems(library)["m/4"]


def test_a_name_that_no_key_can_have_is_named_and_nothing_is_opened(library: ModelLibrary, memory: Memory) -> None:
    change(memory, VERSIONS.name, "number", 4, publication="../other")

    assert "its list of files was changed" in problems(library)["m/4"]


@pytest.mark.parametrize("error", [StoreUnavailable("no answer"), StoreRefused("there is no bucket")])
def test_a_store_that_gives_nothing_ends_it_and_no_version_is_called_damaged(
    library: ModelLibrary, monkeypatch: pytest.MonkeyPatch, error: StorageError
) -> None:
    def refuse(_key: str) -> BinaryIO:
        raise error

    monkeypatch.setattr(library.resources.blobs, "open", refuse)

    with pytest.raises(type(error), match=str(error)):
        next(verify(library.resources, "m"))


def rewrite(folder: Path, table: str, where: str, **fields: Any) -> None:
    """Change what a document says of itself in SQLite; None: it says nothing of that."""
    with closing(sqlite3.connect(folder / "library.db")) as database, database:
        (body,) = database.execute(f"select body from {table} where {where}").fetchone()
        document = {name: value for name, value in {**json.loads(body), **fields}.items() if value is not None}
        database.execute(f"update {table} set body = ? where {where}", (json.dumps(document),))


@pytest.fixture
def stored(tmp_path: Path) -> ModelLibrary:
    """Versions 1 to 3 of a model in SQLite, each promoted."""
    library = open_library(f"sqlite:///{tmp_path}/library.db", blobs=f"file://{tmp_path}/blobs")
    for number in (1, 2, 3):
        (tmp_path / "model.json").write_text(json.dumps({"number": number}))
        library.promote(library.publish("m", tmp_path / "model.json", format="json").reference)
    return library


@pytest.mark.parametrize("lacking", ["model", "number", "state"])
def test_a_document_that_lacks_a_field_is_named_by_its_key_and_the_others_are_looked_at(
    stored: ModelLibrary, tmp_path: Path, lacking: str
) -> None:
    rewrite(tmp_path, "exia_versions", "number = 2", **{lacking: None})

    found = list(verify(stored.resources, "m"))

    assert [one.name for one in found] == ["m/1", "m/2", "m/3", "m: journal"]
    assert count(stored.resources, "m") == len(found)
    assert [one.name for one in found if one.problems] == ["m/2", "m: journal"]  # the alias can reach it
    assert f"is damaged at '{lacking}': its text says None, and it is kept as" in found[1].problems[0]


@pytest.mark.parametrize("sequence", [None, "two"])
def test_an_entry_that_does_not_say_its_sequence_is_named_by_its_key(
    stored: ModelLibrary, tmp_path: Path, sequence: str | None
) -> None:
    rewrite(tmp_path, "exia_model_journal", "sequence = 2", sequence=sequence)

    *versions, journal = verify(stored.resources, "m")

    assert [one for one in versions if one.problems] == []
    assert [problem.partition(" at ")[0] for problem in journal.problems] == [
        "a stored document of 'model_journal' (model 'm', sequence 2) is damaged",
    ]


class UnreadableTexts(SimulatedDocuments):
    """A store that finds a text which is no document where the marked ones are."""

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        found = super().get(collection, key)
        self._check(collection, [found] if found else [])
        return found

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        found = super().find(collection, query)
        self._check(collection, found)
        return found

    def _check(self, collection: Collection, found: Sequence[Document]) -> None:
        if any("unreadable" in document for document in found):
            raise DamagedDocument(kind=collection.name, field="body", problem="no JSON")


@pytest.mark.parametrize("numbers", [[1], [4], [1, 2], [1, 2, 3, 4]])
def test_a_text_that_is_no_document_is_named_by_its_key_and_the_others_are_looked_at(
    library: ModelLibrary, memory: Memory, numbers: list[int]
) -> None:
    resources = replace(library.resources, documents=UnreadableTexts(memory))
    for number in numbers:
        change(memory, VERSIONS.name, "number", number, unreadable=True)

    found = list(verify(resources, "m"))

    assert [one.name for one in found] == ["m/1", "m/2", "m/3", "m/4", "m: journal"]
    assert count(resources, "m") == len(found)
    damaged = [one.name for one in found if one.problems]
    assert damaged[: len(numbers)] == [f"m/{number}" for number in numbers]


def test_a_text_that_is_no_entry_is_named(library: ModelLibrary, memory: Memory) -> None:
    resources = replace(library.resources, documents=UnreadableTexts(memory))
    change(memory, MODEL_JOURNAL.name, "sequence", 2, unreadable=True)

    *versions, journal = verify(resources, "m")

    assert [one for one in versions if one.problems] == []
    assert "a stored model_journal is damaged at 'body'" in journal.problems[0]


def test_an_unsigned_version_is_named_where_keys_are_configured(library: ModelLibrary) -> None:
    keys = read_keys("hmac:" + "A" * 43 + "=")
    strict = ModelLibrary(replace(library.resources, keys=keys))

    assert list(problems(strict)) == ["m/1", "m/2", "m/4"]
    assert "it is not signed" in problems(strict)["m/1"]


def remove_entry(memory: Memory, sequence: int) -> None:
    memory.delete(MODEL_JOURNAL, {"model": "m", "sequence": sequence})


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda memory: remove_entry(memory, 2), "entry 2 is missing: the next one is 3"),
        (lambda memory: change(memory, "model_journal", "sequence", 2, foreign=1), "entry 2: a stored JournalEntry"),
        (
            lambda memory: change(memory, "model_journal", "sequence", 2, at="2025-01-01T00:00:00.000000Z"),
            "entry 2 is of an earlier time than entry 1",
        ),
        (
            lambda memory: change(
                memory, "model_journal", "sequence", 4, aliases={"champion": {"since": 2, "stack": [7]}}
            ),
            "alias 'champion' can reach version 7: ",
        ),
        (
            lambda memory: change(
                memory, "model_journal", "sequence", 4, aliases={"champion": {"since": 2, "stack": [2, 3]}}
            ),
            "alias 'champion' can reach version 3: ",
        ),
    ],
    ids=["hole", "foreign field", "back in time", "unknown version", "collected version"],
)
def test_a_journal_that_was_changed_is_named(
    library: ModelLibrary, memory: Memory, damage: Callable[[Memory], None], problem: str
) -> None:
    damage(memory)

    assert list(problems(library)) == ["m: journal"]
    assert problem in problems(library)["m: journal"]


def test_a_version_that_is_collected_while_it_is_looked_at_is_not_damaged(
    library: ModelLibrary, clock: SimulatedClock
) -> None:
    library.retire("m/4")
    steps = verify(library.resources, "m")
    next(steps)
    clock.moment += timedelta(days=4)
    library.collect("m", delete=True)

    assert [one for one in steps if one.problems] == []


def test_a_model_that_is_not_there_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(UnknownModel):
        list(verify(library.resources, "other"))
