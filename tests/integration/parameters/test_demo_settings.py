"""The demo's training settings in a real Consul."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml

from airflow_provider_exia.dag_compiler.reading import read_spec
from airflow_provider_exia.demo import flights
from airflow_provider_exia.demo.story import SPEC
from airflow_provider_exia.demo.training_settings import PREFIX, settle
from airflow_provider_exia.parameters.snapshot import take_snapshot
from tests.integration.parameters.conftest import open_store

if TYPE_CHECKING:
    from airflow_provider_exia.parameters.store import ParameterStore
    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")


@pytest.fixture
def store(consul: Consul, root: str, monkeypatch: pytest.MonkeyPatch) -> ParameterStore:
    """The parameters to which the connection ``settings`` leads."""
    where = urlsplit(consul.url)
    fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": consul.token}
    monkeypatch.setenv("AIRFLOW_CONN_SETTINGS", json.dumps({**fields, "extra": {"root": root}}))
    return open_store(consul, root)


def test_settings_are_put_once_and_a_snapshot_has_exactly_those_of_the_code(store: ParameterStore) -> None:
    first, second = settle("settings"), settle("settings")

    assert (first.written, second.written) == (len(flights.SETTINGS), 0)
    assert take_snapshot(store, PREFIX).values == flights.SETTINGS
    assert {item.revision for item in store.find(PREFIX).values()} == {1}


def test_a_setting_that_is_there_stays_and_the_others_are_put_beside_it(store: ParameterStore) -> None:
    store.put(f"{PREFIX}/max_iter", 7, by="ann")

    assert settle("settings").written == len(flights.SETTINGS) - 1

    assert take_snapshot(store, PREFIX).values == {**flights.SETTINGS, "max_iter": 7}


def test_the_spec_is_that_of_the_demo_with_a_snapshot(store: ParameterStore, tmp_path: Path) -> None:
    del store
    written = settle("settings").spec(SPEC, tmp_path)

    read_spec(written)
    spec, original = yaml.safe_load(written.read_text()), yaml.safe_load(SPEC.read_text())
    assert spec["train"].pop("snapshot") == PREFIX
    assert spec["train"].pop("consul_connection") == "settings"
    assert spec == original
