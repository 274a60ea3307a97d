"""Airflow must not ask the author of a DAG for the argument that the operator fills in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_exia.decorators.first_parameter import original, refuse_arguments, without_first_parameter
from airflow_provider_exia.exceptions import InvalidInput


def predict(model: Any, data: str, *, limit: int = 3) -> str:
    """Predict a week."""
    return f"{model} {data} {limit}"


def test_the_signature_lacks_the_first_parameter_and_nothing_else() -> None:
    shown = without_first_parameter(predict, decorator="exia_predict")

    assert str(inspect.signature(shown)) == "(data: 'str', *, limit: 'int' = 3) -> 'str'"
    assert (shown.__name__, shown.__doc__, shown.__module__) == ("predict", "Predict a week.", __name__)


def test_the_function_itself_is_kept() -> None:
    shown = without_first_parameter(predict, decorator="exia_predict")

    assert original(shown) is predict
    assert shown("model", "week", limit=1) == "model week 1"


def test_a_positional_only_parameter_may_be_filled_in() -> None:
    def positional(model: Any, /, data: str) -> None: ...

    assert list(inspect.signature(without_first_parameter(positional, decorator="x")).parameters) == ["data"]


def nothing() -> None: ...


def only_keywords(*, model: Any) -> None: ...


def any_arguments(*arguments: Any) -> None: ...


@pytest.mark.parametrize("function", [nothing, only_keywords, any_arguments, lambda: None])
def test_a_function_with_no_place_for_it_is_refused_by_name(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        without_first_parameter(function, decorator="exia_predict")

    assert str(caught.value).startswith(f"@task.exia_predict on {function.__name__}(")
    assert str(caught.value).endswith(": the function needs a first parameter to be given")


def test_a_coroutine_function_is_refused() -> None:
    async def predict_later(model: Any) -> None: ...

    with pytest.raises(InvalidInput, match="@task.exia_predict on predict_later.*: write it as a plain function"):
        without_first_parameter(predict_later, decorator="exia_predict")


def test_arguments_that_the_decorated_function_stands_for_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"@task.exia_predict\(data=...\): pass it to the function when you call"):
        refuse_arguments({"model": "delay", "data": "week"}, ("predict", "data"), decorator="exia_predict")


def test_other_arguments_are_allowed() -> None:
    keywords = {"model": "delay", "retries": 2}

    refuse_arguments(keywords, ("predict", "data"), decorator="exia_predict")

    assert keywords == {"model": "delay", "retries": 2}
