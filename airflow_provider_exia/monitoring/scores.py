"""The one measure that every judgement of a model uses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput


@dataclass(frozen=True, slots=True)
class Scores:
    """What a user's ``score(model, data)`` returns: how wrong the model is on each row, and each row's block.

    Lists, tuples, numpy arrays and pandas columns are taken alike.

    :param loss: one finite number per row; lower is better (for a metric where higher is better: its negative)
    :param block: one value per row; rows of one block (a day, a customer) are not independent of each other, so
        blocks, not rows, are what the gate resamples
    :param slices: name of a slicing to one value per row, as in ``{"origin": [...]}``
    :raises InvalidInput: no rows, unequal lengths, or a loss that is not a finite number
    """

    loss: Sequence[float]
    block: Sequence[Any]
    slices: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loss = tuple(_number(row, value) for row, value in enumerate(_column("loss", self.loss)))
        if not loss:
            raise InvalidInput("scores have no rows: score() was given no data, or dropped all of it")
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "block", _texts("block", self.block, len(loss)))
        object.__setattr__(
            self, "slices", {name: _texts(f"slice {name!r}", values, len(loss)) for name, values in self.slices.items()}
        )

    @property
    def mean(self) -> float:
        """The mean loss of all rows."""
        return math.fsum(self.loss) / len(self.loss)


def _column(name: str, values: Any) -> Iterable[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidInput(f"scores: {name} is a {type(values).__name__}: give one value per row")
    return values


def _number(row: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"scores have a loss of {value} at row {row}: every loss must be a finite number")
    return number


def _texts(name: str, values: Any, rows: int) -> tuple[str, ...]:
    texts = tuple(str(value) for value in _column(name, values))
    if len(texts) != rows:
        raise InvalidInput(f"scores have {rows} losses but {len(texts)} values of {name}: one per row is needed")
    return texts
