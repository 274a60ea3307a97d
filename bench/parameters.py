"""Parameters in a real Consul: 1,000 read at once, and how soon 500 waits hear of a change.

``make bench NAME=parameters``; the last line is ``parameters: <milliseconds to read 1,000> ms``.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
import uuid
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from airflow_provider_exia.consul import watching
from airflow_provider_exia.consul.address import ConsulAddress
from airflow_provider_exia.consul.key_values import KeyValues
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.parameters.store import ParameterStore
from tests.servers.session import private

if TYPE_CHECKING:
    from tests.servers.consul import Consul

PARAMETERS, AT_ONCE, READS, WAITS, CHANGES = 1_000, 32, 50, 500, 5


def open_store(consul: Consul) -> ParameterStore:
    where = urlsplit(consul.url)
    address = ConsulAddress(host=str(where.hostname), port=int(where.port or 0), token=consul.token)
    return ParameterStore(key_values=KeyValues(ConsulTransport(address)), new_token=lambda: uuid.uuid4().hex)


def fill(store: ParameterStore) -> None:
    for start in range(0, PARAMETERS, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, PARAMETERS))
        store.put_many({f"many/p{number:04}": number for number in numbers}, by="bench")


def read_milliseconds(store: ParameterStore) -> list[float]:
    taken = []
    for _ in range(READS):
        begun = time.perf_counter()
        found = store.find("many")
        taken.append((time.perf_counter() - begun) * 1000)
        if len(found) != PARAMETERS:
            raise RuntimeError(f"{len(found)} parameters were read")
    return sorted(taken)


async def all_listen() -> None:
    """Wait until each of the waits listens to what the one watcher sees."""

    def they_do() -> bool:
        watchers = list(watching._watchers.values())
        return bool(watchers) and watchers[0].seen is not None and len(watchers[0].listeners) == WAITS

    while not they_do():  # noqa: ASYNC110 - a thread does what is waited for
        await asyncio.sleep(0.02)


async def told_after(store: ParameterStore) -> list[float]:
    """Return, in seconds after the write was acknowledged, when each of the waits was told of one change."""
    from airflow_provider_exia.triggers.parameters import ParameterChangeTrigger

    known = {"net": store.get("net").index}

    async def one() -> float:
        trigger = ParameterChangeTrigger(consul_conn_id="consul_default", name="net", known=known)
        async for _ in trigger.run():
            return time.monotonic()
        raise RuntimeError("the trigger ended without an event")

    waiting = [asyncio.create_task(one()) for _ in range(WAITS)]
    await all_listen()
    await asyncio.to_thread(store.put, "net", uuid.uuid4().hex, by="bench")
    written = time.monotonic()
    return sorted(max(0.0, moment - written) for moment in await asyncio.gather(*waiting))


def main() -> None:
    with private("consul") as server:
        consul = cast("Consul", server)
        where, store = urlsplit(consul.url), open_store(consul)
        fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": consul.token}
        os.environ["AIRFLOW_CONN_CONSUL_DEFAULT"] = json.dumps(fields)
        fill(store)
        reads = read_milliseconds(store)
        store.put("net", "first", by="bench")
        rounds = [asyncio.run(told_after(store)) for _ in range(CHANGES)]
        print(f"{consul.name} {consul.version}")
    medians = [statistics.median(told) * 1000 for told in rounds]
    print(f"{PARAMETERS:,} parameters, one request   p50 {statistics.median(reads):6.1f} ms   most {reads[-1]:6.1f} ms")
    print(
        f"{WAITS} waits told of a change       p50 {statistics.median(medians):6.1f} ms   "
        f"last {max(told[-1] for told in rounds) * 1000:6.1f} ms   ({CHANGES} changes)"
    )
    print(f"parameters: {statistics.median(reads):.1f} ms")


if __name__ == "__main__":
    main()
