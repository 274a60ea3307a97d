"""Authors check their own functions without Airflow; each broken contract is named with what mends it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import pytest

from airflow_provider_exia.loop import Scores, TrainedModel, TrainingContext
from airflow_provider_exia.testing import ContractBroken, check_predict, check_score, check_train

CONTEXT = TrainingContext(model="delay", as_of=datetime(2026, 3, 1, tzinfo=UTC))


def returning(value: Any) -> Callable[..., Any]:
    """Give a function that returns ``value`` whatever it is called with."""
    return lambda *_arguments: value


def check(trained: Any, folder: Path, *, context: TrainingContext = CONTEXT) -> Any:
    return check_train(returning(trained), context, format="json", folder=folder)


def test_a_trained_model_comes_back_as_it_will_serve(tmp_path: Path) -> None:
    checked = check(TrainedModel({"limits": (1, 2)}, metrics={"brier": 0.2}, parameters={"depth": 3}), tmp_path)

    assert checked.model == {"limits": [1, 2]}  # JSON knows no tuples, and nor will production
    assert checked.holdout is None


def test_a_data_frame_kept_back_becomes_a_file(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": [1.0, 2.0], "late": [True, False]})

    checked = check(TrainedModel({}, holdout=frame), tmp_path)

    assert pandas.read_parquet(checked.holdout).equals(frame)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_holdout_file_is_copied_as_it_will_be_published(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    (tmp_path / "week.csv").write_text("x,late\n1,0\n")

    checked = check(TrainedModel({}, holdout=kind(tmp_path / "week.csv")), tmp_path)

    assert checked.holdout == str(tmp_path / "holdout.csv")
    assert Path(checked.holdout).read_text() == "x,late\n1,0\n"


@pytest.mark.parametrize(
    ("trained", "problem"),
    [
        (None, r"train\(\) returned NoneType: return TrainedModel\(model, metrics=\.\.\.\)"),
        ({"slope": 2.0}, r"train\(\) returned dict"),
        (TrainedModel({1, 2}), r"a model of type set cannot be written as json"),
        (
            TrainedModel({}, metrics={"brier": math.nan}),
            r"train\(\) measured 'brier' as nan: a metric is a finite number",
        ),
        (TrainedModel({}, metrics={"brier": "low"}), r"train\(\) measured 'brier' as 'low'"),
        (TrainedModel({}, metrics={"brier": None}), r"train\(\) measured 'brier' as None"),
        (TrainedModel({}, parameters={"since": CONTEXT.as_of}), r"returned parameters that are no JSON values"),
        (TrainedModel({}, parameters={"rate": math.inf}), r"returned parameters that are no JSON values"),
        (TrainedModel({}, holdout=[1, 2]), r"the holdout is a list: return a path, or a data frame"),
        (TrainedModel({}, holdout="/no/such/file"), r"the holdout '/no/such/file' is not a file"),
    ],
)
def test_what_cannot_be_published_is_named(tmp_path: Path, trained: Any, problem: str) -> None:
    with pytest.raises(ContractBroken, match=problem):
        check(trained, tmp_path)


@pytest.mark.parametrize("format_name", ["pickle", "joblib"])
def test_a_model_that_only_a_pickle_can_hold_is_checked_too(tmp_path: Path, format_name: str) -> None:
    checked = check_train(returning(TrainedModel({1, 2})), CONTEXT, format=format_name, folder=tmp_path)

    assert checked.model == {1, 2}


def test_a_holdout_that_is_the_training_data_is_found(tmp_path: Path) -> None:
    data = tmp_path / "weeks.csv"
    data.write_text("x,late\n1,0\n")
    (tmp_path / "copy.csv").write_text("x,late\n1,0\n")
    context = TrainingContext(model="delay", as_of=CONTEXT.as_of, data=str(data))

    with pytest.raises(ContractBroken, match="copy.csv' is the training data itself"):
        check(TrainedModel({}, holdout=tmp_path / "copy.csv"), tmp_path, context=context)


def test_a_broken_contract_fails_a_test_as_an_assertion_does() -> None:
    assert issubclass(ContractBroken, AssertionError)


def test_scores_are_handed_back() -> None:
    scores = Scores([0.1], ["mon"])

    assert check_score(returning(scores), {}, "week.csv") is scores


def test_a_score_function_that_returns_a_number_is_found() -> None:
    with pytest.raises(ContractBroken, match=r"score\(\) returned float: return Scores"):
        check_score(returning(0.2), {}, "week.csv")


def test_a_score_function_that_guesses_is_found() -> None:
    calls = itertools.count()

    with pytest.raises(ContractBroken, match="gave other scores for the same model and data"):
        check_score(lambda _model, _data: Scores([float(next(calls))], ["mon"]), {}, "week.csv")


def test_scoring_needs_labelled_data() -> None:
    with pytest.raises(ContractBroken, match="no labelled data to score on"):
        check_score(returning(Scores([0.1], ["mon"])), {}, None)


def test_a_prediction_is_handed_on_by_path_or_address(tmp_path: Path) -> None:
    (tmp_path / "out.csv").touch()

    assert check_predict(returning(tmp_path / "out.csv"), {}, "week.csv") == str(tmp_path / "out.csv")
    assert check_predict(returning("s3://bucket/out.csv"), {}, "week.csv") == "s3://bucket/out.csv"


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ([0.1, 0.2], r"predict\(\) returned list: write the predictions and return their path"),
        (None, r"predict\(\) returned NoneType"),
        ("/no/such/file", r"predict\(\) returned '/no/such/file', and nothing is there"),
    ],
)
def test_a_prediction_that_is_no_reference_is_found(result: Any, problem: str) -> None:
    with pytest.raises(ContractBroken, match=problem):
        check_predict(returning(result), {}, "week.csv")


def test_the_checks_need_no_airflow() -> None:
    code = "import sys, airflow_provider_exia.testing as t; print([name for name in sys.modules if name == 'airflow'])"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"
