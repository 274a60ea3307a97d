"""Services of a real Consul in DAGs: the example, and each sensor in each way of waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_exia.consul.exceptions import ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.operators.services import (
    ServiceDiscoverOperator,
    ServiceMaintenanceOperator,
    ServiceRegisterOperator,
)
from airflow_provider_exia.sensors.services import ServiceHealthSensor, ServiceModelSensor
from airflow_provider_exia.services.exceptions import NothingPasses, UnknownService
from airflow_provider_exia.services.records import Service, serving
from airflow_provider_exia.triggers.services import ServiceHealthTrigger, ServiceModelTrigger
from tests.airflow.running import run_dag
from tests.servers.proxy import Proxy
from tests.servers.server import fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.triggers.looking import LookingTrigger
    from tests.servers.consul import Consul

pytestmark = [pytest.mark.airflow, pytest.mark.servers("consul"), pytest.mark.usefixtures("metadata_database")]

EXAMPLES = Path(__file__).parents[2] / "example_dags"
POLL_SECONDS = 0.05


def connection_to(consul: Consul, *, port: int | None = None, token: str | None = None) -> str:
    where = urlsplit(consul.url)
    fields = {"host": where.hostname, "port": port or where.port, "password": token or consul.token}
    return json.dumps({"conn_type": "consul", **fields})


@pytest.fixture
def consul(monkeypatch: pytest.MonkeyPatch) -> Consul:
    """The session's agent, which the connection ``consul_default`` names."""
    server = cast("Consul", shared("consul"))
    monkeypatch.setenv("AIRFLOW_CONN_CONSUL_DEFAULT", connection_to(server))
    return server


@pytest.fixture
def hook(consul: Consul) -> ConsulServiceHook:
    """The hook of that connection."""
    del consul
    return ConsulServiceHook()


@pytest.fixture
def name(hook: ConsulServiceHook) -> Iterator[str]:
    """A service that nobody has used; an instance with its name as id is removed after the test."""
    name = fresh_name()
    yield name
    hook.deregister(name)


def publish(library: ModelLibrary, folder: Path, number: int) -> None:
    """Publish and promote one more version of ``churn``."""
    file = folder / f"{number}.json"
    file.write_text(json.dumps({"number": number}))
    library.promote(library.publish("churn", file, format="json").reference)


async def event_of(trigger: LookingTrigger) -> dict[str, Any]:
    """Return the trigger's event, after it went through Airflow's form of it and back."""
    _, arguments = json.loads(json.dumps(trigger.serialize()))
    events = type(trigger)(**arguments).run()
    try:
        return cast("dict[str, Any]", (await anext(events)).payload)
    finally:
        await events.aclose()


def test_the_example_releases_a_version_and_sees_it_served(library: ModelLibrary, hook: ConsulServiceHook) -> None:
    run = run_dag(DagBag(EXAMPLES / "example_services.py").dags["example_services"])

    assert run.state == "success"
    assert run.result("healthy") == ["example-rates"]
    assert run.result("served") == library.resolve("example_rates@champion").reference == "example_rates/1"
    assert run.result("url") == "http://127.0.0.1:8080/predict"
    assert run.result("remove") is True
    assert list(hook.passing("example-rates")) == []


def test_the_example_of_parameters_trains_with_a_snapshot_that_the_version_keeps(
    library: ModelLibrary, hook: ConsulServiceHook
) -> None:
    del hook
    run = run_dag(DagBag(EXAMPLES / "example_parameters.py").dags["example_parameters"])

    assert run.state == "success"
    assert run.result("read") == 0.19
    version = library.resolve("example_vat")
    assert library.load(version) == {"vat": 0.19, "rounded_to": 2}
    snapshot = version.lineage.snapshot
    assert snapshot is not None
    assert (snapshot["prefix"], snapshot["values"]) == ("example/rates", {"vat": 0.19, "digits": 2})


def test_enough_instances_end_the_wait_at_once(hook: ConsulServiceHook, name: str) -> None:
    hook.register(Service(name=name, meta=serving("churn/4")))

    assert ServiceHealthSensor(task_id="wait", service=name).execute({}) == [name]
    assert ServiceHealthSensor(task_id="wait", service=name, version="4", deferrable=False).execute({}) == [name]


