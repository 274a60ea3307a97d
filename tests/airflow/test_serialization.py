"""What Airflow keeps of a DAG is the same at every parse: a difference would be a new DAG version each time."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.dag_version import DagVersion
from airflow.sdk import DAG, task, task_group
from airflow.utils.session import create_session

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better, watch
from airflow_provider_exia.operators.model_gate import ModelGateOperator
from airflow_provider_exia.operators.model_predict import ModelPredictOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from tests.airflow.running import run_dag, serialized, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

POLICY = Policy(metric="brier", enter=0.2, exit=0.18, breaches=2, window=3, min_gain=0.002)

TYPES = {f"library.Type{number}" for number in range(9)}  # in another order in each process


def score(model: Any, data: str) -> Scores:
    return Scores([0.1], ["mon"])


class Scorer:
    """A score function with a state of its own."""

    def __call__(self, model: Any, data: str) -> Scores:
        return score(model, data)


SCORES: dict[str, Callable[..., Any] | str] = {
    "function": score,
    "lambda": lambda model, data: score(model, data),
    "partial": functools.partial(score, data="week.json"),
    "instance": Scorer(),
    "method": Scorer().__call__,
    "name": "flights.delay:score",
}


def every_shape(dag_id: str = "every_shape", score: Callable[..., Any] | str = score) -> DAG:
    """Make a DAG in which each operator stands plain, mapped, and in a mapped group."""
    with DAG(dag_id, schedule=None) as dag:

        @task.exia_train(model="delay", format="json", parameters={"depth": 3}, trusted_types=TYPES)
        def train(context: TrainingContext, depth: int = 3) -> TrainedModel:
            return TrainedModel({"depth": depth})

        @task.exia_predict(model="delay@champion")
        def predict(model: Any, data: str) -> str:
            return data

        @task_group
        def one_model(depth: int) -> None:
            promote_if_better(train(depth), score=score, policy=POLICY)

        promote_if_better(train(), score=score, policy=POLICY)
        promote_if_better(
            train.override(task_id="train_many").expand(depth=[1, 2]), score=score, policy=POLICY, trusted_types=TYPES
        )
        one_model.expand(depth=[1, 2])
        watch("delay", score=score, data=predict("week.json"), policy=POLICY, retrain="train_delay")
        predict.override(task_id="predict_many").expand(data=["a.json", "b.json"])
        ModelTrainOperator.partial(task_id="train_by_name", model="delay", format="json", train=score).expand(
            data=["a.json"]
        )
        ModelPredictOperator.partial(task_id="predict_by_name", model="delay", predict=score).expand(data=["a.json"])
        ModelGateOperator.partial(task_id="gate_by_name", score=score, policy=POLICY).expand(challenger=["delay/1"])
    return dag


def texts(value: Any) -> Iterator[str]:
    """Give every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("kind", sorted(SCORES))
def test_no_address_is_kept(kind: str) -> None:
    kept = serialized(every_shape(score=SCORES[kind]))

    assert [text for text in texts(kept) if " at 0x" in text] == []


def test_a_second_parse_keeps_the_same() -> None:
    assert serialized(every_shape()) == serialized(every_shape())


def test_another_process_keeps_the_same() -> None:
    code = (
        "import json; from tests.airflow.running import serialized;"
        "from tests.airflow.test_serialization import every_shape;"
        "print('kept', json.dumps(serialized(every_shape())))"
    )

    kept = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        ).stdout.rpartition("kept ")[2]
        for seed in ("1", "2")
    ]

    first, second = map(json.loads, kept)
    assert first == second
    assert first["dag"]["dag_id"] == "every_shape"


def test_policy_and_score_of_a_mapped_gate_are_kept_in_words() -> None:
    tasks = {task["__var"]["task_id"]: task["__var"] for task in serialized(every_shape())["dag"]["tasks"]}

    kept = tasks["gate_by_name"]["partial_kwargs"]
    assert kept["policy"] == repr(POLICY)
    assert kept["score"].startswith("def score(model: Any, data: str) -> Scores:")
    assert kept["has_retry_policy"] is True


def test_parsing_ten_times_makes_no_second_version(library: ModelLibrary) -> None:
    def make() -> DAG:
        with DAG("parsed_often", schedule=None) as dag:
            train = ModelTrainOperator.partial(task_id="train", model="delay", format="json", train=trained).expand(
                data=["a.json", "b.json"]
            )
            promote_if_better(train.output, score=score, policy=POLICY)
        return dag

    # Airflow makes a new version only of a DAG that has run since.
    run_dag(make())
    for _ in range(10):
        sync(make())

    with create_session() as session:
        versions = session.query(DagVersion).filter_by(dag_id="parsed_often").count()
    assert versions == 1


def trained(context: TrainingContext) -> TrainedModel:
    return TrainedModel({"trained on": context.data})
