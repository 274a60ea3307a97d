"""Who waits for parameters to change: the sensor's look, its trigger, and the trigger of an asset."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest

from airflow_provider_exia.consul import watching
from airflow_provider_exia.hooks.consul import ConsulParamHook
from airflow_provider_exia.parameters.changes import Interest
from airflow_provider_exia.sensors.parameters import ParameterChangeSensor
from airflow_provider_exia.triggers.parameters import ParameterChangeEventTrigger, ParameterChangeTrigger
from tests.integration.parameters.conftest import open_store
from tests.unit.operators.conftest import context_of

if TYPE_CHECKING:
    from airflow_provider_exia.parameters.store import ParameterStore
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

WAITERS = 500


@pytest.fixture(autouse=True)
def connection(consul: Consul, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default connection leads to the agent."""
    where = urlsplit(consul.url)
    fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": consul.token}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CONSUL_DEFAULT",
        json.dumps({**fields, "extra": {"root": root, "environment": "dev", "inherits": "base"}}),
    )


def trigger(name: str, known: dict[str, int]) -> ParameterChangeTrigger:
    return ParameterChangeTrigger(consul_conn_id="consul_default", name=name, known=known)


async def somebody_watches(store: ParameterStore, count: int = 1) -> None:
    """Wait until so many listen to the watcher, and it has seen what is there."""
    key = (store.key_values.address, f"{store.root}/values/{store.environment}/")

    def they_do() -> bool:
        watcher = watching._watchers.get(key)
        return watcher is not None and watcher.seen is not None and len(watcher.listeners) >= count

    while not they_do():  # noqa: ASYNC110 - a thread does what is waited for
        await asyncio.sleep(0.02)


async def first(of: Any) -> dict[str, Any]:
    async for event in of.run():
        payload: dict[str, Any] = event.payload
        return payload["found"] if payload["status"] == "found" else payload  # type: ignore[no-any-return] # JSON
    raise AssertionError("the trigger ended without an event")


def test_an_interest_is_a_parameter_and_all_below_it_with_what_is_inherited(
    consul: Consul, store: ParameterStore, root: str
) -> None:
    base = open_store(consul, root, environment="base")
    base.put_many({"net/depth": 1, "net/rate": 1, "network": 1}, by="ann")
    own = store.put("net/depth", 2, by="ann").index

    found = Interest(store=store, name="net").look()

    assert set(found) == {"net/depth", "net/rate"}
    assert found["net/depth"] == own


def test_a_change_a_new_one_and_a_deletion_are_told_within_a_second(store: ParameterStore) -> None:
    known = {name: item.index for name, item in store.put_many({"net/a": 1, "net/b": 1}, by="ann").items()}

    async def wait_and_change() -> tuple[dict[str, Any], float]:
        waiting = asyncio.create_task(first(trigger("net", known)))
        await somebody_watches(store)
        begun = time.monotonic()
        await asyncio.to_thread(change)
        changed_after = time.monotonic()
        told = await asyncio.wait_for(waiting, 20)
        assert time.monotonic() - changed_after <= 1
        return told, begun

    def change() -> None:
        store.put("net/a", 2, by="ann")

    told, _ = asyncio.run(wait_and_change())
    assert told["changed"] == ["net/a"]

    store.put("net/c", 1, by="ann")
    store.delete("net/b", by="ann")
    told = asyncio.run(asyncio.wait_for(first(trigger("net", told["indices"])), 20))
    assert told["changed"] == ["net/b", "net/c"]


def test_what_changed_before_the_wait_is_told_at_once(store: ParameterStore) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    store.put("net", 2, by="ann")

    told = asyncio.run(asyncio.wait_for(first(trigger("net", known)), 10))

    assert told["changed"] == ["net"]


def test_what_nobody_changed_is_not_told(store: ParameterStore) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    store.put("other", 2, by="ann")

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first(trigger("net", known)), 2))


def test_a_trigger_whose_token_may_not_read_ends_with_the_reason(
    consul: Consul, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = urlsplit(consul.url)
    fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "extra": {"root": root}}
    monkeypatch.setenv("AIRFLOW_CONN_CONSUL_DEFAULT", json.dumps(fields))

    told = asyncio.run(asyncio.wait_for(first(trigger("net", {})), 10))

    assert told["status"] == "error"
    assert "Permission denied" in told["message"]


