"""The pipeline spec: what one model's training, inference and monitoring are, in the author's words.

A field's description says what is expected of its value; error messages quote it.
"""

from __future__ import annotations

import keyword
import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["Data", "Defaults", "Gate", "Infer", "Monitor", "PipelineSpec", "Score", "Section", "Train"]

_PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_CRON = re.compile(r"[0-9A-Za-z*/,\-#?]+(?: [0-9A-Za-z*/,\-#?]+){4,5}")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")


def _function(text: str) -> str:
    if not _FUNCTION.fullmatch(text) or any(map(keyword.iskeyword, re.split(r"[.:]", text))):
        raise ValueError
    # A function of the standard library is no train, predict or score: 'os:system' is an attack or a slip.
    if re.split(r"[.:]", text)[0] in sys.stdlib_module_names | {"__main__"}:
        raise ValueError
    return text


def _schedule(text: str) -> str:
    if text not in _PRESETS and not _CRON.fullmatch(text):
        raise ValueError
    return text


def _start_date(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


_FUNCTION_RULE = "a function of your own package, as 'package.module:function'"
_NAME_RULE = "a lower-case letter, then at most 63 lower-case letters, digits or '_', as in 'flight_delay'"
_DURATION_RULE = "a number and a unit (w, d, h, m or s), as in '21d'"
_LIST_OF_TEXTS = "a list of texts"

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}\z")]
Function: TypeAlias = Annotated[str, AfterValidator(_function)]
Duration: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[wdhms]\z")]
Line: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,100}\z")]
"""A text of one line."""

Prefix: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*\z", max_length=200)]
Identifier: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,200}\z")]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Threshold: TypeAlias = Finite | Annotated[tuple[Finite, Finite], Field(strict=False)]
Texts: TypeAlias = Annotated[tuple[Line, ...], Field(strict=False)]
Schedule: TypeAlias = Annotated[str, AfterValidator(_schedule)]

_SCHEDULE = Field(default=None, description="a cron expression, a preset as '@weekly', or null for no schedule")


