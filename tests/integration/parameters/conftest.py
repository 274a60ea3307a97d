"""Parameters on a real agent."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

import pytest

from airflow_provider_exia.consul.key_values import KeyValues
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.parameters.store import ParameterStore
from tests.integration.consul.conftest import address_of
from tests.servers.server import fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul

OpenStore: TypeAlias = Callable[..., ParameterStore]


@pytest.fixture(scope="session")
def consul() -> Consul:
    """The session's agent, with access control."""
    return cast("Consul", shared("consul"))


def open_store(consul: Consul, root: str, **settings: object) -> ParameterStore:
    """Open parameters through a connection of their own."""
    return ParameterStore(
        key_values=KeyValues(ConsulTransport(address_of(consul))),
        root=root,
        new_token=lambda: uuid.uuid4().hex,
        **settings,
    )


@pytest.fixture
def root() -> str:
    """A root that nobody has used."""
    return fresh_name()


@pytest.fixture
def store(consul: Consul, root: str) -> ParameterStore:
    """The parameters of ``dev``, which inherits from ``base``."""
    return open_store(consul, root, environment="dev", inherits=("base",))
