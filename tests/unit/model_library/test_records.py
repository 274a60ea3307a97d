"""Records become documents and come back, strictly checked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.records import (
    MODEL_JOURNAL,
    PINS,
    VERSIONS,
    Action,
    AliasState,
    FileRecord,
    JournalEntry,
    Lineage,
    Pin,
    Role,
    State,
    Version,
)
from airflow_provider_exia.storage.codec import DamagedDocument, from_document, to_document
from airflow_provider_exia.storage.documents import field_values

MOMENT = datetime(2013, 5, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 1, 1),
    timezones=st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VERSION = Version(
    model="delay",
    number=3,
    publication="p",
    work="w",
    digest="d",
    format="json",
    files=(FileRecord(path="model.json", role=Role.MODEL, sha256="ab" * 32, size=7),),
    state=State.READY,
    metrics={"brier": 0.17},
    lineage=Lineage(as_of=MOMENT, parameters={"depth": 3}, training_blocks=("1", "2"), environment={"python": "3.11"}),
    input_schema={"dep_delay": "float"},
    created_at=MOMENT,
    ready_at=MOMENT,
    revision=2,
)
ENTRY = JournalEntry(
    model="delay",
    sequence=4,
    action=Action.PROMOTE,
    version=3,
    alias="champion",
    token="t",
    by="ann",
    at=MOMENT,
    aliases={"champion": AliasState(since=4, stack=(3, 1))},
    revision=1,
)
PIN = Pin(scope="run", reference="delay@champion", version=3, revision=1)


@pytest.mark.parametrize("record", [VERSION, ENTRY, PIN], ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_its_document_the_same(record: Any) -> None:
    assert from_document(type(record), to_document(record)) == record


@given(
    st.builds(
        replace,
        st.just(VERSION),
        number=st.integers(0, 2**60),
        state=st.sampled_from(State),
        metrics=st.dictionaries(TEXT, FLOATS, max_size=3),
        created_at=MOMENTS,
        ready_at=st.none() | MOMENTS,
        input_schema=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
        supersedes=st.none() | st.integers(1, 100),
        lineage=st.builds(
            Lineage,
            as_of=st.none() | MOMENTS,
            data_digest=st.none() | TEXT,
            parameters=st.dictionaries(TEXT, JSON, max_size=3),
            training_blocks=st.none() | st.lists(TEXT, max_size=3).map(tuple),
            dag_run=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
            environment=st.dictionaries(TEXT, TEXT, max_size=3),
        ),
    )
)
def test_every_version_survives_the_way_through_stored_text(version: Version) -> None:
    stored = json.loads(json.dumps(to_document(version), allow_nan=False))

    assert from_document(Version, stored) == version


@pytest.mark.parametrize(
    ("collection", "record"),
    [(VERSIONS, VERSION), (MODEL_JOURNAL, ENTRY), (PINS, PIN)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_document_has_the_fields_of_its_collections_keys(collection: Any, record: Any) -> None:
    values = field_values(collection, to_document(record))

    named = {name for key in (*collection.unique, *collection.indexes) for name in key}
    assert named <= set(values)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"note": "hello"}, "note", id="unknown field"),
        pytest.param({"number": "3"}, "number", id="number as text"),
        pytest.param({"number": 3.0}, "number", id="number as float"),
        pytest.param({"number": None}, "number", id="no number"),
        pytest.param({"state": "LOST"}, "state", id="unknown state"),
        pytest.param({"created_at": "yesterday"}, "created_at", id="no moment"),
        pytest.param({"created_at": "2013-05-01T12:00:00"}, "created_at", id="moment without zone"),
        pytest.param({"files": {}}, "files", id="files no list"),
        pytest.param(
            {"files": [{"path": "a", "role": "model", "sha256": "0" * 64}]}, "files.0.size", id="file without size"
        ),
        pytest.param(
            {"files": [{"path": "a", "role": "model", "sha256": "0" * 64, "size": 1, "url": "http://x"}]},
            "files.0.url",
            id="file with an unknown field",
        ),
        *(
            pytest.param(
                {"files": [{"path": "a", "role": "model", "sha256": sha256, "size": 1}]}, "files.0.sha256", id=case
            )
            for sha256, case in [
                ("../../etc/passwd", "digest that is a path"),
                ("A" * 64, "digest in capitals"),
                ("0" * 63, "short digest"),
                ("0" * 64 + "\n", "digest with a line break"),
            ]
        ),
        pytest.param({"metrics": {"brier": "good"}}, "metrics.brier", id="metric as text"),
        pytest.param({"lineage": {"secret": 1}}, "lineage.secret", id="unknown field in lineage"),
    ],
)
def test_a_document_that_somebody_else_wrote_is_refused_at_the_field(change: dict[str, Any], field: str) -> None:
    document = {**to_document(VERSION), **change}

    with pytest.raises(DamagedDocument, match="a stored Version is damaged at .* it was not used") as damaged:
        from_document(Version, document)

    assert damaged.value.field == field


@pytest.mark.parametrize("field", ["model", "number", "files", "state", "digest", "work"])
def test_a_document_without_a_field_is_refused_by_its_name(field: str) -> None:
    document = to_document(VERSION)
    del document[field]

    with pytest.raises(DamagedDocument) as damaged:
        from_document(Version, document)

    assert damaged.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"aliases": {"champion": {"since": 4, "stack": [3], "more": 1}}}, "aliases.champion.more"),
        ({"aliases": {"champion": {"since": 4, "stack": []}}}, "aliases.champion.stack"),
        ({"action": "destroy"}, "action"),
    ],
)
def test_a_damaged_journal_entry_is_refused_at_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(DamagedDocument) as damaged:
        from_document(JournalEntry, {**to_document(ENTRY), **change})

    assert damaged.value.field == field


def test_a_version_knows_its_reference_its_size_and_its_files_by_role() -> None:
    holdout = FileRecord(path="holdout.bin", role=Role.HOLDOUT, sha256="cd" * 32, size=5)
    version = replace(VERSION, files=(*VERSION.files, holdout))

    assert version.reference == "delay/3"
    assert version.size == 12
    assert version.file(Role.HOLDOUT) == holdout
    assert version.file(Role.OTHER) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"by": None}, "'by': Input should be a valid string", id="nobody"),
        pytest.param({"version": 1.5}, "'version': Input should be a valid integer", id="half a number"),
        pytest.param({"at": datetime(2013, 1, 1)}, "no time zone", id="moment without zone"),
        pytest.param({"reason": object()}, "Unable to serialize unknown type", id="no JSON value"),
    ],
)
def test_a_record_that_could_not_be_read_back_is_never_made_a_document(change: dict[str, Any], problem: str) -> None:
    # One such entry, once written, would be its model's newest for ever: nobody could read or move anything.
    with pytest.raises(InvalidInput, match=f"this JournalEntry cannot be stored: .*{problem}"):
        to_document(replace(ENTRY, **change))


def test_a_list_where_a_tuple_is_declared_is_stored_as_one() -> None:
    version = replace(VERSION, lineage=Lineage(training_blocks=["1", "2"]))

    assert from_document(Version, to_document(version)).lineage.training_blocks == ("1", "2")
