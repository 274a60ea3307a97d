"""Consul in a real Airflow: variables and connections out of it, a sensor in each way, a DAG started by a change."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from textwrap import dedent
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest

from airflow_provider_exia.consul.address import ConsulAddress
from airflow_provider_exia.consul.key_values import KeyValues
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.parameters.store import ParameterStore
from tests.airflow.loops import wait_until
from tests.servers.server import fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.servers("consul")]

DAGS = """
    from airflow.sdk import Asset, AssetWatcher, BaseHook, Variable, dag, task

    from airflow_provider_exia.sensors.parameters import ParameterChangeSensor
    from airflow_provider_exia.triggers.parameters import ParameterChangeEventTrigger

    # A sensor that is due again before the scheduler saw its last look end is taken by Airflow for one that was killed.
    WAYS = {
        "poke": {"deferrable": False, "mode": "poke", "poke_interval": 0.5},
        "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": 5},
        "deferred": {"deferrable": True, "poke_interval": 0.5},
    }
    CHANGED = Asset(
        "net_settings", watchers=[AssetWatcher(name="consul", trigger=ParameterChangeEventTrigger(name="net"))]
    )


    @dag(schedule=None)
    def reads_secrets():
        @task
        def read():
            connection = BaseHook.get_connection("warehouse")
            absent = Variable.get("absent", default="none")
            return {"city": Variable.get("city"), "host": connection.host, "absent": absent}

        read()


    @dag(schedule=None)
    def waits_for_parameters():
        for name, way in WAYS.items():
            ParameterChangeSensor(
                task_id=name,
                name="limits",
                known="{{ dag_run.conf['known'] | tojson }}",
                timeout=120,
                **way,
            )


    @dag(schedule=CHANGED)
    def on_change():
        @task
        def react(triggering_asset_events=None):
            return [event.extra["payload"]["changed"] for event in triggering_asset_events[CHANGED]]

        react()


    reads_secrets()
    waits_for_parameters()
    on_change()
"""
DAG_IDS = ("reads_secrets", "waits_for_parameters", "on_change")


@pytest.fixture(scope="module")
def consul() -> Consul:
    return cast("Consul", shared("consul"))


@pytest.fixture(scope="module")
def root(consul: Consul) -> str:
    """A root below which there are a variable and a connection."""
    root = fresh_name()
    consul.request("PUT", f"kv/{root}/variables/city", data="Bern")
    consul.request("PUT", f"kv/{root}/connections/warehouse", data="mysql://ann:pw@db.example/x")
    return root


@pytest.fixture(scope="module")
def store(consul: Consul, root: str) -> ParameterStore:
    where = urlsplit(consul.url)
    address = ConsulAddress(host=str(where.hostname), port=int(where.port or 0), token=consul.token)
    return ParameterStore(key_values=KeyValues(ConsulTransport(address)), root=root, new_token=lambda: uuid.uuid4().hex)


@pytest.fixture(scope="module")
def airflow(
    consul: Consul, root: str, store: ParameterStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAirflow]:
    folder = tmp_path_factory.mktemp("consul")
    (folder / "dags").mkdir()
    (folder / "dags" / "consul.py").write_text(dedent(DAGS))
    (folder / "token").write_text(consul.token)
    store.put("net", 1, by="ann")
    where, began = urlsplit(consul.url), datetime.now(UTC)
    backend = {
        "host": where.hostname,
        "port": where.port,
        "token_file": str(folder / "token"),
        "variables_prefix": f"{root}/variables",
        "connections_prefix": f"{root}/connections",
    }
    options = {
        "secrets.backend": "airflow_provider_exia.secrets.consul.ConsulBackend",
        "secrets.backend_kwargs": json.dumps(backend),
    }
    consul.request(
        "PUT",
        f"kv/{root}/connections/consul_default",
        data=json.dumps(
            {
                "conn_type": "consul",
                "host": where.hostname,
                "port": where.port,
                "password": consul.token,
                "extra": {"root": root},
            }
        ),
    )
    with running_airflow(folder / "home", dags_folder=folder / "dags", options=options) as airflow:
        for dag_id in DAG_IDS:
            airflow.client.wait_for_dag(dag_id, parsed_after=began)
        yield airflow


def test_a_task_gets_a_variable_and_a_connection_from_consul_and_what_is_not_there_from_nowhere(
    airflow: RunningAirflow,
) -> None:
    airflow.client.run("reads_secrets", run_id="read")

    assert airflow.client.xcom("reads_secrets", "read", "read") == {
        "city": "Bern",
        "host": "db.example",
        "absent": "none",
    }


def test_a_change_starts_the_dag_that_is_scheduled_by_it(airflow: RunningAirflow, store: ParameterStore) -> None:
    def runs() -> list[str]:
        found = airflow.client._request("GET", "/api/v2/dags/on_change/dagRuns").json()
        return [run["dag_run_id"] for run in found["dag_runs"]]

    def change_until_it_is_seen() -> bool:
        # Before its first look the trigger has nothing to compare with; from then on no change is missed.
        store.put("net/depth", uuid.uuid4().hex, by="ann")
        return bool(runs())

    wait_until("the run that a change starts", change_until_it_is_seen)

    run_id = runs()[0]
    assert airflow.client.wait("on_change", run_id) == "success"
    told = airflow.client.xcom("on_change", run_id, "react")
    assert told
    assert all(changed == ["net/depth"] for changed in told)


def test_a_sensor_waits_for_a_change_in_each_way(airflow: RunningAirflow, store: ParameterStore) -> None:
    known = {"limits": store.put("limits", 1, by="ann").index}
    waiting = {"poke": "running", "reschedule": "up_for_reschedule", "deferred": "deferred"}

    airflow.client.trigger("waits_for_parameters", run_id="waiting", conf={"known": known})
    for way, state in waiting.items():
        wait_until(f"{way} waits", lambda way=way, state=state: states(airflow)[way] == state)
    changed = store.put("limits", 2, by="ann").index

    assert airflow.client.wait("waits_for_parameters", "waiting") == "success"
    for way in waiting:
        told = airflow.client.xcom("waits_for_parameters", "waiting", way)
        assert told == {"changed": ["limits"], "indices": {"limits": changed}}


def states(airflow: RunningAirflow) -> dict[str, str | None]:
    return {run.name: run.state for run in airflow.client.task_runs("waits_for_parameters", "waiting")}
