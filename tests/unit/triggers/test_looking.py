"""What all triggers share: between two looks they hold nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.sensors.model import ModelAliasSensor
from airflow_provider_exia.triggers.model import ModelAliasTrigger
from airflow_provider_exia.triggers.monitor import MonitorConditionTrigger
from airflow_provider_exia.triggers.services import ServiceModelTrigger

if TYPE_CHECKING:
    from airflow_provider_exia.triggers.looking import LookingTrigger


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelLibrary:
    """A library with a version that no alias names, and the connection to it."""
    places = {"documents": f"sqlite:///{tmp_path}/library.db", "blobs": f"file://{tmp_path}/blobs"}
    monkeypatch.setenv("AIRFLOW_CONN_EXIA_DEFAULT", json.dumps({"conn_type": "exia", "extra": places}))
    monkeypatch.setenv("AIRFLOW_CONN_CONSUL_DEFAULT", json.dumps({"conn_type": "consul", "host": "127.0.0.1"}))
    library = open_library(places["documents"], blobs=places["blobs"], by="ann")
    (tmp_path / "model.json").write_text("{}")
    library.publish("churn", tmp_path / "model.json", format="json")
    library.close()
    return library


def open_files(folder: Path) -> set[str]:
    """Return the names of the files below a folder that this process has open."""
    opened = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            path = Path(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # the listing's own
            continue
        if path.is_relative_to(folder):
            opened.add(path.name)
    return opened


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")
@pytest.mark.parametrize(
    "trigger",
    [
        ModelAliasTrigger(exia_conn_id="exia_default", condition={"model": "churn", "alias": "canary"}, poll_seconds=0),
        MonitorConditionTrigger(
            exia_conn_id="exia_default", model="churn", monitor="loss", condition={"states": ["HALTED"]}, poll_seconds=0
        ),
        ServiceModelTrigger(
            consul_conn_id="consul_default",
            exia_conn_id="exia_default",
            model="churn",
            alias="canary",
            condition={"service": "churn"},
            poll_seconds=0,
        ),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_a_trigger_holds_no_connection_between_two_looks(
    library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trigger: LookingTrigger
) -> None:
    look, held, seen = trigger.look, [], []

    def look_and_note() -> Any:
        held.append(open_files(tmp_path))
        found = look()
        seen.append(open_files(tmp_path))
        return found if len(held) < 3 else "enough"

    monkeypatch.setattr(trigger, "look", look_and_note)

    asyncio.run(trigger.wait())

    assert [*held, open_files(tmp_path)] == [set()] * 4
    assert all("library.db" in files for files in seen)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")
@pytest.mark.usefixtures("library")
def test_a_sensor_that_waits_in_its_task_holds_none_either_and_says_what_it_waits_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor = ModelAliasSensor(task_id="wait", model="churn", alias="canary", deferrable=False)

    seen = sensor.poke({})

    assert not seen.is_done
    assert open_files(tmp_path) == set()
    assert "not there yet: <" in (said := capsys.readouterr().out)
    assert "'model': 'churn', 'alias': 'canary'" in said
