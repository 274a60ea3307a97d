"""What is put between a Consul client and the wire: token in the header, time-outs, no variables, few connections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from requests.adapters import HTTPAdapter

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

    from airflow_provider_exia.consul.address import ConsulAddress

_WAIT = re.compile(r"(\d+)ms")
_JITTER = 1 / 16
"""By so much of its wait an agent may answer a blocking query later (Consul's documentation of blocking queries)."""


def guard_session(session: Session, address: ConsulAddress, *, connections: int) -> None:
    """Let a client's session speak to one agent in this package's way.

    :param connections: how many may be open at once
    """
    session.trust_env = False  # no proxy and no .netrc between a token and its agent
    session.headers.update(_headers(address))
    adapter = _GuardingAdapter(address, pool_connections=1, pool_maxsize=connections, pool_block=True)
    session.mount("http://", adapter)
    session.mount("https://", adapter)


class _GuardingAdapter(HTTPAdapter):
    """Sends requests, each with this package's time-outs, and none with a token in its URL."""

    def __init__(self, address: ConsulAddress, **pool: Any) -> None:
        self._connect_seconds = address.connect_timeout.total_seconds()
        self._read_seconds = address.read_timeout.total_seconds()
        super().__init__(**pool)

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # type: ignore[override] # all settings pass through
        """Send one request; a time-out of the client's own does not count."""
        query = parse_qs(urlsplit(request.url or "").query)
        if "token" in query:
            raise InvalidInput("a token in a URL ends up in logs: it belongs in the connection's password")
        held = _WAIT.fullmatch(query.get("wait", [""])[0])
        held_seconds = int(held[1]) / 1000 * (1 + _JITTER) if held else 0.0
        settings["timeout"] = (self._connect_seconds, self._read_seconds + held_seconds)
        return super().send(request, **settings)


def _headers(address: ConsulAddress) -> dict[str, str]:
    named = {
        "X-Consul-Token": address.token,
        "X-Consul-Namespace": address.namespace,
        "X-Consul-Partition": address.partition,
    }
    return {name: value for name, value in named.items() if value}
