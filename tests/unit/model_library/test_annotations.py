"""Tags and notes: what can be written beside a version or a model, and that nobody's change is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.annotations import ANNOTATIONS, MOST_TAGS
from airflow_provider_exia.model_library.exceptions import NotFound
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.manifest import manifest_of
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import WriteConflict, WriteUnknown
from tests.processes import at_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.model_library.conftest import Publish


PROCESSES, CHANGES = 4, 10


def test_a_version_a_model_and_what_an_alias_names_have_their_own(library: ModelLibrary, publish: Publish) -> None:
    publish(), publish()
    library.promote("delay/2")

    library.annotations.tag("delay/1", {"kind": "first"})
    library.annotations.tag("delay@champion", {"kind": "live"})
    library.annotations.note("delay", "of the whole model")

    assert library.annotations.of("delay/1").tags == {"kind": "first"}
    assert library.annotations.of("delay/2").tags == {"kind": "live"}
    model = library.annotations.of("delay")
    assert (model.reference, model.tags, model.note) == ("delay", {}, "of the whole model")
    assert {number: found.reference for number, found in library.annotations.of_versions("delay").items()} == {
        1: "delay/1",
        2: "delay/2",
    }


def test_a_change_leaves_everything_else_as_it_is(library: ModelLibrary, publish: Publish) -> None:
    publish()
    annotations = library.annotations

    annotations.tag("delay/1", {"one": "1", "two": "2"})
    annotations.note("delay/1", "why\nand how")
    annotations.tag("delay/1", {"two": "II", "three": ""})
    annotations.untag("delay/1", "one")

    found = annotations.of("delay/1")
    assert (found.tags, found.note) == ({"two": "II", "three": ""}, "why\nand how")
    assert annotations.note("delay/1", "").note == ""


def test_removing_what_is_not_there_and_setting_what_is_there_succeed_and_write_nothing(
    library: ModelLibrary, publish: Publish
) -> None:
    publish()

    assert library.annotations.untag("delay/1", "absent").revision == 0
    written = library.annotations.tag("delay/1", {"one": "1"})

    assert library.annotations.tag("delay/1", {"one": "1"}).revision == written.revision == 1


def test_nothing_that_is_signed_or_stored_of_the_version_changes(library: ModelLibrary, publish: Publish) -> None:
    before = publish()

    library.annotations.tag("delay/1", {"one": "1"})

    after = library.resolve("delay/1")
    assert after == before
    assert manifest_of(after) == manifest_of(before)


@pytest.mark.parametrize("reference", ["delay/2", "other/1", "other", "delay@champion", "delay@latest2"])
def test_what_does_not_exist_is_not_annotated(library: ModelLibrary, publish: Publish, reference: str) -> None:
    publish()

    for call in (lambda: library.annotations.tag(reference, {"one": "1"}), lambda: library.annotations.of(reference)):
        with pytest.raises(NotFound):
            call()


def test_a_retired_version_can_still_be_annotated(library: ModelLibrary, publish: Publish) -> None:
    publish()
    library.retire("delay/1")

    assert library.annotations.note("delay/1", "leaks the label").note == "leaks the label"


@pytest.mark.parametrize("name", ["", "Kind", "a b", "$where", "a.b", "1a", "a" * 65, "a\n", None])
def test_a_name_that_is_none_is_refused(library: ModelLibrary, publish: Publish, name: Any) -> None:
    publish()

    with pytest.raises(InvalidInput, match="is no name of a tag: expected a lower-case letter"):
        library.annotations.tag("delay/1", {name: "text"})
    with pytest.raises(InvalidInput, match="is no name of a tag"):
        library.annotations.untag("delay/1", name)


@pytest.mark.parametrize("text", ["x" * 257, 3, None, {"$ne": 1}, "\ud800"])
def test_a_text_that_is_too_long_or_none_is_refused(library: ModelLibrary, publish: Publish, text: Any) -> None:
    publish()

    with pytest.raises(InvalidInput):
        library.annotations.tag("delay/1", {"kind": text})
    assert library.annotations.of("delay/1").revision == 0


def test_the_limits_are_reached_and_not_passed(library: ModelLibrary, publish: Publish) -> None:
    publish()
    library.annotations.tag("delay/1", {f"tag{number}": "é" * 256 for number in range(MOST_TAGS)})
    library.annotations.note("delay/1", "é" * 10_000)

    with pytest.raises(InvalidInput, match="delay/1 would have 101 tags, more than 100: remove some first"):
        library.annotations.tag("delay/1", {"more": ""})
    with pytest.raises(InvalidInput, match="at most 10,000 characters"):
        library.annotations.note("delay/1", "x" * 10_001)


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("error", [WriteUnknown("no reply"), WriteConflict(collection="annotations", key=("model",))])
def test_a_lost_reply_or_race_is_read_again_and_done_once(
    library: ModelLibrary, publish: Publish, monkeypatch: pytest.MonkeyPatch, error: Exception, lands: bool
) -> None:
    publish()
    insert, failures = library.resources.documents.insert, [error]

    def failing(collection: Any, document: Any) -> None:
        if lands or not failures:
            insert(collection, document)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(library.resources.documents, "insert", failing)

    assert library.annotations.tag("delay/1", {"one": "1"}).tags == {"one": "1"}
    assert library.annotations.of("delay/1").revision == 1


def test_a_document_that_somebody_else_changed_is_refused(library: ModelLibrary, publish: Publish) -> None:
    publish()
    library.resources.documents.insert(ANNOTATIONS, {"model": "delay", "number": 1, "tags": {"a": 1}, "note": ""})

    with pytest.raises(DamagedDocument):
        library.annotations.of("delay/1")


def tag_often(folder: Path, index: int) -> None:
    with open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="ann") as library:
        for number in range(CHANGES):
            library.annotations.tag("delay/1", {f"tag{index}_{number}": str(number)})
            if number % 2:
                library.annotations.untag("delay/1", f"tag{index}_{number}")


def test_processes_that_tag_at_once_lose_nothing(library: ModelLibrary, publish: Publish, tmp_path: Path) -> None:
    publish()

    at_once(PROCESSES, tag_often, tmp_path)

    found = library.annotations.of("delay/1")
    assert found.tags == {
        f"tag{index}_{number}": str(number) for index in range(PROCESSES) for number in range(0, CHANGES, 2)
    }
    assert found.revision == PROCESSES * CHANGES * 3 // 2
