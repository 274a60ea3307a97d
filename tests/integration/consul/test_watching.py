"""Waiting for changes below a prefix: many who wait, few requests, few connections, and agents that misbehave."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.consul.exceptions import ConsulRefused
from airflow_provider_exia.consul.key_values import KeyValue, KeyValues, Operation
from airflow_provider_exia.consul.sharing import transport_to
from airflow_provider_exia.consul.watching import MOST_REQUESTS, SLOTS, WINDOW_SECONDS, watch
from tests.integration.consul.conftest import address_of, record
from tests.integration.consul.stub import Reply, stub
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

WAITERS, MOST_SOCKETS = 500, 10
PATIENCE = timedelta(seconds=20)


@pytest.fixture
def key_values(consul: Consul) -> KeyValues:
    """The agent's keys, by the transport that the watchers use too."""
    return KeyValues(transport_to(address_of(consul)))


def write(key_values: KeyValues, key: str, value: bytes) -> None:
    present = key_values.get(key)
    index = present.index if present else 0
    key_values.transact([Operation(verb="cas", key=key, value=value, index=index)])


def is_there(keys: Mapping[str, KeyValue]) -> Mapping[str, KeyValue] | None:
    return keys or None


def watchers_of(prefix: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"exia-watch-{prefix}/"]


def sockets_to(port: int) -> set[str]:
    """Return this process's connections to a port; other tests may have left some open."""
    mine = {os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) == port}
    return there & mine


def test_who_waits_is_told_of_what_is_there_already(key_values: KeyValues, prefix: str) -> None:
    write(key_values, f"{prefix}/a", b"1")

    found = watch(key_values, prefix).wait_for(is_there, PATIENCE)

    assert found is not None
    assert {key: item.value for key, item in found.items()} == {f"{prefix}/a": b"1"}


def test_a_lone_change_is_seen_within_a_second(key_values: KeyValues, prefix: str) -> None:
    seen_empty = threading.Event()
    told: list[float] = []

    def look(keys: Mapping[str, KeyValue]) -> bool | None:
        seen_empty.set()
        return True if keys else None

    def wait() -> None:
        watch(key_values, prefix).wait_for(look, PATIENCE)
        told.append(time.monotonic())

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert seen_empty.wait(10)
    written = time.monotonic()
    write(key_values, f"{prefix}/a", b"1")
    waiter.join()

    assert told[0] - written < 1


def test_without_a_change_waiting_ends_with_its_time(key_values: KeyValues, prefix: str) -> None:
    started = time.monotonic()

    assert watch(key_values, prefix).wait_for(is_there, timedelta(seconds=0.3)) is None
    assert 0.3 <= time.monotonic() - started < 1


def test_500_who_wait_share_one_watcher_and_few_sockets(consul: Consul, key_values: KeyValues, prefix: str) -> None:
    looked, before = 0, sockets_to(consul.port)
    counted = []
    all_looked = asyncio.Event()

    async def wait(number: int) -> bytes:
        def look(keys: Mapping[str, KeyValue]) -> bytes | None:
            nonlocal looked
            looked += 1
            if looked == WAITERS:
                all_looked.set()
            found = keys.get(f"{prefix}/{number % 50}")
            return found.value if found else None

        return await watch(key_values, prefix).until(look)

    async def run() -> tuple[list[bytes], float]:
        waiting = [asyncio.create_task(wait(number)) for number in range(WAITERS)]
        await all_looked.wait()
        counted.append((len(sockets_to(consul.port) - before), len(watchers_of(prefix))))
        written = time.monotonic()
        all_at_once = [
            Operation(verb="cas", key=f"{prefix}/{number}", value=str(number).encode()) for number in range(50)
        ]
        await asyncio.to_thread(key_values.transact, all_at_once)
        return await asyncio.gather(*waiting), time.monotonic() - written

    values, seconds = asyncio.run(run())

    assert values == [str(number % 50).encode() for number in range(WAITERS)]
    assert seconds < 1
    sockets, watchers = counted[0]
    assert sockets <= MOST_SOCKETS
    assert watchers == 1


def test_many_prefixes_of_one_agent_share_its_connections(consul: Consul, key_values: KeyValues, prefix: str) -> None:
    prefixes = [f"{prefix}/{number}" for number in range(SLOTS + 6)]
    before = sockets_to(consul.port)

    async def run() -> int:
        waiting = [asyncio.create_task(watch(key_values, each).until(is_there)) for each in prefixes]
        await asyncio.sleep(0)  # all wait
        for each in prefixes:
            await asyncio.to_thread(write, key_values, f"{each}/a", b"1")
        await asyncio.gather(*waiting)
        return len(sockets_to(consul.port) - before)

    assert asyncio.run(asyncio.wait_for(run(), 15)) <= MOST_SOCKETS


