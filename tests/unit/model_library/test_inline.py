"""Inline objects: values and references to code that lie in the version's document, verified like files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.copying import copy_versions
from airflow_provider_exia.model_library.exceptions import (
    DamagedFile,
    FormatRefused,
    SignatureRefused,
    VersionCollected,
)
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.manifest import canonical_json
from airflow_provider_exia.model_library.publishing import INLINE_BYTES, SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, Role, State, Version
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.signing import generate_key, read_keys
from airflow_provider_exia.storage.codec import DamagedDocument, to_document
from airflow_provider_exia.storage.local import LocalBlobs
from airflow_provider_exia.storage.sql import SqlDocuments

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import MakeFile, ManualClock

RULES = {"limit": 15, "names": ["é", "\u2028", "\x00"], "empty": None}


def blobs_of(library: ModelLibrary) -> list[str]:
    return [blob.key for blob in library.resources.blobs.list("models/")]


def change(library: ModelLibrary, version: Version, **changes: Any) -> None:
    """Change the stored document, as somebody with rights on the store could."""
    document = {**to_document(version), **changes}
    library.resources.documents.swap(VERSIONS, document, revision=version.revision)


@pytest.mark.parametrize("value", [RULES, [], "", 0, False, None, 1.5, "text"], ids=repr)
def test_a_json_value_comes_back_from_the_document_alone(library: ModelLibrary, value: Any) -> None:
    version = library.publish_inline("delay", value)

    assert library.read_inline("delay/1") == value
    assert library.load("delay/1") == value
    assert version.inline == {"model.json": canonical_json(value).decode()}
    assert blobs_of(library) == []


def test_an_inline_value_is_the_version_that_its_file_would_be(library: ModelLibrary, make_file: MakeFile) -> None:
    inline = library.publish_inline("delay", RULES, metrics={"brier": 0.2}, work="w")

    again = library.publish("delay", make_file(content=canonical_json(RULES)), format="json", work="w")

    assert again == inline
    assert blobs_of(library) == []


def test_publishing_the_same_value_again_is_the_same_version(library: ModelLibrary) -> None:
    assert library.publish_inline("delay", RULES) == library.publish_inline("delay", RULES)


@pytest.mark.parametrize(("size", "inline"), [(INLINE_BYTES, True), (INLINE_BYTES + 1, False)])
def test_what_is_too_large_for_a_document_goes_to_the_blob_store(
    library: ModelLibrary, size: int, *, inline: bool
) -> None:
    value = "x" * (size - 2)  # and two quotes

    version = library.publish_inline("delay", value)

    assert version.size == size
    assert (version.inline is not None, blobs_of(library) == []) == (inline, inline)
    assert library.read_inline("delay/1") == value


def test_many_inline_files_share_the_room_of_one_document(library: ModelLibrary, make_file: MakeFile) -> None:
    half = b'"' + b"x" * (INLINE_BYTES // 2) + b'"'
    files = [
        SourceFile(source=make_file("model.json", half), inline=True),
        SourceFile(source=make_file("more.json", half), inline=True, role=Role.OTHER),
    ]

    assert library.publish("delay", files, format="json").inline is None


def test_a_holdout_lies_in_the_blob_store_beside_an_inline_model(
    library: ModelLibrary, make_file: MakeFile, tmp_path: Path
) -> None:
    holdout = SourceFile(source=make_file("holdout.bin", b"\xff\x00"), role=Role.HOLDOUT)

    version = library.publish_inline("delay", RULES, others=[holdout])
    library.fetch(version, tmp_path / "out")

    assert [Path(key).name for key in blobs_of(library)] == ["holdout.bin"]
    assert (tmp_path / "out/holdout.bin").read_bytes() == b"\xff\x00"
    assert json.loads((tmp_path / "out/model.json").read_bytes()) == RULES


def test_bytes_that_are_no_text_are_refused_and_nothing_is_written(library: ModelLibrary, make_file: MakeFile) -> None:
    source = SourceFile(source=make_file("model.bin", b"\xff"), inline=True)

    with pytest.raises(InvalidInput, match="model.bin.* is not UTF-8 text.* publish it without 'inline'"):
        library.publish("delay", [source], format="raw")

    assert library.models() == []


def test_another_format_is_no_inline_object(library: ModelLibrary, make_file: MakeFile) -> None:
    library.publish("delay", make_file("model.bin", b"1"), format="raw")

    with pytest.raises(InvalidInput, match="'json' or 'code', not 'skops'"):
        library.publish_inline("delay", 1, format="skops")
    with pytest.raises(InvalidInput, match="delay/1 is a raw file and no inline object"):
        library.read_inline("delay/1")


def test_what_is_no_json_value_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(InvalidInput, match="a model of type set cannot be written as json"):
        library.publish_inline("delay", {1, 2})


# Code.


def test_code_is_published_and_read_where_its_package_is_listed(resources: Resources) -> None:
    library = ModelLibrary(resources, policy=LoadPolicy(importable=("click",)), by="ann")

    version = library.publish_inline("delay", "click.utils:echo", format="code")

    assert json.loads((version.inline or {})["model.json"])["distribution"] == "click"
    assert library.read_inline("delay@latest").__name__ == "echo"
    with pytest.raises(FormatRefused, match="may not be imported here"):
        ModelLibrary(resources).read_inline("delay/1")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("click.utils:echo", "may not be imported here"),
        ("pytest:nothing_of_the_kind", "has no function 'nothing_of_the_kind'"),
    ],
)
def test_code_that_the_publisher_could_not_use_is_not_published(resources: Resources, code: str, problem: str) -> None:
    library = ModelLibrary(resources, policy=LoadPolicy(importable=("pytest",)), by="ann")

    with pytest.raises((FormatRefused, InvalidInput), match=problem):
        library.publish_inline("delay", code, format="code")

    assert library.models() == []


# Damage.


@pytest.mark.parametrize(
    ("inline", "problem"),
    [
        pytest.param({"model.json": "15"}, "bytes", id="shorter"),
        pytest.param({"model.json": '{"limit":16}'}, "SHA-256", id="other text"),
        pytest.param({"model.json": '{"limit":15}', "more.json": "1"}, "none of its files", id="one text more"),
        pytest.param(None, "there is none", id="no text"),
    ],
)
def test_a_changed_text_is_never_handed_out(library: ModelLibrary, inline: Any, problem: str) -> None:
    change(library, library.publish_inline("delay", {"limit": 15}), inline=inline)

    with pytest.raises(DamagedFile, match=problem):
        library.read_inline("delay/1")


def test_a_text_that_is_none_is_a_damaged_document(library: ModelLibrary) -> None:
    change(library, library.publish_inline("delay", 1), inline={"model.json": "\ud800"})

    with pytest.raises(DamagedDocument):
        library.read_inline("delay/1")


@pytest.mark.parametrize("state", [State.PENDING, State.READY])
def test_publishing_over_a_changed_text_fails_at_once(library: ModelLibrary, clock: ManualClock, state: State) -> None:
    change(library, library.publish_inline("delay", {"limit": 15}), inline={"model.json": "16"}, state=state.value)

    with pytest.raises(DamagedFile, match="its text in the document was changed"):
        library.publish_inline("delay", {"limit": 15})

    assert clock.waits == []


@pytest.mark.parametrize("begun_inline", [True, False])
def test_a_retry_finishes_what_was_begun_where_it_was_begun(
    library: ModelLibrary, make_file: MakeFile, *, begun_inline: bool
) -> None:
    source = SourceFile(source=make_file(content=15), inline=begun_inline)
    change(library, library.publish("delay", [source], format="json"), state="PENDING", ready_at=None)

    finished = library.publish("delay", [replace(source, inline=not begun_inline)], format="json")

    assert (finished.number, finished.state, finished.inline is not None) == (1, State.READY, begun_inline)
    assert library.load("delay/1") == 15


def test_inline_text_is_signed_like_a_file(resources: Resources) -> None:
    keys = read_keys(generate_key("hmac")[0])
    signing = ModelLibrary(replace(resources, keys=keys), by="ann")
    version = signing.publish_inline("delay", 15)
    change(signing, version, signature=None)

    assert version.signature is not None
    with pytest.raises(SignatureRefused):
        signing.read_inline("delay/1")


# Its life.


def test_an_inline_version_that_is_collected_leaves_no_text(library: ModelLibrary, clock: ManualClock) -> None:
    for value in (1, 2):
        library.publish_inline("delay", value)
    library.retire("delay/1")
    clock.advance(timedelta(days=30))

    library.collect("delay", delete=True)

    collected = library.versions("delay")[-1]
    assert (collected.state, collected.inline) == (State.COLLECTED, None)
    with pytest.raises(VersionCollected):
        library.read_inline("delay/1")
    assert library.read_inline("delay/2") == 2


def test_a_copy_keeps_inline_what_is_inline(library: ModelLibrary, tmp_path: Path) -> None:
    library.publish_inline("delay", RULES)
    documents = SqlDocuments(f"sqlite:///{tmp_path}/other.db")
    blobs = LocalBlobs(tmp_path / "other")
    target = ModelLibrary(Resources(documents=documents, blobs=blobs, new_token=lambda: "t"), by="ann")

    (copied,) = copy_versions(library, target, "delay")

    assert copied.copy.inline == copied.source.inline
    assert list(blobs.list("models/")) == []
    target.close()


def test_a_document_that_uses_no_later_field_looks_as_before(library: ModelLibrary, make_file: MakeFile) -> None:
    document = to_document(library.publish("delay", make_file(content=1), format="json"))

    assert "inline" not in document
    assert not {"snapshot", "origins"} & set(document["lineage"])
