"""What an agent, or the way to it, does wrong: an error in time that says what may have happened; no write twice."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from airflow_provider_exia.consul.exceptions import (
    ConsulError,
    ConsulOutcomeUnknown,
    ConsulRefused,
    ConsulUnavailable,
)
from airflow_provider_exia.consul.key_values import KeyValues, Operation
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.parameters.store import ParameterStore
from tests.integration.consul.conftest import address_of
from tests.integration.consul.stub import Reply, stub
from tests.servers.proxy import Proxy
from tests.servers.session import private

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

TIMEOUT, SLACK_SECONDS = timedelta(seconds=1), 0.5
WRITERS, MOST_WRITES = 20, 200
Call = Callable[[KeyValues], object]


def read(key_values: KeyValues) -> object:
    return key_values.get("a/b")


def read_prefix(key_values: KeyValues) -> object:
    return key_values.list("a")


def wait(key_values: KeyValues) -> object:
    return key_values.list_since("a", index=10**9, wait=timedelta(milliseconds=100))


def write(key_values: KeyValues) -> object:
    return key_values.transact([Operation(verb="cas", key="a/b", value=b"1", index=10**9)])


@pytest.fixture
def proxy(consul: Consul) -> Iterator[Proxy]:
    """A way to the agent that fails when told."""
    with Proxy(consul.port) as proxy:
        yield proxy


@pytest.fixture
def through(consul: Consul, proxy: Proxy) -> KeyValues:
    """The agent's keys over that way, impatiently."""
    address = address_of(consul, port=proxy.port, connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
    return KeyValues(ConsulTransport(address))


@contextmanager
def in_time(seconds: float = TIMEOUT.total_seconds()) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds + SLACK_SECONDS


def store_of(key_values: KeyValues, root: str) -> ParameterStore:
    window = MOST_WRITES + 1
    return ParameterStore(key_values=key_values, root=root, new_token=lambda: uuid.uuid4().hex, history_window=window)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (read, ConsulUnavailable),
        (read_prefix, ConsulUnavailable),
        (wait, ConsulUnavailable),
        (write, ConsulOutcomeUnknown),
    ],
)
@pytest.mark.parametrize("was_connected", [True, False], ids=["connected", "new"])
def test_an_agent_that_hangs_is_given_up_in_time(
    proxy: Proxy, through: KeyValues, call: Call, error: type[ConsulError], was_connected: bool
) -> None:
    if was_connected:
        read(through)
    proxy.black_hole()

    with in_time(), pytest.raises(error, match="no answer"):
        call(through)


@pytest.mark.parametrize("direction", ["request", "reply"])
@pytest.mark.parametrize(
    ("call", "error"), [(read, ConsulUnavailable), (wait, ConsulUnavailable), (write, ConsulOutcomeUnknown)]
)
def test_connections_that_are_reset_are_an_error_in_time(
    proxy: Proxy, through: KeyValues, call: Call, error: type[ConsulError], direction: str
) -> None:
    proxy.reset_after(20, direction)

    with in_time(), pytest.raises(error, match="no answer"):
        call(through)


def test_a_read_goes_on_over_a_new_connection_where_the_old_one_was_closed_meanwhile(
    proxy: Proxy, through: KeyValues
) -> None:
    read(through)
    proxy.reset_all()

    assert read(through) is None


@pytest.mark.parametrize(
    ("call", "error"), [(read, ConsulUnavailable), (wait, ConsulUnavailable), (write, ConsulUnavailable)]
)
def test_where_nobody_listens_nothing_was_written(
    proxy: Proxy, through: KeyValues, call: Call, error: type[ConsulError]
) -> None:
    proxy.refuse()

    with in_time(), pytest.raises(error, match="nobody listens there"):
        call(through)


@pytest.mark.parametrize(
    ("status", "call", "error", "told"),
    [
        (500, read, ConsulUnavailable, "No cluster leader"),
        (500, wait, ConsulUnavailable, "No cluster leader"),
        (500, write, ConsulOutcomeUnknown, "No cluster leader; the write may have happened"),
        (429, read, ConsulUnavailable, "No cluster leader"),
        (403, read, ConsulRefused, "No cluster leader"),
        (403, write, ConsulRefused, "No cluster leader"),
        (400, write, ConsulRefused, "No cluster leader"),
        (200, read, ConsulRefused, "is no JSON"),
    ],
)
def test_an_answer_that_is_none_is_told_in_the_agents_words(
    status: int, call: Call, error: type[ConsulError], told: str
) -> None:
    with stub(lambda *_: Reply("No cluster leader", status)) as agent, in_time():
        with pytest.raises(error, match=told):
            call(KeyValues(ConsulTransport(agent.address(read_timeout=TIMEOUT))))
        assert len(agent.requests) == 1


