"""The names that users write: models, aliases, and references to a version."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.documents import MAXIMUM_KEY_BYTES

CHAMPION = "champion"
LATEST = "latest"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RULE = "a lower-case letter, then at most 63 lower-case letters, digits or '_'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What names one version of a model: its number, an alias, or ``latest``.

    :param model: the model's name
    :param number: the version's number, or None
    :param alias: the alias (or ``latest``) when no number is given
    """

    model: str
    number: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.model}/{self.number}" if self.number is not None else f"{self.model}@{self.alias}"


def check_model_name(name: str) -> str:
    """Return ``name`` if it can name a model.

    :raises InvalidInput: it cannot
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no model name: expected {_RULE}, as in 'flight_delay'")
    return name


def check_alias(alias: str) -> str:
    """Return ``alias`` if it can be moved.

    :raises InvalidInput: it cannot
    """
    if alias == LATEST:
        raise InvalidInput(f"{LATEST!r} is no alias: it always means the newest version and cannot be moved")
    if not isinstance(alias, str) or not _NAME.fullmatch(alias):
        raise InvalidInput(f"{alias!r} is no alias: expected {_RULE}, as in 'champion'")
    return alias


def check_tag_name(name: str) -> str:
    """Return ``name`` if it can name a tag.

    :raises InvalidInput: it cannot
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a tag: expected {_RULE}, as in 'data_set'")
    return name


def check_key_text(text: str, *, what: str) -> str:
    """Return ``text`` if every store can look for it: it names a piece of work, a run or an operation.

    :param what: what it names, for the error
    :raises InvalidInput: it cannot be looked for
    """
    try:
        size = len(text.encode()) if isinstance(text, str) else None
    except UnicodeEncodeError:  # half of a surrogate pair
        size = None
    if size is None or size > MAXIMUM_KEY_BYTES:
        shown = repr(text)
        raise InvalidInput(
            f"{what} {shown if len(shown) <= 80 else shown[:80] + '...'}: expected a text of at most "
            f"{MAXIMUM_KEY_BYTES} bytes as UTF-8"
        )
    return text


def parse_reference(text: str) -> Reference:
    """Read ``name/3``, ``name@alias``, ``name@latest`` or ``name`` (which means ``name@champion``).

    :raises InvalidInput: it is none of these
    """
    if not isinstance(text, str):
        raise InvalidInput(f"{text!r} is no reference: expected a text, as in 'flight_delay@champion'")
    model, at, alias = text.partition("@")
    if at:
        return Reference(model=check_model_name(model), alias=alias if alias == LATEST else check_alias(alias))
    model, slash, number = text.partition("/")
    check_model_name(model)
    if not slash:
        return Reference(model=model, alias=CHAMPION)
    if not re.fullmatch(r"[1-9][0-9]{0,17}", number):
        raise InvalidInput(f"{text!r} is no reference: after '/' comes a version number, as in '{model}/3'")
    return Reference(model=model, number=int(number))
