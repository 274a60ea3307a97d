"""Checks of an author's train, score and predict functions against their contracts, for the author's own tests.

No Airflow and no stores are needed::

    trained = check_train(train, TrainingContext(...), format="skops", folder=tmp_path)
    check_score(score, trained.model, trained.holdout)
    check_predict(predict, trained.model, "week.parquet")
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.formats import Trust, format_named
from airflow_provider_exia.model_library.holdout import holdout_file
from airflow_provider_exia.model_library.training import TrainedModel, TrainingContext
from airflow_provider_exia.monitoring.scores import Scores

__all__ = ["CheckedModel", "ContractBroken", "check_predict", "check_score", "check_train"]


class ContractBroken(ExiaError, AssertionError):
    """A function does not do what the library needs of it; the message says what and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedModel:
    """What came out of :func:`check_train`.

    :param model: the model as it comes back from its file, which is what serves in production
    :param holdout: path of the holdout, or None
    """

    model: Any
    holdout: str | None


def check_train(
    train: Callable[[TrainingContext], Any],
    context: TrainingContext,
    *,
    format: str,
    folder: Path,
    trusted_types: Sequence[str] = (),
) -> CheckedModel:
    """Call a training function and check that what it returns can be published and loaded again.

    :param folder: where files may be written, as pytest's ``tmp_path``
    :param trusted_types: as configured for the operators that load the model
    :raises ContractBroken: it cannot
    """
    trained = train(context)
    if not isinstance(trained, TrainedModel):
        raise ContractBroken(f"train() returned {type(trained).__name__}: return TrainedModel(model, metrics=...)")
    for name, value in trained.metrics.items():
        _check_metric(name, value)
    _check_json("parameters", trained.parameters)
    _check_json("columns of input_schema", trained.input_schema)
    try:
        model = _through_its_file(trained.model, format, folder, trusted_types)
        holdout = (
            None if trained.holdout is None else _keep(holdout_file(trained.holdout, folder, data=context.data), folder)
        )
    except ExiaError as error:
        raise ContractBroken(f"what train() returned cannot be published: {error}") from error
    return CheckedModel(model=model, holdout=holdout)


def check_score(score: Callable[[Any, str], Any], model: Any, data: str | None) -> Scores:
    """Call a scoring function twice and check that it returns the same scores, one per row.

    :param data: path of labelled data, as the holdout of :func:`check_train`
    :raises ContractBroken: it does not
    """
    if data is None:
        raise ContractBroken(
            "there is no labelled data to score on: return TrainedModel(..., holdout=...) from train()"
        )
    first, second = score(model, data), score(model, data)
    if not isinstance(first, Scores):
        raise ContractBroken(f"score() returned {type(first).__name__}: return Scores(loss=..., block=...)")
    if first != second:
        raise ContractBroken("score() gave other scores for the same model and data: fix its random seeds")
    return first


def check_predict(predict: Callable[..., Any], model: Any, data: str) -> str:
    """Call a predicting function and check that it hands on a path or URI instead of the data itself.

    :raises ContractBroken: it does not
    """
    result = predict(model, data)
    if not isinstance(result, str | Path):
        raise ContractBroken(f"predict() returned {type(result).__name__}: write the predictions and return their path")
    if "://" not in str(result) and not Path(result).exists():
        raise ContractBroken(f"predict() returned {str(result)!r}, and nothing is there")
    return str(result)


def _through_its_file(model: Any, format_name: str, folder: Path, trusted_types: Sequence[str]) -> Any:
    chosen = format_named(format_name, allow_pickle=True)  # what is read was written here
    path = folder / f"model{chosen.suffix}"
    chosen.save(model, path)
    return chosen.load(path, trust=Trust(types=tuple(trusted_types)))


def _keep(holdout: Path, folder: Path) -> str:
    target = folder / f"holdout{holdout.suffix}"
    if target != holdout:
        shutil.copyfile(holdout, target)
    return str(target)


def _check_metric(name: str, value: Any) -> None:
    try:
        finite = math.isfinite(value)
    except TypeError:
        finite = False
    if not finite:
        raise ContractBroken(f"train() measured {name!r} as {value!r}: a metric is a finite number")


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractBroken(f"train() returned {name} that are no JSON values: {error}") from error
