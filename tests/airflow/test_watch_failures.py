"""A weekly run in which scoring fails: the monitor is evaluated all the same, and the run does not end green."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.loop import Policy, watch
from tests.airflow.running import run_dag

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]


def score_that_breaks(model: Any, data: str) -> None:
    raise RuntimeError(f"cannot read {data}")


def score_without_labels(model: Any, data: str) -> None:
    return None


def watched(dag_id: str, score: Any, tmp_path: Path) -> DAG:
    """Return a DAG that watches a model with one version, which is champion."""
    library = MonitorHook().library
    (tmp_path / "model.json").write_text(json.dumps({"dag": dag_id}))
    library.promote(library.publish(dag_id, tmp_path / "model.json", format="json").reference)
    policy = Policy(metric="loss", enter=0.2, breaches=1, window=1)
    with DAG(dag_id, schedule=None) as dag:
        watch(dag_id, score=score, data="week.json", policy=policy, retrain=f"{dag_id}_train")
    return dag


def test_a_failed_score_is_evaluated_and_ends_the_run_red(tmp_path: Path) -> None:
    run = run_dag(watched("score_breaks", score_that_breaks, tmp_path))

    assert run.tasks == {"watch.score": "failed", "watch.evaluate": "failed", "watch.retrain": "upstream_failed"}
    assert run.state == "failed"
    assert MonitorHook().state("score_breaks", "loss") is not None


def test_a_score_without_labels_is_no_failure(tmp_path: Path) -> None:
    run = run_dag(watched("no_labels", score_without_labels, tmp_path))

    assert run.tasks == {"watch.score": "skipped", "watch.evaluate": "success", "watch.retrain": "skipped"}
    assert run.state == "success"
    assert MonitorHook().state("no_labels", "loss") is not None
