"""In a real Airflow what happens to a model starts a DAG, and a sensor waits for an alias in each of its ways."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from tests.airflow.loops import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "example_model_events.py"
WAYS = {"poke": "running", "reschedule": "up_for_reschedule", "deferred": "deferred"}
WAITING_DAG = """
    from airflow.sdk import dag

    from airflow_provider_exia.sensors.model import ModelAliasSensor

    # A sensor that is due again before the scheduler saw its last look end is taken by Airflow for one that was killed.
    WAYS = {
        "poke": {"deferrable": False, "mode": "poke", "poke_interval": 0.5},
        "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": 5},
        "deferred": {"deferrable": True, "poke_interval": 0.5},
    }


    @dag(schedule=None)
    def waits_for_alias():
        for name, way in WAYS.items():
            ModelAliasSensor(
                task_id=name,
                model="awaited",
                other_than="{{ dag_run.conf['known'] }}",
                timeout=120,
                **way,
            )


    waits_for_alias()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    (folder / "dags").mkdir()
    shutil.copy(EXAMPLE, folder / "dags")
    (folder / "dags" / "waiting.py").write_text(dedent(WAITING_DAG))
    return folder


@pytest.fixture(scope="module")
def airflow(folder: Path) -> Iterator[RunningAirflow]:
    began = datetime.now(UTC)
    with running_airflow(folder / "home", dags_folder=folder / "dags") as airflow:
        for dag_id in ("example_model_release", "example_model_released", "waits_for_alias"):
            airflow.client.wait_for_dag(dag_id, parsed_after=began)
        yield airflow


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[ModelLibrary]:
    documents, blobs = embedded_locations(folder / "home")
    with open_library(documents, blobs=blobs, by="ann") as library:
        yield library


def test_a_promotion_starts_the_dag_that_is_scheduled_by_the_alias_and_tells_it_what_happened(
    airflow: RunningAirflow, library: ModelLibrary
) -> None:
    airflow.client.run("example_model_release", run_id="release")

    (run_id,) = woken_runs(airflow, 1)
    assert airflow.client.wait("example_model_released", run_id) == "success"
    version, (move,) = library.resolve("example_prices@champion"), library.history("example_prices")
    (told,) = refreshed(airflow, run_id, version.reference)
    assert (told["action"], told["alias"], told["since"]) == ("promote", "champion", move.sequence)
    assert (told["reference"], told["version"], told["digest"]) == (version.reference, version.number, version.digest)
    assert told["by"] == "example_model_release/release/promote"


def test_a_sensor_waits_for_another_version_in_each_way(
    airflow: RunningAirflow, library: ModelLibrary, tmp_path: Path
) -> None:
    for number in (1, 2):
        (tmp_path / "model.json").write_text(json.dumps(number))
        library.publish("awaited", tmp_path / "model.json", format="json")
    library.promote("awaited/1")

    airflow.client.trigger("waits_for_alias", run_id="waiting", conf={"known": "awaited/1"})
    for way, waiting in WAYS.items():
        wait_until(f"{way} waits", lambda way=way, waiting=waiting: states(airflow)[way] == waiting)
    library.promote("awaited/2")

    assert airflow.client.wait("waits_for_alias", "waiting") == "success"
    assert {airflow.client.xcom("waits_for_alias", "waiting", way) for way in WAYS} == {"awaited/2"}


def woken_runs(airflow: RunningAirflow, count: int) -> list[str]:
    """Wait until Airflow has made runs of the woken DAG, and return their ids."""

    def runs() -> list[str]:
        found = airflow.client._request("GET", "/api/v2/dags/example_model_released/dagRuns").json()
        return [run["dag_run_id"] for run in found["dag_runs"]]

    wait_until("the woken run", lambda: len(runs()) == count)
    return runs()


def refreshed(airflow: RunningAirflow, run_id: str, reference: str) -> list[dict[str, Any]]:
    value = airflow.client.xcom("example_model_released", run_id, "refresh")
    assert value["champion"] == reference
    told: list[dict[str, Any]] = value["told"]
    return told


def states(airflow: RunningAirflow) -> dict[str, str | None]:
    return {run.name: run.state for run in airflow.client.task_runs("waits_for_alias", "waiting")}
