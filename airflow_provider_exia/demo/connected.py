"""The demo on a library that an Airflow connection names: read here, handed on to the demo's own Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_exia.cli.places import Place
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.library import ModelLibrary

TASKS_USE = "exia_default"
"""The connection that the demo's DAGs use, since they name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedLibrary:
    """A library, and the connections through which tasks find it.

    :param conn_id: the connection that names it
    :param library: the library, open
    :param connections: id to JSON, as Airflow reads connections from its environment; with their passwords
    """

    conn_id: str
    library: ModelLibrary
    connections: Mapping[str, str] = field(repr=False)


def connect(conn_id: str, *, model: str) -> ConnectedLibrary:
    """Open the library of a connection, and read the connections that it names.

    :param conn_id: a connection of the type ``exia`` that Airflow finds in this process
    :param model: the model that the demo is about
    :raises InvalidInput: the connection cannot be used, or the library holds the model already
    :raises StorageError: a store cannot be reached
    """
    library = Place(connection=conn_id).open(make=True)
    if model in library.models():
        raise InvalidInput(
            f"the library of connection {conn_id!r} already holds a model {model!r}, whose history the demo would mix "
            "with its own: name a connection to an empty database"
        )
    return ConnectedLibrary(conn_id=conn_id, library=library, connections=_connections(conn_id))


def _connections(conn_id: str) -> dict[str, str]:
    from airflow.sdk import BaseHook

    from airflow_provider_exia.hooks.library_connection import named_connections

    connection = BaseHook.get_connection(conn_id)
    named = {name: BaseHook.get_connection(name).as_json() for name in named_connections(connection)}
    return {**named, TASKS_USE: connection.as_json()}
