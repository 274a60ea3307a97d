"""The four functions of one model, which know nothing of where they run: extract, train, score, predict.

The model is a straight line fitted by hand, so that the example needs nothing but this package.
"""

from __future__ import annotations

import json
import random
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_exia.loop import Scores, TrainedModel, TrainingContext

Row = dict[str, float]


def extract(as_of: datetime) -> str:
    """Write the rows of the 35 days before a moment; the last seven of them are the newest week."""
    noise = random.Random(as_of.toordinal())  # noqa: S311 - made-up data
    last = as_of.toordinal()
    rows = [
        {"day": day, "x": float(x), "y": 2.0 * x + noise.gauss(0, 1)}
        for day in range(last - 35, last)
        for x in range(1, 9)
    ]
    return _write(rows, "rows.json")


def train(context: TrainingContext) -> TrainedModel:
    """Learn from the days before the newest week, which is kept to be judged on."""
    rows = _read(str(context.data))
    holdout = _newest_week(rows)
    first = holdout[0]["day"] - context.parameters["days"]
    training = [row for row in rows if first <= row["day"] < holdout[0]["day"]]
    slope = sum(row["x"] * row["y"] for row in training) / sum(row["x"] ** 2 for row in training)
    return TrainedModel(
        {"slope": slope},
        metrics={"slope": slope},
        holdout=Path(_write(holdout, "holdout.json")),
        training_blocks=sorted({str(row["day"]) for row in training}),
    )


def score(model: dict[str, float], data: str) -> Scores:
    """Return the squared error of each row; rows of one day form a block."""
    rows = _read(data)
    return Scores(
        loss=[(row["y"] - model["slope"] * row["x"]) ** 2 for row in rows],
        block=[row["day"] for row in rows],
    )


def predict(model: dict[str, float], data: str) -> str:
    """Write the newest week with its predictions; what really happened is known here at once."""
    rows = [{**row, "predicted": model["slope"] * row["x"]} for row in _newest_week(_read(data))]
    return _write(rows, "predictions.json")


def _newest_week(rows: list[Row]) -> list[Row]:
    last = max(row["day"] for row in rows)
    return [row for row in rows if row["day"] > last - 7]


def _write(rows: Any, name: str) -> str:
    path = Path(tempfile.mkdtemp()) / name
    path.write_text(json.dumps(rows))
    return str(path)


def _read(path: str) -> list[Row]:
    rows: list[Row] = json.loads(Path(path).read_text())
    return rows
