"""Durations as authors write them: ``21d``, ``12h``, ``30m``."""

from __future__ import annotations

import re
from datetime import timedelta

from airflow_provider_exia.exceptions import InvalidInput

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def to_duration(value: str | timedelta, *, name: str = "duration") -> timedelta:
    """Return a duration, written as a number with one of the units w, d, h, m, s.

    :param name: of the setting, for the error message
    :raises InvalidInput: it cannot be read or is negative
    """
    if isinstance(value, timedelta):
        duration = value
    else:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([wdhms])", str(value).strip())
        if match is None:
            raise InvalidInput(f"{name} {value!r}: expected a number and a unit (w, d, h, m or s), as in '21d'")
        duration = timedelta(**{_UNITS[match[2]]: float(match[1])})
    if duration < timedelta(0):
        raise InvalidInput(f"{name} {value!r}: expected no negative duration")
    return duration


def in_words(duration: timedelta) -> str:
    """Return a duration in the largest unit that divides it, as in ``21d``."""
    seconds = duration.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
