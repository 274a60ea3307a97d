"""A sensor that waits for a monitor drives a reaction of the author's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.monitoring.requests import stop
from airflow_provider_exia.monitoring.states import MonitorState
from tests.airflow.running import run_dag

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database", "library")]

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "example_alarm.py"


def test_a_halted_monitor_is_told_of() -> None:
    journal = MonitorHook().journal("example_sales", "squared_error")
    journal.begin(
        state=MonitorState.HEALTHY,
        watching=0,
        event_time=datetime(2026, 3, 1, tzinfo=UTC),
        by="test",
        policy_digest="0",
    )
    stop(journal, by="a person", reason="the warehouse moves")

    run = run_dag(DagBag(EXAMPLE).dags["example_alarm"])

    assert run.state == "success"
    told = run.result("tell")
    assert told.startswith("Please look at it: example_sales squared_error is HALTED")
    assert "the warehouse moves" in told
