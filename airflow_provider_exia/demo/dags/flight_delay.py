"""The demo's DAGs, written by hand: train and promote if better, predict every week, and an accident with its cure.

The driver (``exia demo``) runs one at a time and gives each run its event time: the end of a week of 2013.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_exia.demo import flights
from airflow_provider_exia.loop import Policy, TrainedModel, TrainingContext, promote_if_better
from airflow_provider_exia.operators.model import ModelRollbackOperator

DELAY = Policy(metric="brier", min_gain=0.002)
DATA = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "flights"


@task
def extract(data_interval_end: datetime | None = None) -> str:
    """Write the flights that a run of this event time may see."""
    assert data_interval_end is not None  # noqa: S101 - Airflow fills it in
    return flights.extract(data_interval_end, DATA)


@dag(schedule=None, tags=["exia"])
def flight_delay_train() -> None:
    """Train on the weeks before the last one, and let the last one judge."""

    @task.exia_train(model="flight_delay", format="skops", data=extract())
    def train(context: TrainingContext) -> TrainedModel:
        return flights.train(context)

    promote_if_better(train(), score=flights.score, policy=DELAY, trusted_types=flights.TRUSTED_TYPES)


@dag(schedule=None, tags=["exia"])
def flight_delay_week() -> None:
    """Predict the week with whatever is champion."""

    @task.exia_predict(model="flight_delay@champion", trusted_types=flights.TRUSTED_TYPES)
    def predict(model: Any, data: str) -> str:
        return flights.predict(model, data)

    predict(extract())


@dag(schedule=None, tags=["exia"])
def flight_delay_accident() -> None:
    """Train on inverted labels and ask the gate, which refuses."""

    @task.exia_train(model="flight_delay", format="skops", data=extract())
    def train_on_inverted_labels(context: TrainingContext) -> TrainedModel:
        return flights.make_bad(context)

    trained = train_on_inverted_labels()
    promote_if_better(trained, score=flights.score, policy=DELAY, trusted_types=flights.TRUSTED_TYPES)


@dag(schedule=None, tags=["exia"])
def flight_delay_rollback() -> None:
    """Take back the last promotion."""
    ModelRollbackOperator(task_id="rollback", model="flight_delay", reason="{{ dag_run.conf['reason'] }}")


flight_delay_train()
flight_delay_week()
flight_delay_accident()
flight_delay_rollback()
