"""Services on a real agent: checks, maintenance, discovery, and rights."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.consul.exceptions import ConsulRefused
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.services.checks import Check, HttpCheck, TcpCheck, TtlCheck
from airflow_provider_exia.services.conditions import HealthCondition, ServingCondition
from airflow_provider_exia.services.exceptions import NothingPasses, UnknownService
from airflow_provider_exia.services.records import serving
from airflow_provider_exia.services.registry import Services
from tests.integration.consul.conftest import address_of
from tests.integration.consul.stub import Reply, stub

if TYPE_CHECKING:
    from tests.integration.services.conftest import Register
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

SOON = timedelta(seconds=1)
PATIENCE_SECONDS = 15.0


def until(is_so: Callable[[], object]) -> None:
    """Look again and again, as a sensor does."""
    deadline, never = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline
        never.wait(0.05)


def ids(services: Services, name: str, **asked: str) -> list[str]:
    return [item.service_id for item in services.passing(name, **asked)]


def test_what_is_registered_is_found_with_all_its_fields(services: Services, register: Register, name: str) -> None:
    register(service_id=f"{name}-1", tags=["blue"], meta=serving("churn/4"))

    (found,) = services.passing(name)

    assert (found.service_id, found.address, found.port) == (f"{name}-1", "127.0.0.1", 8080)
    assert (found.tags, found.meta, found.reference) == (("blue",), {"model": "churn", "version": "4"}, "churn/4")


def test_a_repetition_replaces_what_was_registered(services: Services, register: Register, name: str) -> None:
    register(meta=serving("churn/4"), checks=[TtlCheck(ttl=SOON)])
    register(meta=serving("churn/5"))
    register(meta=serving("churn/5"))

    assert [item.reference for item in services.passing(name)] == ["churn/5"]


def test_a_service_without_an_address_is_where_its_node_is(services: Services, register: Register, name: str) -> None:
    register(address="")

    assert services.passing(name)[0].address == "127.0.0.1"


def test_what_was_removed_is_gone_and_a_repetition_says_so(services: Services, register: Register, name: str) -> None:
    register()

    assert services.deregister(name) is True
    assert services.deregister(name) is False
    assert ids(services, name) == []


def test_a_service_with_a_ttl_passes_from_its_first_report_until_it_is_silent(
    services: Services, register: Register, name: str
) -> None:
    register(checks=[TtlCheck(ttl=SOON)])
    assert ids(services, name) == []

    services.report(name, note="loaded churn/4")
    assert ids(services, name) == [name]

    until(lambda: not ids(services, name))


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_service_passes_while_its_port_answers(services: Services, register: Register, name: str, kind: str) -> None:
    with stub(lambda _number, path: Reply({}, 200 if path == "/health" else 500)) as server:
        checks: dict[str, Check] = {
            "http": HttpCheck(url=f"http://127.0.0.1:{server.port}/health", interval=SOON, timeout=SOON),
            "tcp": TcpCheck(address=f"127.0.0.1:{server.port}", interval=SOON, timeout=SOON),
        }
        register(port=server.port, checks=[checks[kind]])
        until(lambda: ids(services, name) == [name])

    until(lambda: ids(services, name) == [])


def test_a_check_that_fails_hides_the_service(
    consul: Consul, services: Services, register: Register, name: str
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening
        port = nobody.getsockname()[1]
        register(service_id=f"{name}-down", port=port, checks=[TcpCheck(address=f"127.0.0.1:{port}", interval=SOON)])
        register(service_id=f"{name}-up")

        assert ids(services, name) == [f"{name}-up"]
        check = consul.request("GET", "agent/checks").json()[f"service:{name}-down:1"]

    assert (check["Type"], check["Interval"], check["Timeout"]) == ("tcp", "1s", "5s")


def test_maintenance_takes_an_instance_out_and_back_in(services: Services, register: Register, name: str) -> None:
    register()

    services.maintain(name, is_on=True, reason="a new model & more")
    services.maintain(name, is_on=True)
    assert ids(services, name) == []

    services.maintain(name, is_on=False)
    assert ids(services, name) == [name]


def test_an_instance_that_is_not_there_is_named(services: Services, name: str) -> None:
    for act in (lambda: services.maintain(name, is_on=True), lambda: services.report(name)):
        with pytest.raises(UnknownService, match=name):
            act()


def test_instances_are_chosen_by_version_and_tag(services: Services, register: Register, name: str) -> None:
    register(service_id="a", meta=serving("churn/4"), tags=["blue"])
    register(service_id="b", meta=serving("churn/5"), tags=["blue"])
    register(service_id="c", meta=serving("churn/5"))

    assert ids(services, name, version="5") == ["b", "c"]
    assert ids(services, name, tag="blue") == ["a", "b"]
    assert ids(services, name, version="5", tag="blue") == ["b"]
    assert ids(services, name, version="6") == []


def test_the_url_of_a_passing_instance_is_discovered(services: Services, register: Register, name: str) -> None:
    register(service_id="a", port=8081, meta=serving("churn/4"))
    register(service_id="b", port=0, address="fd00::5", meta=serving("churn/5"))
    register(service_id="c", port=8083, meta=serving("churn/6"), checks=[TtlCheck(ttl=SOON)])

    assert services.discover(name, version="4", path="/predict") == "http://127.0.0.1:8081/predict"
    assert services.discover(name, version="5", path="predict?x=1", scheme="https") == "https://[fd00::5]/predict?x=1"
    assert {services.discover(name) for _ in range(60)} == {"http://127.0.0.1:8081", "http://[fd00::5]"}
    with pytest.raises(NothingPasses, match=f"no instance of '{name}' of version 6 passes"):
        services.discover(name, version="6")


def test_enough_instances_are_enough(services: Services, register: Register, name: str) -> None:
    register(service_id="a", meta=serving("churn/4"))
    register(service_id="b", meta=serving("churn/5"))

    assert HealthCondition(service=name, at_least=2).met_by(services) == ["a", "b"]
    assert HealthCondition(service=name, at_least=3).met_by(services) is None
    assert HealthCondition(service=name, version="5").met_by(services) == ["b"]
    assert HealthCondition(service=name, at_least=2, version="5").met_by(services) is None


def test_a_version_is_served_when_enough_pass_with_it_and_none_with_another(
    services: Services, register: Register, name: str
) -> None:
    condition = ServingCondition(service=name, at_least=2)
    register(service_id="a", meta=serving("churn/5"))
    assert not condition.met_by(services, "churn/5")

    register(service_id="b", meta=serving("churn/4"))
    assert not condition.met_by(services, "churn/5")

    register(service_id="b", meta=serving("churn/5"))
    assert condition.met_by(services, "churn/5")
    assert not condition.met_by(services, "sales/5")

    register(service_id="c")
    assert not condition.met_by(services, "churn/5")


def test_who_may_not_read_a_service_is_told_so_and_not_that_nothing_passes(
    consul: Consul, register: Register, name: str
) -> None:
    register(checks=[TtlCheck(ttl=SOON)])
    for token in (None, consul.token_with('service_prefix "other" { policy = "write" }')):
        stranger = Services(ConsulTransport(address_of(consul, token=token)))
        with pytest.raises(ConsulRefused):
            stranger.passing(name)
        for act in (stranger.deregister, stranger.report, lambda it, s=stranger: s.maintain(it, is_on=True)):
            with pytest.raises(ConsulRefused, match="Permission denied"):
                act(name)
