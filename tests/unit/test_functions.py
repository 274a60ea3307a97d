"""A function of the author's is given itself or by name; a wrong name is told apart from a missing library."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import code_version_of, load_function


def score(model: Any, data: str) -> str:
    return f"{model} on {data}"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module on the import path, under a name of this test's own."""
    name = f"flights_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}"
    (tmp_path / f"{name}.py").write_text("def score(model, data):\n    return 'scored'\n\nLIMIT = 3\n")
    (tmp_path / f"{name}_needy.py").write_text("import a_library_that_is_not_here\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_callable_is_taken_as_it_is() -> None:
    assert load_function(score, purpose="score") is score


def test_a_name_is_looked_up_in_its_module(package: str) -> None:
    assert load_function(f"{package}:score", purpose="score")(None, "week") == "scored"


@pytest.mark.parametrize(
    "wrong", ["", "score", "flights.delay.score", ":score", "flights:", ".relative:score", None, 3]
)
def test_what_is_no_name_of_a_function_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_function(wrong, purpose="score")

    assert str(caught.value) == f"score {wrong!r}: expected a function or 'package.module:function'"


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_function("no_such_package.delay:train", purpose="train")

    assert str(caught.value) == (
        "train 'no_such_package.delay:train': no module 'no_such_package'; install it, or put it on the PYTHONPATH of "
        "the workers"
    )


def test_a_library_that_the_module_needs_is_named_and_not_the_module(package: str) -> None:
    with pytest.raises(InvalidInput, match="no module 'a_library_that_is_not_here'"):
        load_function(f"{package}_needy:score", purpose="score")


@pytest.mark.parametrize("name", ["absent", "LIMIT"])
def test_an_unknown_function_is_named_with_its_module(package: str, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_function(f"{package}:{name}", purpose="score")

    assert str(caught.value) == f"score '{package}:{name}': module '{package}' has no function '{name}'"


def test_the_code_version_is_the_digest_of_the_file() -> None:
    expected = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

    assert code_version_of(score) == f"sha256:{expected}"


def test_the_code_version_of_a_wrapped_function_is_that_of_the_function() -> None:
    @functools.wraps(score)
    def call(*arguments: Any) -> Any:
        return score(*arguments)

    call.__code__ = call.__code__.replace(co_filename="elsewhere.py")

    assert code_version_of(call) == code_version_of(score)


@pytest.mark.parametrize(
    "function",
    [len, functools.partial(score, None), eval("lambda model, data: None")],
    ids=["built-in", "partial", "eval"],
)
def test_a_function_without_a_file_has_no_code_version(function: Callable[..., Any]) -> None:
    assert code_version_of(function) is None
