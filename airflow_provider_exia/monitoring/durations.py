"""Durations as authors write them: ``21d``, ``12h``, ``30m``."""

from __future__ import annotations

import re
from datetime import timedelta

from airflow_provider_exia.exceptions import InvalidInput

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_LONGEST = timedelta(days=36525)


def to_duration(value: str | timedelta, *, name: str = "duration") -> timedelta:
    """Return a duration, written as a number with one of the units w, d, h, m, s.

    :param name: of the setting, for the error message
    :raises InvalidInput: it cannot be read, is negative, or is so long that no calendar holds it
    """
    if isinstance(value, timedelta):
        duration = value
    else:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([wdhms])", str(value).strip())
        if match is None:
            raise InvalidInput(f"{name} {value!r}: expected a number and a unit (w, d, h, m or s), as in '21d'")
        seconds = float(match[1]) * _UNITS[match[2]].total_seconds()
        duration = timedelta(seconds=min(seconds, 2 * _LONGEST.total_seconds()))
    if duration < timedelta(0):
        raise InvalidInput(f"{name} {value!r}: expected no negative duration")
    if duration > _LONGEST:
        raise InvalidInput(f"{name} {value!r}: expected at most {in_words(_LONGEST)}, a hundred years")
    return duration


def in_words(duration: timedelta) -> str:
    """Return a duration in the largest unit that divides it, as in ``21d``."""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(duration, _UNITS[unit])
        if count and not rest:
            return f"{count}{unit}"
    return f"{duration / _UNITS['s']:.6f}".rstrip("0").rstrip(".") + "s"
