"""What is kept of a parameter: its present value, and one revision for each change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.codec import STRICT, Moment

FOREIGN = "another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One change of a parameter; kept beside the value, and written in the same transaction.

    :param number: 1, 2, 3, ... of one parameter in one environment
    :param value: the value after it; None for a deletion, and for a foreign value that is not JSON
    :param raw: base64 of a foreign value that is not JSON
    :param is_deletion: whether the parameter was deleted
    :param at: when; never earlier than the revision before
    :param by: who
    :param reason: why, in words
    :param token: names the write, so that a repetition finds its own
    """

    number: int
    value: JsonValue = None
    raw: str | None = None
    is_deletion: bool = False
    at: Moment
    by: str
    reason: str = ""
    token: str

    __pydantic_config__ = STRICT

    @property
    def is_foreign(self) -> bool:
        """Whether another program wrote it."""
        return self.by == FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter as it is now.

    :param name: segments joined by ``/``
    :param environment: in which it was found
    :param value: JSON value
    :param revision: number of the newest revision; 0 when another program wrote the value
    :param index: Consul's, which grows with every change: what ``expected`` takes; 0 after a write whose reply was lost
        and which somebody overwrote
    """

    name: str
    environment: str
    value: Any
    revision: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Where two values differ.

    :param path: in the value, as in ``layers.0.size``; empty for the whole
    :param before: what was there; None also for nothing
    :param after: what is there
    """

    path: str
    before: Any
    after: Any


def to_bytes(name: str, value: Any) -> bytes:
    """Return the one spelling of a JSON value, as it is stored.

    :raises InvalidInput: it is no JSON value
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: {value!r} is no JSON value ({error}); nothing was written") from error


def later_of(moment: datetime, earlier: Revision | None) -> datetime:
    """Return ``moment``, or that of the revision before where the clock went back."""
    return moment if earlier is None else max(moment, earlier.at)


def differences(before: Any, after: Any, path: str = "") -> list[Change]:
    """Return where two JSON values differ, in the order of their paths."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        return [
            change
            for name in names
            for change in differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        ]
    same = type(before) is type(after) and before == after
    return [] if same else [Change(path=path, before=before, after=after)]
