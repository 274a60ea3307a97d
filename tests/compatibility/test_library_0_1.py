"""A library that the release 0.1 wrote is read and gone on with: on SQLite as it is, on MongoDB out of its dump."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.exceptions import SignatureRefused, VersionCollected, VersionRetired
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.records import Action, State
from airflow_provider_exia.model_library.signing import generate_key, read_keys
from airflow_provider_exia.monitoring.decisions import DecisionLog
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.points import PointLog
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import Query
from tests.compatibility.make_library import ED25519_KEY, EPOCH, FOLDER, HMAC_KEY, RECORDS
from tests.servers.session import fresh_documents_url

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers("mongo"))])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModelLibrary]:
    """A copy of the library of 0.1, opened with both of its keys."""
    shutil.copytree(FOLDER, tmp_path / "library")
    documents = f"sqlite:///{tmp_path}/library/library.db"
    if request.param == "mongo":
        documents = fresh_documents_url("mongo")
        restore(documents, tmp_path / "library" / "mongo.jsonl")
    keys = read_keys(ED25519_KEY, [HMAC_KEY])
    with open_library(documents, blobs=f"file://{tmp_path}/library/blobs", by="ann", keys=keys) as opened:
        yield opened


def restore(url: str, dump: Path) -> None:
    """Put the documents of a dump into an empty database."""
    from bson import json_util
    from pymongo import MongoClient

    with MongoClient(url) as client:
        for line in dump.read_text(encoding="ascii").splitlines():
            name, _, document = line.partition("\t")
            client.get_default_database()[name].insert_one(json_util.loads(document))


def test_every_document_is_read_and_none_would_be_written_otherwise(library: ModelLibrary) -> None:
    for collection, kind in RECORDS:
        found = library.resources.documents.find(collection, Query(order=collection.identity[0]))
        assert found, collection.name
        for document in found:
            assert to_document(from_document(kind, document)) == document


def test_versions_are_what_they_were(library: ModelLibrary) -> None:
    versions = {version.number: version for version in library.versions("rules")}

    assert library.models() == ["copied", "rules", "settings"]
    assert {number: version.state for number, version in versions.items()} == {
        1: State.COLLECTED,
        2: State.READY,
        3: State.READY,
        4: State.READY,
        5: State.ABANDONED,
        6: State.PENDING,
    }
    second = versions[2]
    assert second.metrics == {"brier": 0.1975, "rows": 1e6}
    assert second.lineage.parameters == {"depth": 3, "names": ["ä", "b"]}
    assert second.lineage.training_blocks == ("2026-10-01", "2026-10-02")
    assert second.input_schema == {"a": "int64", "b": "float64"}
    assert versions[3].supersedes == 2
    assert library.retired("rules") == {1, 4}


def test_signed_versions_of_both_algorithms_are_loaded(library: ModelLibrary, tmp_path: Path) -> None:
    signed = {number: library.resolve(f"rules/{number}").signature or "" for number in (2, 3)}

    assert signed[2].startswith("ed25519:")
    assert signed[3].startswith("hmac:")
    assert (library.load("rules@champion"), library.load("rules/3")) == ({"limit": 2}, {"limit": 3})
    library.fetch("rules/2", tmp_path / "fetched")
    assert (tmp_path / "fetched" / "tokens" / "words.txt").read_text(encoding="utf-8") == "grüße"
    assert (tmp_path / "fetched" / "holdout.csv").read_text() == "a,b\n1,2\n"
    stranger = replace(library.resources, keys=read_keys(None, [generate_key()[1] or ""]))
    with pytest.raises(SignatureRefused):
        ModelLibrary(stranger).load("rules/2")


def test_a_value_in_its_document_is_loaded(library: ModelLibrary) -> None:
    assert library.load("settings/1") == {"words": ["grüße", 1.5, None]}
    assert (library.resolve("settings/1").signature or "").startswith("ed25519:")


def test_tags_and_notes_are_there(library: ModelLibrary) -> None:
    annotation = library.annotations.of("rules/2")

    assert (annotation.tags, annotation.note) == ({"team": "delays", "reviewed": "yes"}, "grüße")
    assert library.annotations.of("rules").note == "what delays cost"
    assert library.annotations.tag("rules/2", {"team": "late"}).tags == {"team": "late", "reviewed": "yes"}


def test_a_copy_tells_where_it_came_from(library: ModelLibrary) -> None:
    (origin,) = library.resolve("copied/1").lineage.origins

    assert origin.number == 1
    assert (origin.signature or "").startswith("hmac:")
    assert library.load("copied/1") == {"copied": True}


def test_the_journal_tells_the_whole_story(library: ModelLibrary) -> None:
    entries = library.history("rules")[::-1]

    assert [(entry.action.value, entry.version, entry.alias) for entry in entries] == [
        ("promote", 1, "champion"),
        ("promote", 2, "champion"),
        ("promote", 3, "challenger"),
        ("promote", 3, "champion"),
        ("rollback", 2, "champion"),
        ("retire", 4, None),
        ("restore", 4, None),
        ("retire", 1, None),
        ("retire", 4, None),
        ("collect", 1, None),
    ]
    assert {entry.action for entry in entries} == set(Action)
    assert (entries[1].by, entries[1].decision, entries[2].token) == ("bob", "rules:work-2", "a token of ours")
    assert [library.as_of("rules", entry.at).number for entry in entries[1:5]] == [2, 2, 3, 2]
    with pytest.raises(VersionCollected, match="rules/1"):
        library.as_of("rules", entries[0].at)
    assert library.resolve_pinned("rules@champion", scope="run-1").number == 2


def test_the_gate_and_the_monitor_remember(library: ModelLibrary) -> None:
    decisions = DecisionLog(library.resources.documents).of_model("rules")
    points = PointLog(library.resources.documents).since("rules", "brier", EPOCH)
    entries = monitor_journal(library.resources).history()[::-1]

    assert [decision.judgement.verdict.value for decision in decisions] == ["refused", "first"]
    assert decisions[0].judgement.slice_gains == {"carrier=AA": -0.01}
    assert [(point.version, point.samples, point.value) for point in points] == [
        (0, 0, 0.21),
        (2, 20, 0.24),
        (2, 10, 0.25),
        (2, 30, None),
    ]
    assert [entry.state.value for entry in entries] == [
        *("HEALTHY", "SUSPECT", "DEGRADED", "RETRAINING", "ENDED", "CANDIDATE", "CANDIDATE")
    ]
    assert (entries[3].ticket, entries[3].run_id) == ("ticket-1", "exia__rules__brier__1")
    assert entries[-1].blind_since == EPOCH + timedelta(days=7)


def monitor_journal(resources: Resources) -> MonitorJournal:
    stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
    return MonitorJournal(stores, "rules", "brier")


def test_the_story_goes_on(library: ModelLibrary, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"limit": 7}')

    new = library.publish("rules", tmp_path / "model.json", format="json", work="new")
    library.promote(new.reference, expected=5)

    assert new.number == 7
    assert library.load("rules@champion") == {"limit": 7}
    assert library.rollback("rules").version == 2
    with pytest.raises(VersionCollected):
        library.restore("rules/1")
    with pytest.raises(VersionRetired):
        library.promote("rules/4")
    library.restore("rules/4")
    newest = monitor_journal(library.resources).newest()
    assert newest is not None
    monitor_journal(library.resources).append(newest, replace(newest, blind_since=None), by="ann")


def test_a_retry_of_work_begun_by_0_1_finishes_it(library: ModelLibrary, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"limit": 6}')

    done = library.find_ready("rules", "second")
    assert done is not None
    assert done.number == 3
    assert library.publish("rules", tmp_path / "model.json", format="json", work="work 6").number == 6
    assert library.load("rules/6") == {"limit": 6}


def test_the_stored_library_is_never_written_to() -> None:
    with sqlite3.connect(f"file:{FOLDER}/library.db?mode=ro&immutable=1", uri=True) as database:
        assert database.execute("SELECT version FROM exia_schema").fetchall() == [(1,)]
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 200_000
