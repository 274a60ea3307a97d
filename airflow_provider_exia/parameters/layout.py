"""Where parameters lie in Consul: the value under a key that people and other programs can read, its history beside."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_exia.consul.keys import check_key
from airflow_provider_exia.exceptions import InvalidInput

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The keys of one environment.

    :param root: first segments of all keys
    :param environment: as in ``prod``
    """

    root: str
    environment: str

    def __post_init__(self) -> None:
        check_key(self.root)
        if not _ENVIRONMENT.fullmatch(self.environment):
            raise InvalidInput(f"{self.environment!r} is no name of an environment: expected one as in 'prod'")

    @property
    def values(self) -> str:
        """Prefix of all values."""
        return f"{self.root}/values/{self.environment}/"

    def value(self, name: str) -> str:
        """Return the key of a parameter's value."""
        return f"{self.values}{check_key(name)}"

    def history(self, name: str) -> str:
        """Return the prefix of a parameter's revisions."""
        return f"{self.root}/history/{self.environment}/{check_key(name)}/"

    def revision(self, name: str, number: int) -> str:
        """Return the key of one revision; the order of keys is the order of numbers."""
        return f"{self.history(name)}{number:0{_DIGITS}d}"

    def number_of(self, name: str, key: str) -> int | None:
        """Return the number of the revision under a key, or None where it is of a parameter further down."""
        rest = key.removeprefix(self.history(name))
        return int(rest) if len(rest) == _DIGITS and rest.isdecimal() else None
