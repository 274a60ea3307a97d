"""What ``@task.exia_train`` and ``@task.exia_predict`` make of a function when a DAG file is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.loop import TrainedModel, TrainingContext
from airflow_provider_exia.operators.base import RETRY_POLICY
from airflow_provider_exia.operators.model_predict import ModelPredictOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator


@pytest.fixture
def dag() -> Iterator[DAG]:
    """A DAG that is being written."""
    with DAG("delay", schedule=None) as dag:
        yield dag


def train(context: TrainingContext, depth: int = 3) -> TrainedModel:
    return TrainedModel({"depth": depth})


def predict(model: Any, data: str, limit: int = 3) -> list[Any]:
    return [model, data, limit]


def test_a_training_task_is_a_train_operator(dag: DAG) -> None:
    task.exia_train(model="delay", format="json", data="s3://weeks", retries=2)(train)()

    operator = dag.get_task("train")
    assert isinstance(operator, ModelTrainOperator)
    assert (operator.model, operator.format, operator.data, operator.retries) == ("delay", "json", "s3://weeks", 2)
    assert {"model", "data", "as_of", "parameters", "op_args", "op_kwargs"} <= set(operator.template_fields)
    assert operator.retry_policy is RETRY_POLICY


def test_a_predicting_task_is_a_predict_operator(dag: DAG) -> None:
    task.exia_predict(model="delay@champion", trusted_types=["a.B"])(predict)("week.json", limit=1)

    operator = dag.get_task("predict")
    assert isinstance(operator, ModelPredictOperator)
    assert (operator.model, operator.trusted_types) == ("delay@champion", ("a.B",))


def test_the_operator_fills_in_the_first_parameter(dag: DAG) -> None:
    task.exia_predict(model="delay@champion")(predict)("week.json", limit=1)

    assert dag.get_task("predict")._call("the model") == ["the model", "week.json", 1]


def test_an_argument_too_few_is_found_when_the_file_is_read(dag: DAG) -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'data'"):
        task.exia_predict(model="delay@champion")(predict)()


def test_an_argument_for_the_operators_own_parameter_is_found_when_the_file_is_read(dag: DAG) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'model'"):
        task.exia_predict(model="delay@champion")(predict)(model="mine", data="week.json")


def test_a_task_can_be_given_other_settings(dag: DAG) -> None:
    made = task.exia_predict(model="delay@champion")(predict)

    made.override(task_id="shadow", model="delay@shadow")("week.json")

    assert dag.get_task("shadow").model == "delay@shadow"


def test_mapped_tasks_are_made_for_each_value(dag: DAG) -> None:
    task.exia_train(model="delay", format="json")(train).expand(depth=[1, 2])
    task.exia_predict(model="delay@champion")(predict).partial(limit=1).expand(data=["a.json", "b.json"])

    trained = dag.get_task("train").unmap({"op_kwargs": {"depth": 2}})
    predicted = dag.get_task("predict").unmap({"op_kwargs": {"data": "a.json"}})

    assert trained._function()("context") == TrainedModel({"depth": 2})
    assert predicted._call("the model") == ["the model", "a.json", 1]
    assert trained.retry_policy is RETRY_POLICY
    assert predicted.retry_policy is RETRY_POLICY


def test_the_lineage_of_a_decorated_function_is_that_of_its_file(dag: DAG) -> None:
    from airflow_provider_exia.functions import code_version_of

    task.exia_train(model="delay", format="json")(train)()

    assert code_version_of(dag.get_task("train")._function()) == code_version_of(train)


@pytest.mark.parametrize("name", ["predict", "data", "parameters"])
def test_what_the_function_is_called_with_is_no_setting_of_the_predicting_task(name: str) -> None:
    with pytest.raises(InvalidInput, match=rf"@task.exia_predict\({name}=...\)"):
        task.exia_predict(**{"model": "delay@champion", name: "x"})


def test_the_function_is_no_setting_of_the_training_task() -> None:
    with pytest.raises(InvalidInput, match=r"@task.exia_train\(train=...\)"):
        task.exia_train(model="delay", format="json", train=train)


@pytest.mark.parametrize("make", [task.exia_train, task.exia_predict])
def test_a_decorator_without_a_model_is_refused_when_the_file_is_read(dag: DAG, make: Any) -> None:
    with pytest.raises(TypeError, match="missing keyword argument 'model'"):
        make(format="json")(train)() if make is task.exia_train else make()(predict)("week.json")
