"""The loop, written by hand: a weekly DAG watches a model, and a training DAG is triggered when it is bad.

The model is one number, the mean of what was sold on a day; the "warehouse" is a folder with a file for each week. To
see the loop close: run ``example_watch_train`` once, then ``example_watch_week`` three times, the last two with the
configuration ``{"level": 30}``: people buy more, the model is wrong, and a training run is triggered.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better, watch

WAREHOUSE = Path(tempfile.gettempdir()) / "example_sales"

SALES = Policy(
    metric="squared_error",
    enter=25.0,  # bad from here on
    exit=15.0,  # good from here down
    breaches=2,
    window=3,
    max_age="10d",  # silent for longer: blind
    cooldown="2w",
    bake="2w",
    min_gain=0.5,
)


def score(model: dict[str, float], data: str) -> Scores:
    """Return the squared error of each day; days are independent enough to be blocks of their own."""
    days = json.loads(Path(data).read_text())
    return Scores(loss=[(sold - model["mean"]) ** 2 for sold in days], block=list(range(len(days))))


@dag(schedule=None, tags=["exia", "example"])
def example_watch_train() -> None:
    """Train on the newest week; accepts the episode that asked for it, or trains outside any."""

    @task.exia_train(model="example_sales", format="json")
    def train(context: TrainingContext) -> TrainedModel:
        WAREHOUSE.mkdir(exist_ok=True)
        weeks = sorted(WAREHOUSE.glob("week-*.json"))
        days = json.loads(weeks[-1].read_text()) if weeks else [20.0] * 14
        holdout = Path(tempfile.mkdtemp()) / "holdout.json"
        holdout.write_text(json.dumps(days[7:]))
        mean = sum(days[:7]) / 7
        return TrainedModel({"mean": mean}, metrics={"mean": mean}, holdout=holdout)

    promote_if_better(train(), score=score, policy=SALES)


@dag(schedule="@weekly", params={"level": 20}, tags=["exia", "example"])
def example_watch_week() -> None:
    """Fetch the week's sales, and watch how the model did on them."""

    @task
    def extract() -> str:
        context = get_current_context()
        noise = random.Random(7)  # noqa: S311 - made-up data
        WAREHOUSE.mkdir(exist_ok=True)
        path = WAREHOUSE / f"week-{context['dag_run'].run_after:%Y%m%dT%H%M%S.%f}.json"
        path.write_text(json.dumps([context["params"]["level"] + noise.gauss(0, 2) for _ in range(14)]))
        return str(path)

    watch("example_sales", score=score, data=extract(), policy=SALES, retrain="example_watch_train")


example_watch_train()
example_watch_week()