def test_under_churn_few_requests_are_made_and_the_last_change_is_seen(
    consul: Consul, key_values: KeyValues, prefix: str
) -> None:
    with Proxy(consul.port) as proxy:
        heard = record(proxy)
        through = KeyValues(transport_to(address_of(consul, port=proxy.port)))

        def churn() -> None:
            number = 0
            ends = time.monotonic() + 2 * WINDOW_SECONDS
            while time.monotonic() < ends:
                number += 1
                write(key_values, f"{prefix}/a", str(number).encode())
                write(key_values, f"{prefix}-neighbour/a", str(number).encode())
            write(key_values, f"{prefix}/a", b"end")

        writer = threading.Thread(target=churn)
        writer.start()
        found = watch(through, prefix).wait_for(
            lambda keys: keys[f"{prefix}/a"].value == b"end" or None if keys else None, PATIENCE
        )
        writer.join()

    assert found
    times = [at for at, _ in heard]
    assert max(sum(0 <= at - start < WINDOW_SECONDS for at in times) for start in times) <= MOST_REQUESTS


def test_an_index_that_goes_backwards_or_is_zero_misses_no_change_and_makes_no_storm() -> None:
    indices = [90, 90, 10, 0, 0, 7]

    def reply(number: int, path: str) -> Reply:
        del path
        value = base64.b64encode(str(number).encode()).decode()
        item = {"Key": "a/b", "Value": value, "Flags": 0, "ModifyIndex": number + 1}
        return Reply([item], index=indices[min(number, len(indices) - 1)])

    with stub(reply) as agent:
        found = watch(KeyValues(transport_to(agent.address())), "a").wait_for(
            lambda keys: keys["a/b"].value if keys["a/b"].value >= b"4" else None, PATIENCE
        )

    assert found == b"4"
    assert agent.most_in(WINDOW_SECONDS) <= MOST_REQUESTS
    asked = [path.partition("index=")[2].partition("&")[0] for _, path in agent.requests]
    assert asked[:5] == ["0", "90", "90", "0", "1"]


def test_who_may_not_read_is_told_so_and_the_next_asks_anew(consul: Consul, key_values: KeyValues, prefix: str) -> None:
    address = address_of(consul, token=consul.token_with(f'key_prefix "{prefix}-other/" {{ policy = "read" }}'))
    watched = watch(KeyValues(transport_to(address)), prefix)
    write(key_values, f"{prefix}/a", b"1")

    for _ in range(2):
        with pytest.raises(ConsulRefused, match="may not read"):
            watched.wait_for(is_there, PATIENCE)
    with pytest.raises(ConsulRefused, match="may not read"):
        asyncio.run(watched.until(is_there))


def test_a_prefix_that_is_empty_only_for_lack_of_rights_is_not_waited_for(consul: Consul, prefix: str) -> None:
    address = address_of(consul, token=consul.token_with(f'key_prefix "{prefix}-other/" {{ policy = "read" }}'))

    with pytest.raises(ConsulRefused, match="Permission denied"):
        watch(KeyValues(transport_to(address)), prefix).wait_for(is_there, PATIENCE)


def test_an_agent_that_is_away_for_a_while_ends_nothing(consul: Consul, key_values: KeyValues, prefix: str) -> None:
    with Proxy(consul.port) as proxy:
        through = KeyValues(transport_to(address_of(consul, port=proxy.port)))
        told: list[object] = []
        seen = threading.Event()

        def look(keys: Mapping[str, KeyValue]) -> bool | None:
            seen.set()
            return True if keys else None

        waiter = threading.Thread(target=lambda: told.append(watch(through, prefix).wait_for(look, PATIENCE)))
        waiter.start()
        assert seen.wait(10)
        proxy.refuse()
        write(key_values, f"{prefix}/a", b"1")
        assert waiter.is_alive()
        proxy.pass_all()
        waiter.join()

    assert told == [True]


def test_a_watcher_ends_when_nobody_waits(key_values: KeyValues, prefix: str) -> None:
    assert watch(key_values, prefix).wait_for(is_there, timedelta(seconds=0.2)) is None
    (watcher,) = watchers_of(prefix)

    write(key_values, f"{prefix}/a", b"1")  # ends its query
    watcher.join(10)

    assert not watcher.is_alive()
    assert watch(key_values, prefix).wait_for(is_there, PATIENCE)


def test_who_is_cancelled_waits_no_more(key_values: KeyValues, prefix: str) -> None:
    async def run() -> None:
        waiting = asyncio.create_task(watch(key_values, prefix).until(is_there))
        await asyncio.sleep(0)  # it waits
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
    watchers = watchers_of(prefix)  # none, when it has ended already
    write(key_values, f"{prefix}/a", b"1")
    for watcher in watchers:
        watcher.join(10)

    assert watchers_of(prefix) == []


def test_a_child_of_a_fork_begins_watchers_of_its_own(key_values: KeyValues, prefix: str) -> None:
    watched = watch(key_values, prefix)
    assert watched.wait_for(is_there, timedelta(seconds=0.2)) is None
    assert watchers_of(prefix)

    child = os.fork()
    if child == 0:
        os._exit(0 if watched.wait_for(is_there, PATIENCE) else 1)
    write(key_values, f"{prefix}/a", b"1")

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
