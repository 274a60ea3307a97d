"""An Airflow connection read by field: every extra is on a list, and one that makes no sense is refused by name."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Connection

_SWITCH = {"": False, "0": False, "false": False, "1": True, "true": True}


class Fields:
    """The fields of one connection.

    :param connection: as Airflow gives it
    :param known: the extras that are read
    :param ignored: extras that say nothing about where the stores are, and may be there for others
    :param refused: extras whose meaning is not supported here, and would be missed
    :raises InvalidInput: its extra is no JSON object, or holds something else
    """

    def __init__(
        self,
        connection: Connection,
        *,
        known: Collection[str],
        ignored: Collection[str] = (),
        refused: Collection[str] = (),
    ) -> None:
        self.connection = connection
        self.extra = _extra_of(connection)
        for name in self.extra:
            if name in known or name in ignored or self.text(name) is None:
                continue
            if name in refused:
                raise self.problem(f"{name!r} in its extra is not supported here: take it out, or name another one")
            raise self.problem(f"{name!r} in its extra is not known: expected one of {', '.join(sorted(known))}")

    def problem(self, sentence: str) -> InvalidInput:
        """Return an error that names the connection.

        :param sentence: what is wrong, and what to do
        """
        return InvalidInput(f"connection {self.connection.conn_id!r}: {sentence}")

    def text(self, name: str) -> str | None:
        """Return an extra as text; None for one that is absent or empty."""
        value = self.extra.get(name)
        if value is None or (text := str(value).strip()) == "":
            return None
        return text

    def words(self, name: str) -> tuple[str, ...]:
        """Return an extra that lists words, as a JSON list or separated by commas or white space."""
        value = self.extra.get(name)
        if isinstance(value, list):
            return tuple(str(word) for word in value)
        return tuple(str(value or "").replace(",", " ").split())

    def switch(self, name: str, *, default: bool = False) -> bool:
        """Return an extra that is true or false.

        :param default: what an absent one means
        :raises InvalidInput: it is something else
        """
        text = self.text(name)
        if text is None:
            return default
        if (switched := _SWITCH.get(text.lower())) is None:
            raise self.problem(f"{name} is {self.extra[name]!r}, expected true or false")
        return switched

    def positive(self, name: str, *, what: str) -> int | None:
        """Return an extra that is a number above zero, or None.

        :param what: the number of what, for the error message
        :raises InvalidInput: it is something else
        """
        text = self.text(name)
        if text is None:
            return None
        if not text.isdecimal() or int(text) <= 0:
            raise self.problem(f"{name} is {self.extra[name]!r}, expected {what}")
        return int(text)


def _extra_of(connection: Connection) -> dict[str, Any]:
    """Return the extra; Airflow's own reading takes one that is broken for an empty one, which means other stores."""
    try:
        readable = isinstance(json.loads(connection.extra or "{}"), dict)
    except ValueError:
        readable = False
    if not readable:
        raise InvalidInput(f"connection {connection.conn_id!r}: its extra is no JSON object: write it anew")
    return dict(connection.extra_dejson)  # this also masks what it holds in logs
