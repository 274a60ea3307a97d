"""What counts as better: the part of a policy that the gate reads."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_exia.exceptions import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a challenger may become champion; a literal in the DAG.

    :param metric: the name of what ``score`` measures, for records and messages
    :param min_gain: how much lower the challenger's mean loss must be, in units of the loss
    :param confidence: of the one-sided interval of the gain, whose lower end must be above zero
    :param draws: how often blocks are resampled for it
    :param seed: of the resampling: the same scores give the same decision
    :param min_blocks: with fewer blocks an interval says nothing, and the challenger is refused
    :param max_slice_loss: how much worse the challenger may be on any value of a slice; None: slices do not count
    :raises InvalidInput: a value is out of range
    """

    metric: str
    min_gain: float = 0.0
    confidence: float = 0.95
    draws: int = 2000
    seed: int = 0
    min_blocks: int = 5
    max_slice_loss: float | None = None

    def __post_init__(self) -> None:
        _check(bool(self.metric), f"metric {self.metric!r}: expected a name, as in 'brier'")
        _check(self.min_gain >= 0, f"min_gain {self.min_gain!r}: expected 0 or more, in units of the loss")
        _check(0.5 <= self.confidence < 1, f"confidence {self.confidence!r}: expected 0.5 or more and below 1")
        _check(self.draws >= 100, f"draws {self.draws!r}: expected 100 or more")
        _check(self.min_blocks >= 2, f"min_blocks {self.min_blocks!r}: expected 2 or more")
        limit = self.max_slice_loss
        _check(limit is None or limit >= 0, f"max_slice_loss {limit!r}: expected 0 or more, in units of the loss")


def _check(condition: bool, problem: str) -> None:
    if not condition:
        raise InvalidInput(f"policy: {problem}")
