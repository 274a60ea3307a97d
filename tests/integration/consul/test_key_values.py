"""Keys and values of a real agent: transactions, waiting, and rights."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.consul.exceptions import ConsulConflict, ConsulRefused
from airflow_provider_exia.consul.key_values import LARGEST_VALUE_BYTES, KeyValues, Operation
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.exceptions import InvalidInput
from tests.integration.consul.conftest import address_of

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")


def set_(key: str, value: bytes, *, index: int = 0, flags: int = 0) -> Operation:
    return Operation(verb="cas", key=key, value=value, index=index, flags=flags)


def test_a_value_is_read_back_with_its_flags_at_the_index_it_was_written(key_values: KeyValues, prefix: str) -> None:
    value = bytes(range(256))

    written = key_values.transact([set_(f"{prefix}/a", value, flags=7)])

    found = key_values.get(f"{prefix}/a")
    assert found is not None
    assert (found.value, found.flags, found.index) == (value, 7, written[f"{prefix}/a"])


def test_an_absent_key_is_none_and_an_absent_prefix_is_empty(key_values: KeyValues, prefix: str) -> None:
    assert key_values.get(f"{prefix}/a") is None
    assert list(key_values.list(prefix)) == []


def test_a_prefix_holds_whole_segments_only(key_values: KeyValues, prefix: str) -> None:
    key_values.transact([set_(f"{prefix}/a/1", b"1"), set_(f"{prefix}/a/2", b"2"), set_(f"{prefix}/ab", b"3")])

    assert [item.key for item in key_values.list(f"{prefix}/a")] == [f"{prefix}/a/1", f"{prefix}/a/2"]


@pytest.mark.parametrize("verb", ["cas", "delete-cas", "check-index"])
def test_a_key_at_another_index_is_a_conflict_that_names_it_and_nothing_is_written(
    key_values: KeyValues, prefix: str, verb: str
) -> None:
    index = key_values.transact([set_(f"{prefix}/a", b"1")])[f"{prefix}/a"]
    stale = Operation(verb=verb, key=f"{prefix}/a", index=index - 1, value=b"2")

    with pytest.raises(ConsulConflict) as refused:
        key_values.transact([set_(f"{prefix}/b", b"2"), stale])

    assert refused.value.keys == (f"{prefix}/a",)
    assert [(item.key, item.value) for item in key_values.list(prefix)] == [(f"{prefix}/a", b"1")]


def test_a_key_that_is_there_is_not_created(key_values: KeyValues, prefix: str) -> None:
    key_values.transact([set_(f"{prefix}/a", b"1")])

    with pytest.raises(ConsulConflict):
        key_values.transact([set_(f"{prefix}/a", b"2")])


def test_a_lack_of_rights_is_never_taken_for_a_lost_race(consul: Consul, key_values: KeyValues, prefix: str) -> None:
    rules = f'key_prefix "{prefix}/mine/" {{ policy = "write" }} key_prefix "{prefix}/" {{ policy = "read" }}'
    limited = KeyValues(ConsulTransport(address_of(consul, token=consul.token_with(rules))))

    limited.transact([set_(f"{prefix}/mine/a", b"1")])
    with pytest.raises(ConsulRefused, match="Permission denied"):
        limited.transact([set_(f"{prefix}/mine/b", b"1"), set_(f"{prefix}/other", b"1")])

    assert [item.key for item in key_values.list(prefix)] == [f"{prefix}/mine/a"]


@pytest.mark.parametrize("token", [None, "00000000-0000-0000-0000-000000000000"], ids=["none", "unknown"])
def test_who_may_not_read_is_told_so_and_not_that_nothing_is_there(
    consul: Consul, key_values: KeyValues, prefix: str, token: str | None
) -> None:
    key_values.transact([set_(f"{prefix}/a", b"1")])
    stranger = KeyValues(ConsulTransport(address_of(consul, token=token)))

    for read in (lambda: stranger.get(f"{prefix}/a"), lambda: stranger.list(prefix)):
        with pytest.raises(ConsulRefused):
            read()


def test_the_largest_transaction_is_what_the_agent_says(key_values: KeyValues, prefix: str) -> None:
    limit = key_values.largest_transaction

    key_values.transact([set_(f"{prefix}/{number}", b"1") for number in range(limit)])

    assert limit in (64, 128)
    assert len(key_values.list(prefix)) == limit
    with pytest.raises(InvalidInput, match=f"{limit + 1} operations are more than the {limit}"):
        key_values.transact([set_(f"{prefix}/x{number}", b"1") for number in range(limit + 1)])


def test_what_is_too_large_for_the_agent_is_refused_in_its_words_and_nothing_is_written(
    key_values: KeyValues, prefix: str
) -> None:
    key_values.transact([set_(f"{prefix}/a", b"x" * 380_000)])

    with pytest.raises(ConsulRefused, match="too large, max size: 524288 bytes"):
        key_values.transact([set_(f"{prefix}/b", b"x" * 200_000), set_(f"{prefix}/c", b"x" * 200_000)])
    with pytest.raises(InvalidInput, match=f"has {LARGEST_VALUE_BYTES + 1} bytes"):
        set_(f"{prefix}/d", b"x" * (LARGEST_VALUE_BYTES + 1))

    assert [item.key for item in key_values.list(prefix)] == [f"{prefix}/a"]


def test_a_wait_ends_with_the_change(key_values: KeyValues, prefix: str) -> None:
    _, index = key_values.list_since(prefix)
    writer = threading.Timer(0.2, key_values.transact, [[set_(f"{prefix}/a", b"1")]])
    writer.start()

    found, newer = key_values.list_since(prefix, index=index, wait=timedelta(seconds=20))

    writer.join()
    assert [item.value for item in found] == [b"1"]
    assert newer > index


def test_a_wait_without_a_change_ends_with_its_time(key_values: KeyValues, prefix: str) -> None:
    key_values.transact([set_(f"{prefix}/a", b"1")])
    before, index = key_values.list_since(prefix)

    after, _ = key_values.list_since(prefix, index=index, wait=timedelta(milliseconds=300))

    assert after == before


def test_the_token_is_in_no_url_and_no_log(
    consul: Consul, key_values: KeyValues, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        key_values.transact([set_(f"{prefix}/a", b"1")])
        key_values.get(f"{prefix}/a")
        key_values.list_since(prefix)

    assert "/v1/txn" in caplog.text
    assert consul.token not in caplog.text
    assert consul.token not in repr(address_of(consul))


def test_variables_of_the_environment_override_nothing(
    consul: Consul, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "CONSUL_HTTP_ADDR": "127.0.0.1:1",
        "CONSUL_HTTP_TOKEN": "wrong",
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_HTTP_SSL_VERIFY": "false",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    key_values = KeyValues(ConsulTransport(address_of(consul)))

    assert key_values.transact([set_(f"{prefix}/a", b"1")])


@pytest.mark.parametrize(
    "key", ["a/../b", "..", "a//b", "/a", "a/", "", "a b", "a?token=x", "a%2e%2e/b", "a\n", "ä", "a\x00", {"$ne": 1}]
)
def test_a_key_that_could_be_another_path_is_refused_before_anything_is_sent(key_values: KeyValues, key: str) -> None:
    for use in (lambda: key_values.get(key), lambda: set_(key, b"1")):
        with pytest.raises(InvalidInput, match="is no key"):
            use()
