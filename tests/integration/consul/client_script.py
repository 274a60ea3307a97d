"""Uses every endpoint of Consul that this package knows; test_clients.py runs it with one client and without Airflow.

Told by JSON on standard input where the agent is; says on standard output, as JSON, what came of it.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import uuid
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import distributions
from typing import Any

from airflow_provider_exia.consul.address import ConsulAddress
from airflow_provider_exia.consul.exceptions import ConsulError
from airflow_provider_exia.consul.key_values import KeyValues, Operation
from airflow_provider_exia.consul.transport import ConsulTransport
from airflow_provider_exia.consul.watching import watch
from airflow_provider_exia.parameters.snapshot import take_snapshot
from airflow_provider_exia.parameters.store import ParameterStore
from airflow_provider_exia.services.checks import TtlCheck
from airflow_provider_exia.services.records import Service, serving
from airflow_provider_exia.services.registry import Services


def parameters(key_values: KeyValues, root: str) -> dict[str, Any]:
    store = ParameterStore(key_values=key_values, root=root, new_token=lambda: uuid.uuid4().hex)
    first = store.put("training/depth", {"max": 3}, by="ann", expected=0)
    store.put("training/depth", {"max": 4}, by="bob", expected=first.index)
    store.rollback("training/depth", 1, by="ann")
    return {
        "value": store.get("training/depth").value,
        "history": [item.by for item in store.history("training/depth")],
        "snapshot": dict(take_snapshot(store, "training").values),
    }


def keys(key_values: KeyValues, root: str) -> dict[str, Any]:
    key = f"{root}/plain/a"
    index = key_values.transact([Operation(verb="cas", key=key, value=b"1", flags=7)])[key]
    found, newer = key_values.list_since(f"{root}/plain")
    again, _ = key_values.list_since(f"{root}/plain", index=newer, wait=timedelta(milliseconds=50))
    watched = watch(key_values, f"{root}/plain").wait_for(dict, timedelta(seconds=10))
    key_values.transact([Operation(verb="delete-cas", key=key, index=index)])
    return {
        "flags": [item.flags for item in found],
        "again": again == found,
        "watched": list(watched or ()),
        "gone": key_values.get(key) is None,
        "most": key_values.largest_transaction,
    }


def services(transport: ConsulTransport, root: str) -> dict[str, Any]:
    registry = Services(transport)
    ttl = TtlCheck(ttl=timedelta(minutes=1))
    registry.register(
        Service(name=root, address="10.0.0.5", port=80, tags=["a"], meta=serving("churn/4"), checks=[ttl])
    )
    critical = len(registry.passing(root))
    registry.report(root, note="well")
    registry.maintain(root, is_on=True, reason="a & b")
    maintained = len(registry.passing(root))
    registry.maintain(root, is_on=False)
    return {
        "critical": critical,
        "maintained": maintained,
        "url": registry.discover(root, version="4", tag="a", path="/predict"),
        "deregistered": [registry.deregister(root), registry.deregister(root)],
    }


def failures(address: Callable[..., ConsulAddress], told: dict[str, Any]) -> dict[str, str]:
    """Return what errors say, with all that is behind them."""
    addresses = {
        "refused": address(port=told["closed_port"]),
        "silent": address(port=told["silent_port"], read_timeout=timedelta(seconds=0.3)),
        "forbidden": address(token=told["weak_token"]),
        "unknown token": address(token=told["unknown_token"]),
    }
    found = {}
    for name, where in addresses.items():
        transport = ConsulTransport(where)
        key_values = KeyValues(transport)
        acts: dict[str, Callable[[], object]] = {
            "get": lambda kv=key_values: kv.get("other/key"),
            "transact": lambda kv=key_values: kv.transact([Operation(verb="cas", key="other/key")]),
            "register": lambda to=transport: Services(to).register(Service(name="other")),
        }
        for act, run in acts.items():
            try:
                run()
            except ConsulError as error:
                text = "".join(traceback.format_exception(error, chain=True))
                found[f"{name}: {act}"] = f"{type(error).__name__} {error!r} {vars(error)} {text}"
    return found


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    told = json.load(sys.stdin)

    def address(**settings: Any) -> ConsulAddress:
        return ConsulAddress(**{"host": told["host"], "port": told["port"], "token": told["token"], **settings})

    transport = ConsulTransport(address())
    key_values = KeyValues(transport)
    root = told["root"]
    done = {
        "clients": sorted(one.name for one in distributions() if "consul" in one.name),
        "airflow": "airflow" in sys.modules,
        "leader": transport.read("status/leader", consistency=False).body,
        "parameters": parameters(key_values, root),
        "keys": keys(key_values, root),
        "services": services(transport, root),
        "anonymous": len(Services(ConsulTransport(address(port=told["open_port"], token=None))).passing(root)),
        "address": repr(address()),
        "failures": failures(address, told),
    }
    print(json.dumps(done))


if __name__ == "__main__":
    main()
