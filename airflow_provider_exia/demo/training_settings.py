"""The demo's training settings in a Consul that an Airflow connection names: put there once, then taken from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from airflow_provider_exia.cli.parameters import open_parameters
from airflow_provider_exia.demo import flights
from airflow_provider_exia.task_identity import login_name

PREFIX = "demo/flight_delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsInConsul:
    """Training settings in Consul, and the connection through which tasks find them.

    :param conn_id: a connection of the type ``consul``
    :param written: how many settings were not there and have been put there
    :param connections: id to JSON, as Airflow reads connections from its environment; with the token
    """

    conn_id: str
    written: int
    connections: Mapping[str, str] = field(repr=False)

    @property
    def sentence(self) -> str:
        """Where the settings come from, for people."""
        there = len(flights.SETTINGS) - self.written
        return f"training settings below {PREFIX} in Consul: {self.written} put there, {there} were there"

    def spec(self, original: Path, folder: Path) -> Path:
        """Write a pipeline spec that takes a snapshot of the settings for every training.

        :param original: the spec without
        :param folder: where it goes, under the same name
        :returns: its path
        """
        spec = yaml.safe_load(original.read_text())
        spec["train"] |= {"snapshot": PREFIX, "consul_connection": self.conn_id}
        target = folder / original.name
        target.write_text(yaml.safe_dump(spec, sort_keys=False))
        return target


def settle(conn_id: str) -> SettingsInConsul:
    """Put the settings that are not in Consul there; what is there stays.

    :param conn_id: a connection of the type ``consul`` that Airflow finds in this process
    :raises InvalidInput: the connection cannot be used
    :raises ConsulError: Consul cannot be reached, or the token may not read and write there
    :raises ParameterChanged: somebody else put one there at the same moment
    """
    store = open_parameters(conn_id)
    there = store.find(PREFIX)
    wanted = {f"{PREFIX}/{name}": value for name, value in flights.SETTINGS.items()}
    missing = {name: value for name, value in wanted.items() if name not in there}
    if missing:
        store.put_many(missing, by=login_name(), reason="exia demo", expected=dict.fromkeys(missing, 0))
    return SettingsInConsul(conn_id=conn_id, written=len(missing), connections={conn_id: _as_json(conn_id)})


def _as_json(conn_id: str) -> str:
    from airflow.sdk import BaseHook

    return BaseHook.get_connection(conn_id).as_json()
