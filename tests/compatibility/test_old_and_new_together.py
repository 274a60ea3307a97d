"""Workers of this release and of one to come write to one library; each refuses what it cannot know, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pytest

from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.model_library.records import MODEL_JOURNAL, VERSIONS, JournalEntry, Lineage, Version
from airflow_provider_exia.storage.codec import LATER, DamagedDocument, from_document, to_document
from airflow_provider_exia.storage.documents import Query

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

UPGRADE = "upgrade this installation if a newer airflow-provider-exia writes to this store"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerLineage(Lineage):
    """A lineage that may name a notebook."""

    notebook: Annotated[str | None, LATER] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerVersion(Version):
    """A version that may have colours."""

    lineage: NewerLineage = NewerLineage()
    colours: Annotated[tuple[str, ...], LATER] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerEntry(JournalEntry):
    """An entry that may name a ticket."""

    ticket: Annotated[str | None, LATER] = None


@pytest.fixture
def library(documents_url: str, tmp_path: Path) -> Iterator[ModelLibrary]:
    """A library of this release with two versions, the first one live."""
    with open_library(documents_url, blobs=f"file://{tmp_path}/blobs", by="ann") as opened:
        for limit in (10, 15):
            publish(opened, tmp_path, limit)
        opened.promote("rules/1")
        yield opened


def publish(library: ModelLibrary, folder: Path, limit: int) -> Version:
    (folder / "model.json").write_text(json.dumps({"limit": limit}))
    return library.publish("rules", folder / "model.json", format="json")


def newer(library: ModelLibrary, reference: str) -> NewerVersion:
    """Read a version as the newer release does."""
    version = library.resolve(reference)
    found = library.resources.documents.get(VERSIONS, {"model": version.model, "number": version.number})
    assert found is not None
    return from_document(NewerVersion, found)


def write(library: ModelLibrary, version: NewerVersion) -> None:
    library.resources.documents.swap(VERSIONS, to_document(version), revision=version.revision)


def test_a_newer_release_reads_what_this_one_wrote(library: ModelLibrary) -> None:
    read = newer(library, "rules/1")

    assert (read.colours, read.lineage.notebook) == ((), None)


def test_what_does_not_use_a_new_field_is_read_here(library: ModelLibrary) -> None:
    before = library.resolve("rules/1")

    write(library, replace(newer(library, "rules/1"), metrics={"brier": 0.2}))

    assert library.resolve("rules/1") == replace(before, metrics={"brier": 0.2}, revision=before.revision + 1)
    assert library.load("rules/1") == {"limit": 10}


@pytest.mark.parametrize("field", ["colours", "lineage.notebook"])
def test_what_uses_a_new_field_is_refused_with_what_to_do_and_nothing_else_is(
    library: ModelLibrary, field: str
) -> None:
    version = newer(library, "rules/2")
    used = {"colours": ("blue",)} if field == "colours" else {"lineage": NewerLineage(notebook="delays.ipynb")}
    write(library, replace(version, **used))

    with pytest.raises(DamagedDocument, match=f"a stored Version is damaged at '{field}': this release .* {UPGRADE}"):
        library.load("rules/2")

    assert library.load("rules@champion") == {"limit": 10}


def test_no_alias_is_moved_on_an_entry_that_is_not_understood(library: ModelLibrary) -> None:
    newest = library.history("rules")[0]
    entry = NewerEntry(**{name: getattr(newest, name) for name in JournalEntry.__dataclass_fields__})
    newest_of_theirs = replace(entry, sequence=2, token="theirs", ticket="ABC-1")
    library.resources.documents.insert(MODEL_JOURNAL, to_document(newest_of_theirs))

    with pytest.raises(DamagedDocument, match=f"a stored JournalEntry is damaged at 'ticket': .* {UPGRADE}"):
        library.promote("rules/2")

    kept = library.resources.documents.find(MODEL_JOURNAL, Query(where={"model": "rules"}, order="sequence"))
    assert [document["sequence"] for document in kept] == [1, 2]


def test_workers_of_both_releases_publish_at_once(library: ModelLibrary, documents_url: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.compatibility.newer_worker",
        documents_url,
        f"file://{tmp_path}/blobs",
        "10",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as theirs:
        ours = [publish(library, tmp_path, limit).number for limit in range(100, 110)]
        assert theirs.stderr is not None
        assert (theirs.wait(60), theirs.stderr.read()) == (0, "")

    stored = library.resources.documents.find(VERSIONS, Query(where={"model": "rules"}, order="number"))
    coloured = [document["number"] for document in stored if "colour" in document]
    assert (len(stored), len(coloured), len(ours)) == (22, 5, 10)
    assert not set(ours) & set(coloured)
    for document in stored:
        reference = f"rules/{document['number']}"
        if "colour" in document:
            with pytest.raises(DamagedDocument, match=UPGRADE):
                library.load(reference)
        else:
            assert library.load(reference)
