"""Bad input of services is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.services.checks import HttpCheck, TcpCheck, TtlCheck, consul_duration
from airflow_provider_exia.services.conditions import HealthCondition, ServingCondition
from airflow_provider_exia.services.records import Instance, Service, check_id_of, serving

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Service(name="a/b"), "'a/b' is no name of a service"),
        (lambda: Service(name=""), "'' is no name"),
        (lambda: Service(name="a" * 64), "is no name"),
        (lambda: Service(name="-a"), "is no name"),
        (lambda: Service(name="a\n"), "is no name"),
        (lambda: Service(name="a", service_id="../x"), "is no id"),
        (lambda: Service(name="a", service_id="a/../../acl"), "is no id"),
        (lambda: Service(name="a", service_id="a?token=x"), "is no id"),
        (lambda: Service(name="a", address="http://b"), "no address of a service"),
        (lambda: Service(name="a", port=65536), "65536 is no port"),
        (lambda: Service(name="a", tags="blue"), "'blue' are no tags"),
        (lambda: Service(name="a", tags=[""]), "are no tags"),
        (lambda: Service(name="a", meta={"a b": "c"}), "'a b' is no name in the meta"),
        (lambda: Service(name="a", meta={"a": "ü" * 257}), "a text of 512 bytes or less"),
        (lambda: Service(name="a", meta={"a": 4}), "'a' in the meta of a service: expected a text"),
        (lambda: Service(name="a", meta={str(number): "" for number in range(65)}), "has 65 names"),
        (lambda: HttpCheck(url="10.0.0.5:80"), "is no URL to check"),
        (lambda: TcpCheck(address="10.0.0.5"), "is no address to check"),
        (lambda: HttpCheck(url="http://a", interval=timedelta()), "a millisecond or more"),
        (lambda: TcpCheck(address="a:1", timeout=-DAY), "a millisecond or more"),
        (lambda: TtlCheck(ttl=timedelta(microseconds=999)), "a millisecond or more"),
        (lambda: TtlCheck(ttl=DAY, deregister_after=timedelta(seconds=59)), "Consul removes nothing before a minute"),
        (lambda: serving("churn"), "'churn' is no version to serve"),
        (lambda: serving("churn@champion"), "is no version to serve"),
        (lambda: serving("churn/0"), "is no version to serve"),
        (lambda: HealthCondition(service="a", at_least=0), "at_least is 0"),
        (lambda: ServingCondition(service="a b"), "is no name of a service"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: Callable[[], object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        make()


def test_a_service_in_consuls_form() -> None:
    checks = [
        HttpCheck(url="https://a/health", deregister_after=timedelta(minutes=5)),
        TcpCheck(address="[::1]:80", interval=timedelta(seconds=1.5)),
        TtlCheck(ttl=timedelta(minutes=1)),
    ]

    document = Service(name="api", service_id="api-1", port=80, meta=serving("churn/4"), checks=checks).as_document()

    assert document == {
        "Name": "api",
        "ID": "api-1",
        "Address": "",
        "Port": 80,
        "Tags": [],
        "Meta": {"model": "churn", "version": "4"},
        "Checks": [
            {
                "CheckID": "service:api-1:1",
                "Name": "api: 1",
                "HTTP": "https://a/health",
                "Interval": "10000ms",
                "Timeout": "5000ms",
                "DeregisterCriticalServiceAfter": "300000ms",
            },
            {
                "CheckID": "service:api-1:2",
                "Name": "api: 2",
                "TCP": "[::1]:80",
                "Interval": "1500ms",
                "Timeout": "5000ms",
            },
            {"CheckID": "service:api-1:3", "Name": "api: 3", "TTL": "60000ms"},
        ],
    }
    assert check_id_of("api-1", 2) == "service:api-1:2"
    assert consul_duration(DAY) == "86400000ms"


@pytest.mark.parametrize(
    ("address", "port", "path", "url"),
    [
        ("10.0.0.5", 80, "", "http://10.0.0.5:80"),
        ("api.example", 0, "/a/b", "http://api.example/a/b"),
        ("::1", 80, "a", "http://[::1]:80/a"),
    ],
)
def test_an_instance_as_a_url(address: str, port: int, path: str, url: str) -> None:
    instance = Instance(name="a", service_id="a", address=address, port=port, tags=(), meta={"version": "4"})

    assert instance.url(path) == url
    assert instance.reference is None
