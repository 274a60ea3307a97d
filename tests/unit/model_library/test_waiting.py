"""What counts as the end of a wait for an alias."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.waiting import AliasCondition


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    """A library with two versions of ``churn``, none of them with an alias."""
    library = open_library(f"sqlite:///{tmp_path}/library.db", blobs=f"file://{tmp_path}/blobs", by="ann")
    for number in (1, 2):
        (tmp_path / "model.json").write_text(json.dumps(number))
        library.publish("churn", tmp_path / "model.json", format="json")
    return library


def test_the_wait_ends_when_the_alias_names_a_version(library: ModelLibrary) -> None:
    condition = AliasCondition(model="churn")
    before = condition.met_by(library)

    library.promote("churn/1")

    assert (before, condition.met_by(library)) == (None, "churn/1")


def test_a_known_version_does_not_count_and_one_that_was_rolled_back_to_does(library: ModelLibrary) -> None:
    library.promote("churn/1")
    library.promote("churn/2")
    condition = AliasCondition(model="churn", other_than="churn/2")
    before = condition.met_by(library)

    library.rollback("churn")

    assert (before, condition.met_by(library)) == (None, "churn/1")


def test_another_alias_does_not_count(library: ModelLibrary) -> None:
    library.promote("churn/1", alias="challenger")

    assert AliasCondition(model="churn").met_by(library) is None


def test_a_model_of_which_nothing_is_known_yet_may_be_waited_for(library: ModelLibrary) -> None:
    assert AliasCondition(model="sales").met_by(library) is None


@pytest.mark.parametrize("known", ["sales/1", "churn@champion", "churn"])
def test_what_is_no_version_of_the_model_cannot_be_excluded(known: str) -> None:
    with pytest.raises(InvalidInput, match="other_than is .*expected a version of 'churn' by its number"):
        AliasCondition(model="churn", other_than=known)