def test_who_may_read_one_environment_only_can_wait_for_it(
    consul: Consul, store: ParameterStore, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    token = consul.token_with(f'key_prefix "{root}/values/dev/" {{ policy = "read" }}')
    open_store(consul, root, environment="prod").put("net", 1, by="ann")
    where = urlsplit(consul.url)
    fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": token}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CONSUL_DEFAULT", json.dumps({**fields, "extra": {"root": root, "environment": "dev"}})
    )

    async def wait() -> dict[str, Any]:
        waiting = asyncio.create_task(first(trigger("net", known)))
        await asyncio.to_thread(store.put, "net", 2, by="ann")
        return await asyncio.wait_for(waiting, 20)

    assert asyncio.run(wait())["changed"] == ["net"]


def test_the_trigger_of_an_asset_tells_every_change(store: ParameterStore) -> None:
    store.put("net", 1, by="ann")

    async def three() -> list[list[str]]:
        told: list[list[str]] = []
        async for event in ParameterChangeEventTrigger(name="net").run():
            told.append(event.payload["changed"])
            if len(told) == 3:
                break
            await asyncio.to_thread(store.put, f"net/{len(told)}", 1, by="ann")
        return told

    async def both() -> list[list[str]]:
        telling = asyncio.create_task(three())
        await somebody_watches(store)
        await asyncio.to_thread(store.put, "net", 2, by="ann")
        return await asyncio.wait_for(telling, 30)

    assert asyncio.run(both()) == [["net"], ["net/1"], ["net/2"]]


def test_five_hundred_waiters_share_few_connections_and_all_are_told(consul: Consul, store: ParameterStore) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    port = urlsplit(consul.url).port

    def sockets() -> set[int]:
        return {item.fd for item in psutil.Process().net_connections() if item.raddr and item.raddr.port == port}

    async def wait() -> tuple[list[dict[str, Any]], int]:
        before = sockets()  # this test's own, and what other tests left open
        waiting = [asyncio.create_task(first(trigger("net", known))) for _ in range(WAITERS)]
        await somebody_watches(store, WAITERS)
        most = len(sockets() - before)
        await asyncio.to_thread(store.put, "net", 2, by="ann")
        return await asyncio.wait_for(asyncio.gather(*waiting), 60), most

    told, most = asyncio.run(wait())

    assert [item["changed"] for item in told] == [["net"]] * WAITERS
    assert most <= 10


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_that_begins_after_the_change_needs_no_waiting(store: ParameterStore, deferrable: bool) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    changed = store.put("net", 2, by="ann").index
    sensor = ParameterChangeSensor(task_id="wait", name="net", known=known, deferrable=deferrable)

    told = sensor.execute(context_of())

    assert told == {"changed": ["net"], "indices": {"net": changed}}


def test_what_is_known_may_be_the_text_that_a_template_makes_and_nothing_else(store: ParameterStore) -> None:
    known = {"net": store.put("net", 1, by="ann").index}
    store.put("net", 2, by="ann")

    told = ParameterChangeSensor(task_id="wait", name="net", known=json.dumps(known)).execute(context_of())

    assert told["changed"] == ["net"]
    with pytest.raises(ValueError, match="expected name to index, in a template as"):
        ParameterChangeSensor(task_id="wait", name="net", known=str(known)).execute(context_of())


def test_a_sensor_that_is_rescheduled_has_to_be_told_what_is_known() -> None:
    sensor = ParameterChangeSensor(task_id="wait", name="net", deferrable=False, mode="reschedule")

    with pytest.raises(ValueError, match="in the mode 'reschedule' give 'known'"):
        sensor.execute(context_of())


def test_both_triggers_are_made_again_from_what_they_are_serialized_as() -> None:
    for made in (trigger("net", {"net": 3}), ParameterChangeEventTrigger(name="net", inherits=["base"])):
        path, arguments = made.serialize()

        assert path == f"{type(made).__module__}.{type(made).__name__}"
        assert type(made)(**arguments).serialize() == (path, arguments)
    assert ConsulParamHook.default_conn_name in str(arguments)
