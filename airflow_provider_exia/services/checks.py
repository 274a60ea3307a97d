"""How Consul sees whether a service is well: it asks over HTTP, it connects, or the service reports in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from airflow_provider_exia.exceptions import InvalidInput

_HTTP = re.compile(r"https?://[^\s/?#]+\S*")
_TCP = re.compile(r"\S+:[0-9]{1,5}")
_SOONEST_DEREGISTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """Passing while a URL answers with 2xx; 429 is a warning, which does not count as passing.

    :param url: what the agent asks
    :param interval: how often
    :param timeout: for an answer
    :param deregister_after: remove the service when it was critical for so long; at least a minute; None: never
    """

    url: str
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=5)
    deregister_after: timedelta | None = None

    def __post_init__(self) -> None:
        if not _HTTP.fullmatch(self.url):
            raise InvalidInput(f"{self.url!r} is no URL to check: expected one as in 'http://10.0.0.5:8080/health'")
        _check_deregister(self.deregister_after)
        self.as_document()

    def as_document(self) -> dict[str, Any]:
        """Return it in Consul's form."""
        return {"HTTP": self.url, **_asked(self.interval, self.timeout), **_deregister(self.deregister_after)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """Passing while a port takes connections.

    :param address: host and port, as in ``10.0.0.5:8080``
    :param interval: how often
    :param timeout: for a connection
    :param deregister_after: remove the service when it was critical for so long; at least a minute; None: never
    """

    address: str
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=5)
    deregister_after: timedelta | None = None

    def __post_init__(self) -> None:
        if not _TCP.fullmatch(self.address):
            raise InvalidInput(f"{self.address!r} is no address to check: expected one as in '10.0.0.5:8080'")
        _check_deregister(self.deregister_after)
        self.as_document()

    def as_document(self) -> dict[str, Any]:
        """Return it in Consul's form."""
        return {"TCP": self.address, **_asked(self.interval, self.timeout), **_deregister(self.deregister_after)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TtlCheck:
    """Passing while the service reports more often than this; critical until the first report.

    :param ttl: the longest time between two reports
    :param deregister_after: remove the service when it was critical for so long; at least a minute; None: never
    """

    ttl: timedelta
    deregister_after: timedelta | None = None

    def __post_init__(self) -> None:
        _check_deregister(self.deregister_after)
        self.as_document()

    def as_document(self) -> dict[str, Any]:
        """Return it in Consul's form."""
        return {"TTL": consul_duration(self.ttl), **_deregister(self.deregister_after)}


Check: TypeAlias = HttpCheck | TcpCheck | TtlCheck


def consul_duration(duration: timedelta) -> str:
    """Return a duration as Consul writes it, as in ``1500ms``.

    :raises InvalidInput: it is shorter than a millisecond
    """
    milliseconds = duration // timedelta(milliseconds=1)
    if milliseconds < 1:
        raise InvalidInput(f"{duration!r} is no duration of a check: expected a millisecond or more")
    return f"{milliseconds}ms"


def _asked(interval: timedelta, timeout: timedelta) -> dict[str, str]:
    return {"Interval": consul_duration(interval), "Timeout": consul_duration(timeout)}


def _deregister(after: timedelta | None) -> dict[str, str]:
    return {} if after is None else {"DeregisterCriticalServiceAfter": consul_duration(after)}


def _check_deregister(after: timedelta | None) -> None:
    if after is not None and after < _SOONEST_DEREGISTER:
        raise InvalidInput(f"deregister_after is {after!r}: Consul removes nothing before a minute, give one or more")
