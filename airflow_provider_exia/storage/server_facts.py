"""What a store tells of the server behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself.

    :param product: its name and version, as in "PostgreSQL 15.14"
    :param now: its clock, aware; None where it has none of its own
    """

    product: str
    now: datetime | None = None


@runtime_checkable
class TellsOfItself(Protocol):
    """A store that can say what is behind it."""

    def server(self) -> ServerFacts:
        """Ask the server.

        :raises StoreUnavailable: it does not answer
        :raises StoreRefused: it does not let us ask
        """
