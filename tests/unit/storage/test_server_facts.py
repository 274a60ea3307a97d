"""Which ways to a server others can listen on."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_exia.storage.mongo import _way
from airflow_provider_exia.storage.server_facts import Way, is_this_machine, way_to


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "::1", "/var/run/postgresql", ""])
def test_these_are_this_machine_by_their_very_name(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.7", "localhost.example.com", "0.0.0.0", "fe80::1"])
def test_these_may_be_another_machine(host: str) -> None:
    assert not is_this_machine(host)


@pytest.mark.parametrize(
    ("hosts", "encrypted", "checked", "way"),
    [
        (["db.example.com"], True, True, Way.CHECKED),
        (["db.example.com"], True, False, Way.UNCHECKED),
        (["db.example.com"], False, True, Way.PLAIN),
        (["localhost"], False, False, Way.LOCAL),
        (["localhost"], True, False, Way.LOCAL),
        (["localhost"], True, True, Way.CHECKED),
        (["localhost", "db.example.com"], False, False, Way.PLAIN),
    ],
)
def test_a_way_is_as_good_as_the_worst_that_can_happen_on_it(
    hosts: list[str], encrypted: bool, checked: bool, way: Way
) -> None:
    assert way_to(hosts, encrypted=encrypted, checked=checked) is way


@pytest.mark.parametrize(
    ("uri", "options", "way"),
    [
        ("mongodb://db.example.com/exia", {}, Way.PLAIN),
        ("mongodb://db.example.com/exia?tls=true", {}, Way.CHECKED),
        ("mongodb://db.example.com/exia?SSL=true", {}, Way.CHECKED),
        ("mongodb://db.example.com/exia", {"tls": True}, Way.CHECKED),
        ("mongodb://db.example.com/exia?tls=true&tlsAllowInvalidCertificates=true", {}, Way.UNCHECKED),
        ("mongodb://db.example.com/exia?tls=true&tlsAllowInvalidHostnames=true", {}, Way.UNCHECKED),
        ("mongodb://db.example.com/exia?tls=true", {"tlsInsecure": True}, Way.UNCHECKED),
        ("mongodb+srv://db.example.com/exia", {}, Way.CHECKED),
        ("mongodb+srv://db.example.com/exia?tls=false", {}, Way.PLAIN),
        ("mongodb://localhost,127.0.0.1:27018,[::1]:27019,[::1]/exia", {}, Way.LOCAL),
        ("mongodb://localhost,db.example.com:27018/exia", {}, Way.PLAIN),
        ("mongodb://%2Frun%2Fmongodb-27017.sock/exia", {}, Way.LOCAL),
    ],
)
def test_the_way_to_mongodb_is_what_its_driver_was_told(uri: str, options: dict[str, Any], way: Way) -> None:
    assert _way(uri, options) is way
