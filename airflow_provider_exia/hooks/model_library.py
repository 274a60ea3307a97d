"""The hook of the model library: an Airflow connection of the type ``exia`` becomes a library."""

from __future__ import annotations

import os
import tempfile
import uuid
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_exia.exceptions import ExiaError, InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.loading import LoadPolicy
    from airflow_provider_exia.monitoring.decisions import DecisionLog


class ModelLibraryHook(BaseHook):
    """Gives tasks the model library that a connection names.

    Without such a connection the default one means the embedded library below ``$AIRFLOW_HOME/exia``.

    :param exia_conn_id: a connection of the type ``exia``
    :param trusted_types: types that a model file may hold beyond its library's own list and the connection's
    """

    conn_name_attr = "exia_conn_id"
    default_conn_name = "exia_default"
    conn_type = "exia"
    hook_name = "Exia model library"

    def __init__(self, exia_conn_id: str = default_conn_name, *, trusted_types: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.exia_conn_id = exia_conn_id
        self._prepared: tuple[Connection | None, ...] = ()
        self.trusted_types = trusted_types

    @cached_property
    def library(self) -> ModelLibrary:
        """The library, opened at first use.

        :raises InvalidInput: the connection does not exist or cannot be understood
        """
        from airflow_provider_exia.model_library.library import open_library

        connection = self._connection()
        documents, blobs = _locations(connection)
        policy = _load_policy(connection)
        policy = replace(policy, trusted_types=(*policy.trusted_types, *self.trusted_types))
        return open_library(documents, blobs=blobs, policy=policy)

    @cached_property
    def decisions(self) -> DecisionLog:
        """The gate's decisions, in the library's document store."""
        from airflow_provider_exia.monitoring.decisions import DecisionLog

        return DecisionLog(self.library.resources.documents)

    def get_conn(self) -> ModelLibrary:
        """Return the library."""
        return self.library

    def test_connection(self) -> tuple[bool, str]:
        """Write, read and remove a probe in both stores; for the button in the Airflow UI."""
        from airflow_provider_exia.model_library.names import LATEST
        from airflow_provider_exia.model_library.records import PINS

        try:
            resources = self.library.resources
            probe = {"scope": f"probe-{uuid.uuid4().hex}", "reference": LATEST, "version": 0}
            key = {"scope": str(probe["scope"]), "reference": LATEST}
            where = "documents"
            resources.documents.insert(PINS, probe)
            found = resources.documents.get(PINS, key)
            resources.documents.delete(PINS, key)
            if found is None:
                return False, "documents: a probe that was written could not be read back"
            where = "blobs"
            _probe_blobs(resources.blobs, f"{resources.prefix}-probe/{uuid.uuid4().hex}")
        except InvalidInput as error:
            return False, str(error)
        except ExiaError as error:
            return False, f"{where}: {error}"
        return True, "a probe was written, read and removed in both stores"

    async def prepare(self) -> None:
        """Read the connection without blocking an event loop; a trigger calls it before anything else."""
        try:
            self._prepared = (await self.aget_connection(self.exia_conn_id),)
        except AirflowNotFoundException as error:
            self._require_default(error)
            self._prepared = (None,)

    def _connection(self) -> Connection | None:
        if self._prepared:
            return self._prepared[0]
        try:
            return self.get_connection(self.exia_conn_id)
        except AirflowNotFoundException as error:
            self._require_default(error)
            return None

    def _require_default(self, error: AirflowNotFoundException) -> None:
        """Refuse a connection that was named and does not exist; without the default one the library is embedded."""
        if self.exia_conn_id != self.default_conn_name:
            raise InvalidInput(
                f"connection {self.exia_conn_id!r} does not exist: make one of the type 'exia' in the Airflow UI, or "
                "name none to use the library below $AIRFLOW_HOME/exia"
            ) from error


def _probe_blobs(blobs: Any, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="exia-") as folder:
        source = Path(folder) / "probe"
        source.write_bytes(b"probe")
        blobs.put(key, source)
    try:
        with blobs.open(key) as stream:
            if stream.read() != b"probe":
                raise InvalidInput("blobs: other bytes came back than were written")
    finally:
        blobs.delete(key)


def _locations(connection: Connection | None) -> tuple[str, str]:
    from airflow_provider_exia.model_library.embedded import embedded_locations

    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    documents, blobs = embedded_locations(home)
    if connection is None:
        return documents, blobs
    if connection.conn_type != ModelLibraryHook.conn_type:
        raise InvalidInput(
            f"connection {connection.conn_id!r} is of the type {connection.conn_type!r}, expected "
            f"{ModelLibraryHook.conn_type!r}: name another connection, or change its type"
        )
    extra = connection.extra_dejson
    given = extra.get("documents") or None, extra.get("blobs") or None
    if given == (None, None):
        return documents, blobs
    if None in given:
        missing = "documents" if given[0] is None else "blobs"
        raise InvalidInput(
            f"connection {connection.conn_id!r}: {missing!r} is empty; give both 'documents' and 'blobs', or neither"
        )
    return str(given[0]), str(given[1])


def _load_policy(connection: Connection | None) -> LoadPolicy:
    from airflow_provider_exia.model_library.formats import format_named
    from airflow_provider_exia.model_library.loading import LoadPolicy

    if connection is None:
        return LoadPolicy()
    extra = connection.extra_dejson
    policy = LoadPolicy(
        trusted_types=tuple(_words(extra.get("trusted_types"))),
        max_bytes=_positive(connection, extra.get("max_bytes")),
        refuse_other_major=_switch(connection, "refuse_other_major"),
    )
    formats = _words(extra.get("formats"))
    return replace(policy, formats=frozenset(format_named(name).name for name in formats)) if formats else policy


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(word) for word in value]
    return str(value or "").replace(",", " ").split()


def _switch(connection: Connection, name: str) -> bool:
    value = connection.extra_dejson.get(name)
    known = {"": False, "0": False, "false": False, "1": True, "true": True}
    switched = known.get(str("" if value is None else value).strip().lower())
    if switched is None:
        raise InvalidInput(f"connection {connection.conn_id!r}: {name} is {value!r}, expected true or false")
    return switched


def _positive(connection: Connection, value: Any) -> int | None:
    if value in (None, ""):
        return None
    if not str(value).isdecimal() or int(value) <= 0:
        raise InvalidInput(f"connection {connection.conn_id!r}: max_bytes is {value!r}, expected a number of bytes")
    return int(value)
