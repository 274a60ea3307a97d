"""Copying a library into another: what arrives, what does not, and how a copy goes on after it was broken off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from airflow_provider_exia.model_library.copying import copy_aliases, copy_versions
from airflow_provider_exia.model_library.exceptions import DamagedFile, SignatureRefused
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import Lineage
from airflow_provider_exia.model_library.signing import Keys, check_signature, read_keys
from tests.unit.model_library.conftest import ManualClock

SOURCE_KEY, TARGET_KEY = "hmac:" + "11" * 32, "hmac:" + "22" * 32


def library_in(folder: Path, key: str | None = None) -> ModelLibrary:
    keys = read_keys(key) if key else Keys()
    return open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="ann", keys=keys)


def publish(library: ModelLibrary, folder: Path, *values: int, model: str = "churn") -> None:
    for value in values:
        (folder / "model.json").write_text(json.dumps(value))
        library.publish(
            model,
            folder / "model.json",
            format="json",
            metrics={"auc": value / 10},
            lineage=Lineage(parameters={"depth": value}),
            work=f"work {value}",
        )


@pytest.fixture
def source(tmp_path: Path) -> ModelLibrary:
    """Five versions, the second retired; champion went 1, 3, 5."""
    library = library_in(tmp_path / "source", SOURCE_KEY)
    publish(library, tmp_path, 1, 2, 3, 4, 5)
    library.retire("churn/2")
    for number in (1, 3, 5):
        library.promote(f"churn/{number}")
    return library


@pytest.fixture
def target(tmp_path: Path) -> ModelLibrary:
    """An empty library with a key of its own."""
    return library_in(tmp_path / "target", TARGET_KEY)


def numbers(source: ModelLibrary, target: ModelLibrary) -> dict[int, int]:
    return {copied.source.number: copied.copy.number for copied in copy_versions(source, target, "churn")}


def test_what_is_in_use_arrives_with_its_facts_and_its_origin(source: ModelLibrary, target: ModelLibrary) -> None:
    copied = list(copy_versions(source, target, "churn"))

    assert [(item.source.number, item.copy.number, item.is_new) for item in copied] == [
        (1, 1, True),
        (3, 2, True),
        (4, 3, True),
        (5, 4, True),
    ]
    here, there = copied[1].source, target.resolve("churn/2")
    assert target.load("churn/2") == 3
    assert (there.metrics, there.work, there.digest) == (here.metrics, here.work, here.digest)
    assert there.lineage.parameters == {"depth": 3}
    (origin,) = there.lineage.origins
    assert (origin.number, origin.signature, origin.ready_at) == (3, here.signature, here.ready_at)
    assert there.signature != here.signature
    check_signature(read_keys(TARGET_KEY), there)


def test_a_copy_that_was_broken_off_goes_on_and_one_that_was_finished_does_nothing(
    source: ModelLibrary, target: ModelLibrary
) -> None:
    list(islice(copy_versions(source, target, "churn"), 2))

    again = [item.is_new for item in copy_versions(source, target, "churn")]
    once_more = [item.is_new for item in copy_versions(source, target, "churn")]

    assert again == [False, False, True, True]
    assert once_more == [False] * 4
    assert [version.number for version in target.versions("churn")] == [4, 3, 2, 1]


def test_what_is_there_without_an_accepted_signature_is_not_called_copied(tmp_path: Path) -> None:
    unsigned = library_in(tmp_path / "library")
    publish(unsigned, tmp_path, 1)
    the_same_with_a_key = library_in(tmp_path / "library", TARGET_KEY)

    with pytest.raises(SignatureRefused, match="churn/1 is refused: it is not signed"):
        list(copy_versions(unsigned, the_same_with_a_key, "churn"))


def test_an_older_version_of_the_same_work_is_known_again_and_not_fetched(
    source: ModelLibrary, target: ModelLibrary, tmp_path: Path
) -> None:
    (tmp_path / "model.json").write_text("6")
    source.publish("churn", tmp_path / "model.json", format="json", work="work 5")
    numbers(source, target)
    older = source.resolve("churn/5")
    source.resources.blobs.delete(blob_key("models", older, "model.json"))

    again = [(item.source.number, item.is_new) for item in copy_versions(source, target, "churn")]

    assert again == [(1, False), (3, False), (4, False), (5, False), (6, False)]


def test_a_copy_of_a_copy_knows_both_origins(source: ModelLibrary, target: ModelLibrary, tmp_path: Path) -> None:
    list(copy_versions(source, target, "churn"))
    third = library_in(tmp_path / "third")

    *_, last = copy_versions(target, third, "churn")

    assert [origin.number for origin in last.copy.lineage.origins] == [5, 4]


def test_a_damaged_source_is_not_copied_and_what_came_before_is(source: ModelLibrary, target: ModelLibrary) -> None:
    version = source.resolve("churn/3")
    source.resources.blobs.root.joinpath(blob_key("models", version, "model.json")).write_text("9")

    with pytest.raises(DamagedFile, match="churn/3"):
        list(copy_versions(source, target, "churn"))

    assert [version.number for version in target.versions("churn")] == [1]


def test_a_version_that_the_source_s_keys_did_not_sign_is_not_copied(
    source: ModelLibrary, target: ModelLibrary, tmp_path: Path
) -> None:
    impostor = library_in(tmp_path / "source", "hmac:" + "33" * 32)

    with pytest.raises(SignatureRefused):
        list(copy_versions(impostor, target, "churn"))

    assert target.models() == []


def test_aliases_name_the_copies_and_roll_back_as_in_the_source(source: ModelLibrary, target: ModelLibrary) -> None:
    moves = copy_aliases(source, target, "churn", numbers(source, target))

    assert target.alias("churn").stack == (4, 2, 1)
    assert [move.version for move in moves] == [1, 2, 4]
    assert copy_aliases(source, target, "churn", numbers(source, target)) == []


def test_a_later_promotion_is_taken_over_by_one_move(
    source: ModelLibrary, target: ModelLibrary, tmp_path: Path
) -> None:
    copy_aliases(source, target, "churn", numbers(source, target))
    publish(source, tmp_path, 6)
    source.promote("churn/6")

    moves = copy_aliases(source, target, "churn", numbers(source, target))

    assert [move.version for move in moves] == [5]
    assert target.alias("churn").stack == (5, 4, 2, 1)


def test_an_alias_that_went_another_way_takes_over_only_what_is_live(
    source: ModelLibrary, target: ModelLibrary
) -> None:
    copies = numbers(source, target)
    target.promote("churn/3")

    moves = copy_aliases(source, target, "churn", copies)

    assert [move.version for move in moves] == [4]
    assert target.alias("churn").stack == (4, 3)


@pytest.mark.parametrize("before", [[4], [3, 4], [3, 1, 2, 4]])
def test_where_the_same_version_is_live_already_nothing_moves_whatever_a_rollback_would_return_to(
    source: ModelLibrary, target: ModelLibrary, before: list[int]
) -> None:
    copies = numbers(source, target)
    for number in before:
        target.promote(f"churn/{number}")

    moves = copy_aliases(source, target, "churn", copies)

    assert moves == []
    assert target.alias("churn").stack == tuple(reversed(before))


def collect(library: ModelLibrary, reference: str) -> None:
    """Retire a version and collect it a week later."""
    library.retire(reference)
    later = ManualClock(datetime.now(UTC) + timedelta(days=7))
    ModelLibrary(replace(library.resources, clock=later), by="ann").collect("churn", delete=True)


@pytest.mark.parametrize("take_out", [collect, ModelLibrary.retire])
def test_what_is_out_of_use_in_the_target_is_said_and_left_and_the_copy_goes_on(
    source: ModelLibrary, target: ModelLibrary, take_out: Callable[[ModelLibrary, str], object]
) -> None:
    list(islice(copy_versions(source, target, "churn"), 2))
    take_out(target, "churn/2")

    copied = list(copy_versions(source, target, "churn"))

    assert [(item.copy.number, item.is_new, item.is_in_use) for item in copied] == [
        (1, False, True),
        (2, False, False),
        (3, True, True),
        (4, True, True),
    ]
    assert target.retired("churn") == {2}
    copy_aliases(source, target, "churn", numbers(source, target))
    assert target.alias("churn").stack == (4, 1)


def test_an_alias_whose_version_is_out_of_use_in_the_target_stays_where_it_was_moved_there(
    source: ModelLibrary, target: ModelLibrary
) -> None:
    copies = numbers(source, target)
    target.promote("churn/3")
    target.retire("churn/4")

    assert copy_aliases(source, target, "churn", copies) == []

    assert target.alias("churn").stack == (3,)


def test_tags_and_notes_come_along_and_what_was_written_there_stays(source: ModelLibrary, target: ModelLibrary) -> None:
    source.annotations.tag("churn", {"team": "sales"})
    source.annotations.tag("churn/3", {"data_set": "january", "checked": "yes"})
    source.annotations.note("churn/3", "from development")
    numbers(source, target)
    target.annotations.tag("churn/2", {"checked": "by production"})
    target.annotations.note("churn/2", "from production")
    source.annotations.tag("churn/3", {"later": "too"})

    numbers(source, target)

    version = target.annotations.of("churn/2")
    assert version.tags == {"data_set": "january", "checked": "by production", "later": "too"}
    assert version.note == "from production"
    assert target.annotations.of("churn").tags == {"team": "sales"}
    assert set(target.annotations.of_versions("churn")) == {2}
