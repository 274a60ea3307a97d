"""A task finds its library by an Airflow connection, and without one below Airflow's home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.operators.model import ModelReadOperator, ModelWriteOperator
from tests.airflow.running import FinishedRun, run_dag
from tests.conftest import AIRFLOW_HOME

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A model's file."""
    (tmp_path / "model.json").write_text(json.dumps({"limit": 15}))
    return str(tmp_path / "model.json")


def connect(monkeypatch: pytest.MonkeyPatch, folder: Path, conn_id: str, **extra: Any) -> ModelLibrary:
    """Make a connection and open its library."""
    places = {"documents": f"sqlite:///{folder}/{conn_id}.db", "blobs": f"file://{folder}/{conn_id}"}
    connection = {"conn_type": "exia", "extra": {**places, **extra}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    return open_library(places["documents"], blobs=places["blobs"])


def test_a_task_uses_the_connection_that_it_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str) -> None:
    with (
        connect(monkeypatch, tmp_path, "exia_default") as default,
        connect(monkeypatch, tmp_path, "exia_other") as other,
    ):
        with DAG("write_elsewhere", schedule=None) as dag:
            ModelWriteOperator(task_id="write", model="rules", file=file, format="json", exia_conn_id="exia_other")

        run = run_dag(dag)

        assert run.state == "success"
        assert (default.models(), other.models()) == ([], ["rules"])


def test_without_a_connection_the_library_lies_below_airflows_home(file: str) -> None:
    with DAG("write_embedded", schedule=None) as dag:
        ModelWriteOperator(task_id="write", model="embedded_rules", file=file, format="json")

    run = run_dag(dag)

    documents, blobs = embedded_locations(AIRFLOW_HOME)
    assert run.result("write") == "embedded_rules/1"
    with open_library(documents, blobs=blobs) as library:
        assert library.load("embedded_rules/1") == {"limit": 15}


def predicting(model: str) -> DAG:
    with DAG("predict_by_connection", schedule=None) as dag:

        @task.exia_predict(model=model)
        def predict(model: Any) -> str:
            return str(model)

        predict()
    return dag


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"formats": "skops"}, "rules/1 is a json file, and only skops may be loaded here: see 'formats'"),
        ({"max_bytes": 3}, "rules/1 has 13 bytes, more than the 3 allowed here"),
        ({"blobs": ""}, "connection 'exia_default': 'blobs' is empty; give both 'documents' and 'blobs', or neither"),
    ],
)
def test_what_the_connection_does_not_allow_fails_the_task_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    file: str,
    capfd: pytest.CaptureFixture[str],
    extra: dict[str, Any],
    problem: str,
) -> None:
    with connect(monkeypatch, tmp_path, "exia_default") as library:
        library.publish("rules", file, format="json")
    connect(monkeypatch, tmp_path, "exia_default", **extra)

    run = run_dag(predicting("rules/1"))

    assert run.tasks == {"predict": "failed"}
    assert problem in capfd.readouterr().out


def test_a_connection_that_does_not_exist_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with DAG("no_connection", schedule=None) as dag:
        ModelReadOperator(task_id="read", reference="rules", exia_conn_id="exia_elsewhere")

    run = run_dag(dag)

    assert run.tasks == {"read": "failed"}
    assert "connection 'exia_elsewhere' does not exist: make one of the type 'exia'" in capfd.readouterr().out


def run_the_connection_test(conn_id: str) -> FinishedRun:
    with DAG("test_the_connection", schedule=None) as dag:

        @task
        def test() -> list[Any]:
            return list(ModelLibraryHook(conn_id).test_connection())

        test()
    return run_dag(dag)


def test_the_connection_test_tells_both_outcomes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with connect(monkeypatch, tmp_path, "exia_good"):
        good = run_the_connection_test("exia_good")
    (tmp_path / "exia_bad").touch()
    connect(monkeypatch, tmp_path, "exia_bad")

    bad = run_the_connection_test("exia_bad")

    assert good.result("test") == [True, "a probe was written, read and removed in both stores"]
    assert bad.result("test")[0] is False
    assert bad.result("test")[1].startswith("blobs: ")
