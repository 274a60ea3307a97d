"""Made by exia compile: change the spec and compile again, not this file."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_exia.loop import Policy, promote_if_better, watch
from airflow_provider_exia.operators.model_data import ModelDataOperator
from airflow_provider_exia.operators.model_predict import ModelPredictOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator

SPECS = {"example_watched": "example_watched.yaml"}
TEMPLATES = "sha256:256ac182c9946778"
POLICY = Policy(
    metric="squared_error",
    enter=1.5,
    exit=1.2,
    breaches=2,
    window=3,
    max_age="15d",
    cooldown="14d",
    bake="14d",
    min_gain=0.01,
)


@dag(schedule=None, catchup=False, description="squared_error, resampled by day", tags=["exia", "example"])
def example_watched_train() -> None:
    """Train on data up to the run's event time; promote the new version only if the gate finds it better."""
    train = ModelTrainOperator(
        task_id="train",
        model="example_watched",
        train="example_functions:train",
        format="json",
        extract="example_functions:extract",
        parameters={"days": 28},
    )
    promote_if_better(train.output, score="example_functions:score", policy=POLICY)


@dag(schedule="@weekly", catchup=False, description="squared_error, resampled by day", tags=["exia", "example"])
def example_watched_infer() -> None:
    """Predict with the model that the alias names, then watch how well it does."""
    extract = ModelDataOperator(task_id="extract", extract="example_functions:extract")
    predict = ModelPredictOperator(
        task_id="predict", model="example_watched@champion", predict="example_functions:predict", data=extract.output
    )
    watch(
        "example_watched",
        score="example_functions:score",
        data=predict.output,
        policy=POLICY,
        retrain="example_watched_train",
    )


example_watched_train()
example_watched_infer()
