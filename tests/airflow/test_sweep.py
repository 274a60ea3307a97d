"""A fleet in one DAG: what is bad is trained, though one monitor is broken; and the broken one is not passed over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.models.dagrun import DagRun
from airflow.sdk import dag, task
from airflow.utils.session import create_session

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.loop import Policy, sweep
from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL
from airflow_provider_exia.monitoring.points import Point
from tests.airflow.running import run_dag, sync

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

MODELS = ("apples", "pears", "plums")
POLICY = Policy(metric="loss", enter=0.2, breaches=1, window=1)


def fleet_dag() -> DAG:
    @dag(dag_id="fleet", schedule=None)
    def fleet() -> None:
        sweep([{"model": model, "policy": POLICY, "retrain": f"fleet_{model}"} for model in MODELS])

    return fleet()


def training_dag(model: str) -> DAG:
    @dag(dag_id=f"fleet_{model}", schedule=None)
    def training() -> None:
        @task
        def nothing() -> None:
            return None

        nothing()

    return training()


def measure(hook: MonitorHook, model: str, value: float) -> None:
    at = datetime.now(UTC) - timedelta(hours=1)
    hook.points.record(Point(model=model, monitor="loss", metric="loss", event_time=at, value=value))


def runs_asked_for() -> set[tuple[str, str]]:
    with create_session() as session:
        return {(run.dag_id, run.run_id) for run in session.query(DagRun).filter(DagRun.dag_id.startswith("fleet_"))}


def test_a_fleet_is_swept_by_one_task(library: ModelLibrary) -> None:
    for model in MODELS:
        sync(training_dag(model))
    hook = MonitorHook()

    # Nothing is bad: nothing is triggered, and there is nothing to report.
    quiet = run_dag(fleet_dag())
    assert quiet.state == "success"
    assert quiet.tasks == {"sweep.evaluate": "success", "sweep.retrain": "skipped", "sweep.report": "success"}

    # Two are bad and one of them is broken besides: the other one is trained, and the run says what is wrong.
    for model in ("pears", "plums"):
        measure(hook, model, 0.3)
    damaged = {"model": "pears", "monitor": "loss", "sequence": 2, "event_time": "2026"}
    library.resources.documents.insert(MONITOR_JOURNAL, damaged)
    bad = run_dag(fleet_dag())
    assert bad.tasks["sweep.evaluate"] == bad.tasks["sweep.retrain[0]"] == "success"
    assert bad.tasks["sweep.report"] == bad.state == "failed"
    assert list(bad.xcoms["sweep.evaluate", "errors"]) == ["pears/loss"]
    assert runs_asked_for() == {("fleet_plums", "exia__plums__loss__1")}
