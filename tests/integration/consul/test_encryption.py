"""A connection to an agent that speaks TLS, certified by a company's own authority, and wants a certificate itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from airflow.sdk import Connection

from airflow_provider_exia.consul.exceptions import ConsulRefused, ConsulUnavailable
from airflow_provider_exia.consul.key_values import KeyValues, Operation
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.consul import address_of
from tests.servers.encrypted import EncryptedConsul
from tests.servers.session import private

pytestmark = pytest.mark.servers("consul")


@pytest.fixture(scope="module")
def agent() -> Iterator[EncryptedConsul]:
    """An agent of this module's own."""
    with private("consul", EncryptedConsul) as server:
        assert isinstance(server, EncryptedConsul)
        yield server


def keys_of(agent: EncryptedConsul, **certificates: Path) -> KeyValues:
    """Return the agent's keys, through a connection with these files in its extra."""
    place = urlsplit(agent.url)
    extra = json.dumps({"secure": True, **{name: str(path) for name, path in certificates.items()}})
    where = {"host": place.hostname, "port": place.port, "password": agent.token}
    return KeyValues(ConsulTransport(address_of(Connection(conn_id="tls", conn_type="consul", extra=extra, **where))))


def test_values_are_kept_through_tls(agent: EncryptedConsul) -> None:
    keys = keys_of(agent, ca_file=agent.certificates.authority, certificate_file=agent.certificates.client)

    keys.transact([Operation(verb="cas", key="rates/limit", value=b"15")])

    found = keys.get("rates/limit")
    assert found is not None
    assert found.value == b"15"


@pytest.mark.parametrize("trusted", ["a stranger", "nobody"])
def test_an_agent_that_nobody_vouches_for_is_told_nothing(agent: EncryptedConsul, tmp_path: Path, trusted: str) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    authority = {"ca_file": tmp_path / "stranger.pem"} if trusted == "a stranger" else {}

    with pytest.raises(ConsulRefused, match="no secure connection: .*certificate verify failed") as refused:
        keys_of(agent, certificate_file=agent.certificates.client, **authority).get("rates/limit")

    assert agent.token not in str(refused.value)


def test_without_a_certificate_of_its_own_it_is_not_let_in(agent: EncryptedConsul) -> None:
    with pytest.raises(ConsulUnavailable, match="(?i)certificate.required"):
        keys_of(agent, ca_file=agent.certificates.authority).get("rates/limit")


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_a_file_that_is_not_there_is_named(agent: EncryptedConsul, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"there is no file /absent\.pem here"):
        keys_of(agent, **{name: Path("/absent.pem")}).get("rates/limit")
