"""Where a Consul agent is, and how it is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from airflow_provider_exia.exceptions import InvalidInput

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?")
_LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulAddress:
    """A Consul agent and how to ask it; what is given here wins over every ``CONSUL_*`` variable.

    :param host: name or number
    :param port: of the HTTP interface
    :param scheme: ``http`` or ``https``
    :param token: sent in the header ``X-Consul-Token``, and nowhere else
    :param datacenter: default: the agent's own
    :param namespace: of Consul Enterprise
    :param partition: of Consul Enterprise
    :param ca_file: certificates to trust instead of the system's
    :param certificate_file: the client's own certificate, with its key
    :param consistency: of reads; ``consistent`` costs a round trip among the servers, ``stale`` may be old
    :param connect_timeout: for making a connection
    :param read_timeout: for an answer; a blocking query may take its wait beyond it
    """

    host: str = "127.0.0.1"
    port: int = 8500
    scheme: Literal["http", "https"] = "http"
    token: str | None = field(default=None, repr=False)
    datacenter: str | None = None
    namespace: str | None = None
    partition: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    consistency: Literal["default", "consistent", "stale"] = "default"
    connect_timeout: timedelta = timedelta(seconds=3)
    read_timeout: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise InvalidInput(f"{self.host!r} is no host of a Consul agent: expected a name or number without scheme")
        if not 0 < self.port <= _LARGEST_PORT:
            raise InvalidInput(f"{self.port} is no port of a Consul agent: expected 1 to {_LARGEST_PORT}")
        if self.scheme not in ("http", "https"):
            raise InvalidInput(f"{self.scheme!r} is no scheme of a Consul agent: expected http or https")
        if self.consistency not in ("default", "consistent", "stale"):
            raise InvalidInput(f"consistency {self.consistency!r}: expected default, consistent or stale")
        if self.token is not None and not self.token.isprintable():
            raise InvalidInput("the token of the Consul agent holds characters that no header can: copy it again")

    @property
    def name(self) -> str:
        """The address, as errors name it."""
        return f"{self.scheme}://{self.host}:{self.port}"
