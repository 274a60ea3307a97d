"""What a training function is given and what it returns: plain values that know no Airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingContext:
    """What a training function may know.

    :param model: name of the model to train
    :param as_of: event time, aware: only data before it may be used
    :param data: path or URI of the training data, as the DAG hands it on; None when the function finds its own
    :param parameters: settings for this run
    :param episode: number of the monitor's episode that asked for this training, or None
    :param champion: reference of the present champion, as in ``flight_delay/3``, or None
    """

    model: str
    as_of: datetime
    data: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    episode: int | None = None
    champion: str | None = None


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a training function returns.

    :param model: the fitted object, of a kind that the chosen format can write
    :param metrics: name to finite number, kept with the version
    :param holdout: what champion and challenger are judged on: a path, or a data frame (kept as parquet)
    :param parameters: settings to keep in the version's lineage; default: those of the context
    :param training_blocks: the blocks (days, customers) trained on; the gate refuses a holdout that holds one of them
    :param input_schema: column name to type of what the model expects
    """

    model: Any
    metrics: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    holdout: Any = field(default=None, kw_only=True)
    parameters: Mapping[str, Any] | None = field(default=None, kw_only=True)
    training_blocks: Sequence[str] | None = field(default=None, kw_only=True)
    input_schema: Mapping[str, str] | None = field(default=None, kw_only=True)
