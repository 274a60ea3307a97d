"""What counts as bad, for how long, how often we may act, and what counts as better: one literal in the DAG."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.durations import in_words, to_duration

Direction: TypeAlias = Literal["lower", "higher", "band"]
Threshold: TypeAlias = float | tuple[float, float]

_DURATIONS = ("cooldown", "bake", "max_age", "budget_window", "accept_within", "finish_within")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a model is bad, what we may do about it, and when a challenger may become champion.

    A point is bad at or beyond ``enter``, good at or on the better side of ``exit``, and neither in between.
    Everything but ``accept_within`` and ``finish_within`` is measured in event time. Durations are texts as ``"21d"``.

    :param metric: the name of what is measured
    :param direction: which side is better: ``lower``, ``higher``, or inside a ``band``
    :param enter: where bad begins; for a band its two outer limits; None: this policy is for a gate only
    :param exit: where good begins; for a band its two inner limits; default: ``enter``
    :param breaches: how many points of the window must be bad
    :param window: how many points are looked at
    :param min_samples: a point of fewer labelled samples is no evidence yet
    :param max_age: without a point younger than this the monitor is blind; None: it never is
    :param cooldown: least time between two episodes; doubled after each further refusal or failure in a row
    :param bake: how long a promotion is watched beside the champion before it
    :param bake_margin: how much worse than its predecessor a promoted version may be; default: ``min_gain``
    :param budget: how many episodes may be opened within ``budget_window``; then the monitor halts for a person
    :param budget_window: the time that ``budget`` is about
    :param accept_within: wall time in which a triggered training run must begin to train
    :param finish_within: wall time in which it must end
    :param min_gain: how much lower the challenger's mean loss must be, in units of the loss
    :param confidence: of the one-sided interval of the gain, whose lower end must be above zero
    :param draws: how often blocks are resampled for it
    :param seed: of the resampling: the same scores give the same decision
    :param min_blocks: with fewer blocks an interval says nothing, and the challenger is refused
    :param max_slice_loss: how much worse the challenger may be on any value of a slice; None: slices do not count
    :raises InvalidInput: a value is out of range
    """

    metric: str
    direction: Direction = "lower"
    enter: Threshold | None = None
    exit: Threshold | None = None
    breaches: int = 5
    window: int = 10
    min_samples: int = 0
    max_age: str | timedelta | None = None
    cooldown: str | timedelta = "1d"
    bake: str | timedelta = "1d"
    bake_margin: float | None = None
    budget: int = 6
    budget_window: str | timedelta = "30d"
    accept_within: str | timedelta = "1h"
    finish_within: str | timedelta = "1d"
    min_gain: float = 0.0
    confidence: float = 0.95
    draws: int = 2000
    seed: int = 0
    min_blocks: int = 5
    max_slice_loss: float | None = None

    def __post_init__(self) -> None:
        _check(
            isinstance(self.metric, str) and self.metric != "",
            f"metric {self.metric!r}: expected a name, as in 'brier'",
        )
        _check(
            self.direction in ("lower", "higher", "band"),
            f"direction {self.direction!r}: expected 'lower', 'higher' or 'band'",
        )
        for name in _DURATIONS:
            value = getattr(self, name)
            if value is not None or name != "max_age":
                object.__setattr__(self, name, in_words(to_duration(value, name=f"policy: {name}")))
        for name in ("enter", "exit"):
            object.__setattr__(self, name, _threshold(name, getattr(self, name)))
        self._check_thresholds()
        self._check_evidence()
        self._check_gate()

    def require_thresholds(self) -> None:
        """Refuse a policy that is for a gate only.

        :raises InvalidInput: it does not say where bad begins
        """
        _check(self.enter is not None, "'enter' is missing: a monitor needs to know where bad begins")

    def duration(self, name: str) -> timedelta:
        """Return one of the durations as such.

        :param name: of the setting, as in ``"cooldown"``
        """
        return to_duration(getattr(self, name), name=name)

    def is_bad(self, value: float) -> bool:
        """Say whether a value lies at or beyond ``enter``."""
        if isinstance(self.enter, tuple):
            return value <= self.enter[0] or value >= self.enter[1]
        return self.badness(value) >= self.badness(_number(self.enter))

    def is_good(self, value: float) -> bool:
        """Say whether a value lies at or on the better side of ``exit``, and is not bad."""
        limit = self.enter if self.exit is None else self.exit
        if isinstance(limit, tuple):
            return limit[0] <= value <= limit[1] and not self.is_bad(value)
        return self.badness(value) <= self.badness(_number(limit)) and not self.is_bad(value)

    def badness(self, value: float) -> float:
        """Return a number that grows as a value gets worse, in units of the metric."""
        if isinstance(self.enter, tuple):
            return abs(value - (self.enter[0] + self.enter[1]) / 2)
        return -value if self.direction == "higher" else value

    def as_document(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in fields(self)
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the settings: what the journal keeps with every decision."""
        return hashlib.sha256(json.dumps(self.as_document(), sort_keys=True).encode()).hexdigest()

    def _check_thresholds(self) -> None:
        if self.enter is None:
            _check(self.exit is None, f"exit {self.exit!r}: give 'enter' too")
            return
        leave = self.enter if self.exit is None else self.exit
        if self.direction == "band":
            _check(
                isinstance(self.enter, tuple) and isinstance(leave, tuple) and _is_nested(self.enter, leave),
                f"enter {self.enter!r}, exit {leave!r}: a band needs two limits each, the exit's inside the enter's",
            )
            return
        _check(
            not isinstance(self.enter, tuple) and not isinstance(leave, tuple),
            f"enter {self.enter!r}, exit {leave!r}: two limits are for direction 'band'",
        )
        better = "below" if self.direction == "lower" else "above"
        _check(
            self.badness(_number(leave)) <= self.badness(_number(self.enter)),
            f"exit {leave!r}: expected at or {better} enter {self.enter!r}, since {self.direction} is better",
        )

    def _check_evidence(self) -> None:
        _check(
            _is_whole(self.breaches) and _is_whole(self.window) and 1 <= self.breaches <= self.window,
            f"breaches {self.breaches!r} of window {self.window!r}: expected at least 1 breach and a window that holds "
            "them",
        )
        _check(_is_whole(self.min_samples, 0), f"min_samples {self.min_samples!r}: expected a whole number, 0 or more")
        _check(_is_whole(self.budget, 1), f"budget {self.budget!r}: expected a whole number, 1 or more")
        margin = self.bake_margin
        _check(
            margin is None or _is_amount(margin),
            f"bake_margin {margin!r}: expected 0 or more, in units of the metric",
        )

    def _check_gate(self) -> None:
        _check(_is_amount(self.min_gain), f"min_gain {self.min_gain!r}: expected 0 or more, in units of the loss")
        _check(
            _is_amount(self.confidence) and 0.5 <= self.confidence < 1,
            f"confidence {self.confidence!r}: expected 0.5 or more and below 1",
        )
        _check(_is_whole(self.draws, 100), f"draws {self.draws!r}: expected a whole number, 100 or more")
        _check(_is_whole(self.seed), f"seed {self.seed!r}: expected a whole number")
        _check(_is_whole(self.min_blocks, 2), f"min_blocks {self.min_blocks!r}: expected a whole number, 2 or more")
        limit = self.max_slice_loss
        _check(
            limit is None or _is_amount(limit), f"max_slice_loss {limit!r}: expected 0 or more, in units of the loss"
        )


def check_monitor_name(name: str) -> str:
    """Return ``name`` if it can name a monitor.

    :raises InvalidInput: it cannot
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise InvalidInput(
            f"{name!r} is no monitor name: expected a lower-case letter, then at most 63 lower-case letters, digits "
            "or '_'; give watch(..., monitor=...) where the metric's name is another"
        )
    return name


def policy_of_2020(metric: str = "index") -> Policy:
    """Return the rule of the 2020 toolkit: one reading of 0.6 or more asks for a new model."""
    return Policy(
        metric=metric, direction="lower", enter=0.6, exit=0.6, breaches=1, window=1, cooldown="0s", budget=1000
    )


def _threshold(name: str, value: Any) -> Threshold | None:
    """Return a threshold as one number, or as two for a band; a list of two, as in YAML, will do."""
    limits = tuple(value) if isinstance(value, list | tuple) else (value,)
    if value is None:
        return None
    _check(
        all(_is_number(limit) for limit in limits) and (len(limits) == 2 or limits == (value,)),
        f"{name} {value!r}: expected a number, or two of them for direction 'band'",
    )
    return (float(limits[0]), float(limits[1])) if len(limits) == 2 else float(limits[0])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value >= 0


def _is_whole(value: object, least: int | None = None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)


def _is_nested(outer: tuple[float, float], inner: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] <= inner[1] <= outer[1]


def _number(threshold: Threshold | None) -> float:
    if threshold is None or isinstance(threshold, tuple):
        raise InvalidInput("policy: 'enter' is missing: a monitor needs to know where bad begins")
    return threshold


def _check(condition: bool, problem: str) -> None:
    if not condition:
        raise InvalidInput(f"policy: {problem}")
