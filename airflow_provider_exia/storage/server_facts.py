"""What a store tells of the server behind it, and of the way there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Way(StrEnum):
    """Who could read, or answer, what goes between this machine and the server."""

    LOCAL = "on this machine"
    CHECKED = "through TLS, and its certificate is checked"
    UNCHECKED = "through TLS, and whoever answers is believed"
    PLAIN = "without TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself.

    :param product: its name and version, as in "PostgreSQL 15.14"
    :param way: to it
    :param now: its clock, aware; None where it has none of its own, or tells it elsewhere
    """

    product: str
    way: Way
    now: datetime | None = None


@runtime_checkable
class TellsOfItself(Protocol):
    """A store that can say what is behind it."""

    def server(self) -> ServerFacts:
        """Ask the server.

        :raises StoreUnavailable: it does not answer
        :raises StoreRefused: it does not let us ask
        """


def way_to(hosts: Iterable[str], *, encrypted: bool, checked: bool) -> Way:
    """Return the way to a server; one that leaves this machine nowhere needs no TLS.

    :param hosts: names or addresses, or the file of a socket; all those that may answer
    :param encrypted: TLS is in use
    :param checked: and the server's certificate is held against the authorities that are trusted, and its name
    """
    if encrypted and checked:
        return Way.CHECKED
    if all(is_this_machine(host) for host in hosts):
        return Way.LOCAL
    return Way.UNCHECKED if encrypted else Way.PLAIN


def is_this_machine(host: str) -> bool:
    """Say whether a host is this machine by its very name: nobody is asked."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
