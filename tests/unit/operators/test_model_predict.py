"""A predicting task hands the verified model to the function and says which version served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import DamagedFile, UnknownModel
from airflow_provider_exia.operators.model_predict import ModelPredictOperator
from tests.unit.operators.conftest import context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


@pytest.fixture
def champion(library: ModelLibrary, tmp_path: Path) -> ModelLibrary:
    """A library with a champion."""
    (tmp_path / "model.json").write_text(json.dumps({"slope": 2.0}))
    library.publish("line", tmp_path / "model.json", format="json")
    library.promote("line/1")
    return library


def predict(model: dict[str, float], data: str | None, **more: Any) -> list[Any]:
    return [model, data, more]


def operator_of(**values: Any) -> ModelPredictOperator:
    return ModelPredictOperator(**{"task_id": "predict", "model": "line@champion", "predict": predict, **values})


def test_the_function_is_given_the_model_the_data_and_the_parameters(champion: ModelLibrary) -> None:
    result = operator_of(data="week.json", parameters={"limit": 3}).execute(context_of("predict"))

    assert result == [{"slope": 2.0}, "week.json", {"limit": 3}]


def test_the_version_that_served_is_handed_on(champion: ModelLibrary) -> None:
    context = context_of("predict")

    operator_of().execute(context)

    assert context["ti"].pushed == {"model_version": "line/1"}


def test_the_version_that_served_is_known_though_the_function_fails(champion: ModelLibrary) -> None:
    context = context_of("predict")

    with pytest.raises(ZeroDivisionError):
        operator_of(predict=lambda _model, _data: 1 / 0).execute(context)

    assert context["ti"].pushed == {"model_version": "line/1"}


def test_a_damaged_file_reaches_no_function(champion: ModelLibrary, tmp_path: Path) -> None:
    (stored,) = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    stored.chmod(0o644)
    stored.write_text(json.dumps({"slope": 9.0}))

    with pytest.raises(DamagedFile, match="line/1: the stored file 'model.json' is not the one that was published"):
        operator_of(predict=pytest.fail).execute(context_of("predict"))


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (None, "ModelPredictOperator of 'line@champion': 'predict' is missing; give a function"),
        ("json:predict", "predict 'json:predict': module 'json' has no function 'predict'"),
    ],
)
def test_a_missing_function_is_named(champion: ModelLibrary, function: str | None, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        operator_of(predict=function).execute(context_of("predict"))


def test_an_unknown_model_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(UnknownModel, match="no model 'line': nothing was published under that name"):
        operator_of().execute(context_of("predict"))