@pytest.mark.parametrize(
    ("asked", "answered", "next_index"), [(50, 60, 60), (50, 50, 50), (50, 49, 0), (50, 0, 0), (0, 0, 1)]
)
def test_an_index_that_went_back_begins_again_and_none_is_below_one(asked: int, answered: int, next_index: int) -> None:
    with stub(lambda *_: Reply([], index=answered)) as agent:
        key_values = KeyValues(ConsulTransport(agent.address()))

        _, index = key_values.list_since("", index=asked, wait=timedelta(seconds=1))

    assert index == next_index


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("silent", [False, True], ids=["reset", "silence"])
def test_a_write_whose_reply_is_lost_is_found_again_and_not_repeated(
    consul: Consul, proxy: Proxy, through: KeyValues, prefix: str, lost: int, silent: bool
) -> None:
    proxy.swallow(lambda request: request.startswith(b"PUT /v1/txn"), lost, silent=silent)
    store = store_of(through, prefix)

    written = store.put("depth", 7, by="ann", expected=0)

    assert proxy.swallowed == 1
    assert (written.value, written.revision) == (7, 1)
    direct = store_of(KeyValues(ConsulTransport(address_of(consul))), prefix)
    assert [(item.number, item.value) for item in direct.history("depth")] == [(1, 7)]
    assert direct.get("depth") == written


@pytest.mark.timeout(120)
def test_no_acknowledged_write_is_lost_when_the_agent_is_killed_under_20_writers() -> None:
    with private("consul") as server:
        agent = cast("Consul", server)
        address = address_of(agent, connect_timeout=TIMEOUT, read_timeout=timedelta(seconds=3))
        key_values = KeyValues(ConsulTransport(address, connections=WRITERS))
        acknowledged: dict[str, list[int]] = {f"writer-{number}": [] for number in range(WRITERS)}
        restarted, enough = threading.Event(), threading.Barrier(WRITERS + 1)
        interrupted = []

        def work(name: str) -> None:
            store = store_of(key_values, "exia")
            for value in range(1, MOST_WRITES + 1):
                try:
                    store.put(name, value, by="a writer")
                except (ConsulUnavailable, OutcomeUnknown) as error:
                    interrupted.append(error)
                    restarted.wait(60)
                    continue
                acknowledged[name].append(value)
                if value == 3:
                    enough.wait(60)
                if restarted.is_set() and value > 10:
                    return

        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(work, name) for name in acknowledged]
            enough.wait(60)
            agent.kill()
            agent.start()
            restarted.set()
            for writer in writers:
                writer.result(60)

        store = store_of(key_values, "exia")
        for name, values in acknowledged.items():
            kept = [item.value for item in reversed(store.history(name))]
            assert set(values) <= set(kept), f"{name}: an acknowledged write is lost"
            assert kept == sorted(set(kept)), f"{name}: a value was written twice, or late"
            assert store.get(name).value == kept[-1]
        assert interrupted


def go_away_with_the_next_write(proxy: Proxy) -> None:
    """Let the agent do the next transaction, and let no reply come back from then on."""
    sent = threading.Event()

    def is_since_the_write(request: bytes) -> bool:
        if request.startswith(b"PUT /v1/txn"):
            sent.set()
        return sent.is_set()

    proxy.swallow(is_since_the_write, 1000)


def test_while_an_agent_is_away_after_a_lost_reply_it_stays_open_whether_the_write_happened(
    proxy: Proxy, through: KeyValues, prefix: str
) -> None:
    store = store_of(through, prefix)
    go_away_with_the_next_write(proxy)

    with in_time(2), pytest.raises(OutcomeUnknown):
        replace(store, patience=TIMEOUT).put("depth", 7, by="ann")

    proxy.pass_all()
    assert [(item.number, item.value) for item in store.history("depth")] == [(1, 7)]


def test_a_lost_reply_is_found_once_the_agent_is_back(proxy: Proxy, through: KeyValues, prefix: str) -> None:
    store = store_of(through, prefix)
    go_away_with_the_next_write(proxy)
    back = threading.Timer(1, proxy.pass_all)
    back.start()

    written = store.put("depth", 7, by="ann")

    back.join()
    assert (written.value, written.revision) == (7, 1)
    assert [(item.number, item.value) for item in store.history("depth")] == [(1, 7)]