class Section(BaseModel):
    """Part of a spec: no field that is not declared, no value that has to be bent to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def given(self) -> dict[str, Any]:
        """Return the fields that the author wrote, in the order of their declaration."""
        return self.model_dump(include=self.model_fields_set)


class Data(Section):
    """Where data come from."""

    function: Function = Field(description=f"{_FUNCTION_RULE}: extract(as_of) -> path")


class Score(Section):
    """How wrong a model is."""

    function: Function = Field(description=f"{_FUNCTION_RULE}: score(model, data) -> Scores")
    metric: Line = Field(description="the name of what is measured, as 'brier'")
    direction: Literal["lower", "higher", "band"] = Field(
        default="lower", description="which side is better: 'lower', 'higher' or 'band'"
    )
    block: Line | None = Field(
        default=None, description="what a block of rows is, as 'day': the gate resamples blocks, score() returns them"
    )


class Train(Section):
    """How a version comes into being."""

    function: Function = Field(description=f"{_FUNCTION_RULE}: train(context) -> TrainedModel")
    format: Literal["skops", "safetensors", "onnx", "json", "raw", "code"] = Field(
        description="a format of model files: 'skops', 'safetensors', 'onnx', 'json', 'raw' or 'code'"
    )
    schedule: Schedule | None = _SCHEDULE
    parameters: dict[str, Any] = Field(default={}, description="settings for the training function, of JSON types")
    snapshot: Prefix | None = Field(
        default=None, description="a prefix of parameters in Consul that are fixed for each run, as 'training/churn'"
    )
    consul_connection: Identifier = Field(
        default="consul_default", description="the id of an Airflow connection of the type 'consul'"
    )


class Gate(Section):
    """When a challenger is better; the meaning and the defaults are those of ``Policy``."""

    min_gain: NotNegative = Field(default=0.0, description="0 or more, in units of the loss")
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(default=0.95, description="0.5 or more and below 1")
    draws: Annotated[int, Field(ge=100)] = Field(default=2000, description="an integer of 100 or more")
    seed: int = Field(default=0, description="an integer")
    min_blocks: Annotated[int, Field(ge=2)] = Field(default=5, description="an integer of 2 or more")
    max_slice_loss: NotNegative | None = Field(default=None, description="0 or more, in units of the loss, or null")


class Infer(Section):
    """How the champion is used."""

    function: Function = Field(description=f"{_FUNCTION_RULE}: predict(model, data) -> path")
    schedule: Schedule | None = _SCHEDULE
    parameters: dict[str, Any] = Field(default={}, description="further arguments of the function, of JSON types")


class Monitor(Section):
    """When the champion is bad and what may be done about it; meaning and defaults are those of ``Policy``.

    ``name``, ``scored``, ``shadow`` and ``retrain`` are arguments of ``watch`` instead.
    """

    enter: Threshold = Field(description="a number, or for direction 'band' two outer limits [low, high]")
    exit: Threshold | None = Field(
        default=None, description="a number on the better side of 'enter', or for 'band' two inner limits [low, high]"
    )
    breaches: Annotated[int, Field(ge=1)] = Field(default=5, description="an integer from 1 to 'window'")
    window: Annotated[int, Field(ge=1)] = Field(default=10, description="an integer of 'breaches' or more")
    min_samples: Annotated[int, Field(ge=0)] = Field(default=0, description="an integer of 0 or more")
    max_age: Duration | None = Field(default=None, description=f"{_DURATION_RULE}, or null")
    cooldown: Duration = Field(default="1d", description=_DURATION_RULE)
    bake: Duration = Field(default="1d", description=_DURATION_RULE)
    bake_margin: NotNegative | None = Field(default=None, description="0 or more, in units of the metric, or null")
    budget: Annotated[int, Field(ge=1)] = Field(default=6, description="an integer of 1 or more")
    budget_window: Duration = Field(default="30d", description=_DURATION_RULE)
    accept_within: Duration = Field(default="1h", description=_DURATION_RULE)
    finish_within: Duration = Field(default="1d", description=_DURATION_RULE)
    name: Name | None = Field(default=None, description=f"{_NAME_RULE}; one model may have several monitors")
    scored: Literal["predictions", "data"] = Field(
        default="predictions", description="what score() is given: 'predictions', what predict() returned, or 'data'"
    )
    shadow: bool = Field(default=False, description="true to decide and record but never act")
    retrain: Identifier | None = Field(default=None, description="the id of the DAG that trains, if not this spec's")

    def for_policy(self) -> dict[str, Any]:
        """Return the arguments of ``Policy`` that the author wrote."""
        own = ("name", "scored", "shadow", "retrain")
        return {name: value for name, value in self.given().items() if name not in own}


class Defaults(Section):
    """What all tasks share."""

    owner: Line | None = Field(default=None, description="a text of one line")
    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(default=None, description="an integer of 0 or more")
    retry_delay: Duration | None = Field(default=None, description=_DURATION_RULE)


class PipelineSpec(Section):
    """One model's pipeline. Its DAGs are ``<model>_train`` and ``<model>_infer``."""

    model: Name = Field(description=_NAME_RULE)
    data: Data | None = Field(default=None, description="a section")
    score: Score | None = Field(default=None, description="a section")
    train: Train | None = Field(default=None, description="a section")
    gate: Gate | None = Field(default=None, description="a section")
    infer: Infer | None = Field(default=None, description="a section")
    monitor: Monitor | None = Field(default=None, description="a section")
    alias: Name = Field(default="champion", description=f"an alias: {_NAME_RULE}")
    exia_conn_id: Identifier = Field(default="exia_default", description="the id of a connection of type 'exia'")
    trusted_types: Annotated[tuple[Identifier, ...], Field(strict=False)] = Field(
        default=(), description="a list of the full names of types that a model file may hold"
    )
    tags: Texts = Field(default=("exia",), description=_LIST_OF_TEXTS)
    defaults: Defaults = Field(default=Defaults(), description="a section")
    start_date: Annotated[str, AfterValidator(_start_date)] | None = Field(
        default=None, description="a date, as '2026-01-01', or a moment with its time zone"
    )

    @property
    def train_dag_id(self) -> str | None:
        """The id of the DAG that trains, or None."""
        return f"{self.model}_train" if self.train else None

    @property
    def infer_dag_id(self) -> str | None:
        """The id of the DAG that predicts and watches, or None."""
        return f"{self.model}_infer" if self.infer else None

    @property
    def dag_ids(self) -> list[str]:
        """The ids of all its DAGs."""
        return [dag_id for dag_id in (self.train_dag_id, self.infer_dag_id) if dag_id is not None]

    def policy(self) -> dict[str, Any]:
        """Return the arguments of ``Policy`` that the author wrote; what a gate and a monitor need."""
        if self.score is None:
            return {}
        told = {name: value for name, value in self.score.given().items() if name in ("metric", "direction")}
        monitor = self.monitor.for_policy() if self.monitor else {}
        return told | monitor | (self.gate.given() if self.gate else {})
