"""The roots of all errors."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from datetime import UTC, datetime

import pytest

import airflow_provider_exia
from airflow_provider_exia.exceptions import ExiaError, InvalidInput, MissingExtra, OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import AliasMoved, DamagedFile, UnknownAlias
from airflow_provider_exia.model_library.records import Action, AliasState, JournalEntry
from airflow_provider_exia.storage.blobs import BlobMissing
from airflow_provider_exia.storage.documents import WriteConflict, WriteUnknown

WINNER = JournalEntry(
    model="delay",
    sequence=2,
    action=Action.PROMOTE,
    version=2,
    alias="champion",
    token="t",
    by="bob",
    at=datetime(2013, 1, 1, tzinfo=UTC),
    aliases={"champion": AliasState(since=2, stack=(2,))},
)


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtra(library="skops", extra="sklearn", purpose="reading a skops file")

    assert str(error) == (
        "reading a skops file needs the library 'skops', which is not installed: "
        "pip install 'airflow-provider-exia[sklearn]'"
    )


def test_an_unknown_outcome_names_the_token_to_repeat_with() -> None:
    error = OutcomeUnknown(operation="promote delay/3", token="abc")

    assert "promote delay/3" in str(error)
    assert "repeat it with the same token or work key 'abc'" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("no"),
        MissingExtra(library="skops", extra="sklearn", purpose="reading"),
        OutcomeUnknown(operation="promote", token="abc", reason=WriteUnknown("no answer")),
        WriteConflict(collection="versions", key=("model", "number")),
        BlobMissing("a/b"),
        DamagedFile(reference="delay/1", path="a", problem="gone"),
        UnknownAlias(model="delay", alias="champion", known=("other",)),
        AliasMoved(model="delay", alias="champion", expected=1, winner=WINNER),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_to_another_process(error: ExiaError) -> None:
    arrived = pickle.loads(pickle.dumps(error))

    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_every_error_of_the_package_has_the_one_root() -> None:
    found = set()
    for module in pkgutil.walk_packages(airflow_provider_exia.__path__, f"{airflow_provider_exia.__name__}."):
        if module.name.rpartition(".")[2] in ("exceptions", "documents", "blobs"):
            names = vars(importlib.import_module(module.name)).values()
            found |= {item for item in names if isinstance(item, type) and issubclass(item, Exception)}

    assert len(found) > 20
    assert all(issubclass(error, ExiaError) for error in found)