def test_too_few_instances_are_waited_for_in_the_triggerer(hook: ConsulServiceHook, name: str) -> None:
    hook.register(Service(name=name, meta=serving("churn/4")))
    sensor = ServiceHealthSensor(task_id="wait", service=name, version="5", poke_interval=POLL_SECONDS)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})

    async def run() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(cast("LookingTrigger", deferred.value.trigger)))
        await asyncio.sleep(3 * POLL_SECONDS)
        assert not waiting.done()
        await asyncio.to_thread(hook.register, Service(name=name, meta=serving("churn/5")))
        return await waiting

    assert sensor.execute_complete({}, asyncio.run(run())) == [name]


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_that_waits_here_looks_once_at_a_time(hook: ConsulServiceHook, name: str, mode: str) -> None:
    sensor = ServiceHealthSensor(task_id="wait", service=name, deferrable=False, mode=mode)
    assert not sensor.poke({}).is_done

    hook.register(Service(name=name))

    found = sensor.poke({})
    assert (found.is_done, found.xcom_value) == (True, [name])


def test_the_champion_is_served_once_only_its_version_passes(
    library: ModelLibrary, hook: ConsulServiceHook, name: str, tmp_path: Path
) -> None:
    sensor = ServiceModelSensor(task_id="wait", service=name, model="churn", poke_interval=POLL_SECONDS)
    hook.register(Service(name=name, meta=serving("churn/1")))
    assert not sensor.poke({}).is_done  # there is no champion yet

    publish(library, tmp_path, 1)
    assert sensor.poke({}).xcom_value == "churn/1"

    publish(library, tmp_path, 2)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    hook.register(Service(name=name, meta=serving("churn/2")))
    trigger = deferred.value.trigger
    assert isinstance(trigger, ServiceModelTrigger)
    assert sensor.execute_complete({}, asyncio.run(event_of(trigger))) == "churn/2"


def test_a_consul_that_is_away_for_a_while_does_not_end_the_wait(
    consul: Consul, hook: ConsulServiceHook, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.register(Service(name=name))
    with Proxy(consul.port) as proxy:
        monkeypatch.setenv("AIRFLOW_CONN_CONSUL_AWAY", connection_to(consul, port=proxy.port))
        proxy.refuse()
        with pytest.raises(ConsulUnavailable):
            ConsulServiceHook("consul_away").passing(name)
        condition = {"service": name, "at_least": 1, "version": None}
        trigger = ServiceHealthTrigger(consul_conn_id="consul_away", condition=condition, poll_seconds=POLL_SECONDS)

        async def run() -> dict[str, Any]:
            waiting = asyncio.create_task(event_of(trigger))
            await asyncio.sleep(3 * POLL_SECONDS)
            assert not waiting.done()
            proxy.pass_all()
            return await waiting

        assert asyncio.run(run()) == {"status": "found", "found": [name]}


def test_a_wait_that_is_pointless_ends_with_the_reason(
    consul: Consul, hook: ConsulServiceHook, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.register(Service(name=name))
    token = consul.token_with('service_prefix "other" { policy = "read" }')
    monkeypatch.setenv("AIRFLOW_CONN_CONSUL_STRANGER", connection_to(consul, token=token))
    condition = {"service": name, "at_least": 1, "version": None}
    trigger = ServiceHealthTrigger(consul_conn_id="consul_stranger", condition=condition, poll_seconds=POLL_SECONDS)

    event = asyncio.run(event_of(trigger))

    with pytest.raises(ExiaError, match="the token may not read"):
        ServiceHealthSensor(task_id="wait", service=name).execute_complete({}, event)


def test_bad_input_of_an_operator_is_told_in_a_sentence(hook: ConsulServiceHook, name: str) -> None:
    del hook
    with pytest.raises(InvalidInput, match="'eighty' is no port"):
        ServiceRegisterOperator(task_id="a", name=name, port="eighty").execute({})
    with pytest.raises(InvalidInput, match="'churn' is no version to serve"):
        ServiceRegisterOperator(task_id="b", name=name, serves="churn").execute({})
    with pytest.raises(UnknownService, match="this agent has no service"):
        ServiceMaintenanceOperator(task_id="c", service_id=name, is_on=True).execute({})
    with pytest.raises(NothingPasses, match=f"no instance of '{name}' passes"):
        ServiceDiscoverOperator(task_id="d", name=name).execute({})
