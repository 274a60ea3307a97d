"""Services on a real agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest

from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.services.records import Service
from airflow_provider_exia.services.registry import Services
from tests.integration.consul.conftest import address_of
from tests.servers.server import fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul

Register: TypeAlias = Callable[..., Service]


@pytest.fixture(scope="session")
def consul() -> Consul:
    """The session's agent, with access control."""
    return cast("Consul", shared("consul"))


@pytest.fixture
def services(consul: Consul) -> Iterator[Services]:
    """Its services."""
    transport = ConsulTransport(address_of(consul))
    yield Services(transport)
    transport.close()


@pytest.fixture
def name() -> str:
    """A service that nobody has used."""
    return fresh_name()


@pytest.fixture
def register(services: Services, name: str) -> Iterator[Register]:
    """Register an instance, and remove it after the test."""
    made = []

    def register(**fields: Any) -> Service:
        service = Service(**{"name": name, "address": "127.0.0.1", "port": 8080, **fields})
        services.register(service)
        made.append(service.id)
        return service

    yield register
    for service_id in made:
        services.deregister(service_id)
