"""The life of one model in two DAGs: train and promote if better; predict with whatever is champion.

The model is a straight line fitted by hand, so that the example needs nothing but this package.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better


def score(model: dict[str, float], data: str) -> Scores:
    """Return the squared error of each row; rows of one day form a block."""
    rows = json.loads(Path(data).read_text())
    return Scores(
        loss=[(row["y"] - model["slope"] * row["x"]) ** 2 for row in rows],
        block=[row["day"] for row in rows],
    )


@dag(schedule=None, tags=["exia", "example"])
def example_train() -> None:
    """Train, judge on days that training did not see, promote only if better."""

    @task.exia_train(model="example_line", format="json")
    def train(context: TrainingContext) -> TrainedModel:
        noise = random.Random(context.as_of.toordinal())  # noqa: S311 - made-up data
        rows = [{"day": day, "x": float(x), "y": 2.0 * x + noise.gauss(0, 1)} for day in range(30) for x in range(1, 9)]
        training, holdout = rows[:160], rows[160:]
        slope = sum(row["x"] * row["y"] for row in training) / sum(row["x"] ** 2 for row in training)
        kept = Path(tempfile.mkdtemp()) / "holdout.json"
        kept.write_text(json.dumps(holdout))
        return TrainedModel(
            {"slope": slope},
            metrics={"slope": slope},
            holdout=kept,
            training_blocks=sorted({str(row["day"]) for row in training}),
        )

    promote_if_better(train(), score=score, policy=Policy(metric="squared error", min_gain=0.01))


@dag(schedule=None, tags=["exia", "example"])
def example_predict() -> None:
    """Predict with the champion; which version served is in the task's XCom ``model_version``."""

    @task
    def extract() -> str:
        path = Path(tempfile.mkdtemp()) / "week.json"
        path.write_text(json.dumps([1.0, 2.0, 3.0]))
        return str(path)

    @task.exia_predict(model="example_line@champion")
    def predict(model: dict[str, Any], data: str) -> str:
        predictions = [model["slope"] * x for x in json.loads(Path(data).read_text())]
        path = Path(data).with_name("predictions.json")
        path.write_text(json.dumps(predictions))
        return str(path)

    predict(extract())


example_train()
example_predict()
