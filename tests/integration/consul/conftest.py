"""A real agent, and what opens a way to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import urlsplit

import pytest

from airflow_provider_exia.consul.address import ConsulAddress
from airflow_provider_exia.consul.key_values import KeyValues
from airflow_provider_exia.consul.transport import ConsulTransport
from tests.servers.server import fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul
    from tests.servers.proxy import Proxy

OpenTransport: TypeAlias = Callable[..., ConsulTransport]


def address_of(server: Consul, **settings: object) -> ConsulAddress:
    """Return where a server is, with all rights unless told otherwise."""
    where = urlsplit(server.url)
    return ConsulAddress(**{"host": where.hostname, "port": where.port, "token": server.token, **settings})


def record(proxy: Proxy) -> list[tuple[float, bytes]]:
    """Return a list that grows with every part of a request that a proxy forwards: when, and the request so far."""
    heard: list[tuple[float, bytes]] = []

    def note(request: bytes) -> bool:
        heard.append((time.monotonic(), request))
        return False

    proxy.swallow(note)
    return heard


@pytest.fixture(scope="session")
def consul() -> Consul:
    """The session's agent, with access control."""
    return cast("Consul", shared("consul"))


@pytest.fixture
def transport(consul: Consul) -> Iterator[ConsulTransport]:
    """A way to the agent with all rights."""
    transport = ConsulTransport(address_of(consul))
    yield transport
    transport.close()


@pytest.fixture
def key_values(transport: ConsulTransport) -> KeyValues:
    """The agent's keys."""
    return KeyValues(transport)


@pytest.fixture
def prefix() -> str:
    """A prefix that nobody has used."""
    return fresh_name()
