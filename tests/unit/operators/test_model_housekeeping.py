"""Retire, restore, collect and verify as tasks: what they hand on, what they change, and what they refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import DamagedLibrary, VersionIsLive
from airflow_provider_exia.model_library.records import VERSIONS, State
from airflow_provider_exia.operators.model_housekeeping import (
    ModelCollectGarbageOperator,
    ModelRestoreOperator,
    ModelRetireOperator,
    ModelVerifyOperator,
)
from tests.unit.operators.conftest import context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


@pytest.fixture(autouse=True)
def published(library: ModelLibrary, tmp_path: Path) -> None:
    """Version 1 of ``delay`` is not in use, version 2 is champion; ``sales`` has one version."""
    for model, number in (("delay", 1), ("delay", 2), ("sales", 1)):
        file = tmp_path / "model.json"
        file.write_text(json.dumps({"model": model, "number": number}))
        library.publish(model, file, format="json")
    library.promote("delay/2")


@pytest.fixture
def retired_long_ago(library: ModelLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    library.retire("delay/1")
    monkeypatch.setattr(SystemClock, "now", lambda _clock: datetime.now(UTC) + timedelta(days=7))


def damage_document(library: ModelLibrary, model: str) -> None:
    (version, *_) = library.versions(model)
    document = library.resources.documents.get(VERSIONS, {"model": model, "number": version.number})
    assert document is not None
    library.resources.documents.swap(VERSIONS, {**document, "foreign": 1}, revision=version.revision)


def test_a_version_is_retired_and_restored_once_whatever_is_tried_again(library: ModelLibrary) -> None:
    retire = ModelRetireOperator(task_id="retire", reference="delay/1", reason="wrong data")
    restore = ModelRestoreOperator(task_id="restore", reference="delay/1")

    assert [retire.execute(context_of("retire", try_number=number)) for number in (1, 2)] == ["delay/1", "delay/1"]
    assert library.retired("delay") == {1}
    assert [restore.execute(context_of("restore", try_number=number)) for number in (1, 2)] == ["delay/1", "delay/1"]
    assert library.retired("delay") == set()
    assert [(entry.action, entry.reason, entry.by) for entry in library.history("delay")[:2]] == [
        ("restore", "", "delay/week-9/restore"),
        ("retire", "wrong data", "delay/week-9/retire"),
    ]


def test_a_live_version_is_not_retired() -> None:
    with pytest.raises(VersionIsLive):
        ModelRetireOperator(task_id="retire", reference="delay@champion").execute(context_of("retire"))


@pytest.mark.usefixtures("retired_long_ago")
def test_garbage_is_only_counted_unless_it_is_to_be_deleted(library: ModelLibrary) -> None:
    dry = ModelCollectGarbageOperator(task_id="gc").execute(context_of("gc"))
    assert library.versions("delay")[-1].state is State.READY

    done = ModelCollectGarbageOperator(task_id="gc", delete=True, grace="48h").execute(context_of("gc"))

    assert dry == done == {"abandoned": 0, "collected": 1, "deleted": 1, "aborted": 0, "kept": 0, "bytes": 31}
    assert library.versions("delay")[-1].state is State.COLLECTED
    assert library.history("delay")[0].by == "delay/week-9/gc"


@pytest.mark.usefixtures("retired_long_ago")
def test_a_damaged_model_fails_the_task_after_the_others_were_collected(library: ModelLibrary) -> None:
    damage_document(library, "sales")
    operator = ModelCollectGarbageOperator(task_id="gc", models=["sales", "delay"], delete=True)

    with pytest.raises(DamagedLibrary, match="sales is damaged: a stored Version is damaged at 'foreign'"):
        operator.execute(context_of("gc"))
    assert library.versions("delay")[-1].state is State.COLLECTED


def test_too_short_a_grace_time_is_refused() -> None:
    with pytest.raises(InvalidInput, match="24 h or more"):
        ModelCollectGarbageOperator(task_id="gc", grace="1h").execute(context_of("gc"))


def test_what_is_whole_is_counted_and_what_is_damaged_fails_the_task(library: ModelLibrary) -> None:
    operator = ModelVerifyOperator(task_id="verify")
    assert operator.execute(context_of("verify")) == {"verified": 5, "bytes": 93}

    for blob in list(library.resources.blobs.list("models/delay/")):
        library.resources.blobs.delete(blob.key)

    with pytest.raises(DamagedLibrary, match=r"delay/1 is damaged: model.json: there is none.*; 1 more in the log"):
        operator.execute(context_of("verify"))
    assert ModelVerifyOperator(task_id="verify", models=["sales"]).execute(context_of("verify"))["verified"] == 2
