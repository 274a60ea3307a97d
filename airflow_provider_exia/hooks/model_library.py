"""The hook of the model library: an Airflow connection of the type ``exia`` becomes a library."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.hooks.library_connection import CONN_TYPE, named_connections, open_connected
from airflow_provider_exia.task_identity import Actor, task_actor

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.decisions import DecisionLog


class ModelLibraryHook(BaseHook):
    """Gives tasks the model library that a connection names.

    Without such a connection the default one means the embedded library below ``$AIRFLOW_HOME/exia``.

    :param exia_conn_id: a connection of the type ``exia``
    :param trusted_types: types that a model file may hold beyond its library's own list and the connection's
    :param allow_pickle: read pickle and joblib files too, which run code, where a configured key has signed the version
    """

    conn_name_attr = "exia_conn_id"
    default_conn_name = "exia_default"
    conn_type = CONN_TYPE
    hook_name = "Exia model library"

    def __init__(
        self,
        exia_conn_id: str = default_conn_name,
        *,
        trusted_types: tuple[str, ...] = (),
        allow_pickle: bool = False,
    ) -> None:
        super().__init__()
        self.exia_conn_id = exia_conn_id
        self._prepared: dict[str, Connection | None] = {}
        self.trusted_types = trusted_types
        self.allow_pickle = allow_pickle

    @cached_property
    def library(self) -> ModelLibrary:
        """The library, opened at first use.

        :raises InvalidInput: the connection, or one that it names, does not exist or cannot be understood
        """
        return open_connected(
            self._connection(),
            self._named,
            trusted_types=self.trusted_types,
            allow_pickle=self.allow_pickle,
            by=_running_task(),
        )

    @cached_property
    def decisions(self) -> DecisionLog:
        """The gate's decisions, in the library's document store."""
        from airflow_provider_exia.monitoring.decisions import DecisionLog

        return DecisionLog(self.library.resources.documents)

    def get_conn(self) -> ModelLibrary:
        """Return the library."""
        return self.library

    def close(self) -> None:
        """Close the library's connections; the next use opens them again."""
        if "library" in self.__dict__:
            self.library.close()

    def read_inline(self, reference: str) -> Any:
        """Return the JSON value of a version, or the code that it refers to, verified first.

        :param reference: ``name/3``, ``name@alias``, ``name@latest`` or ``name``
        :raises InvalidInput: it is a model of another format
        :raises FormatRefused: its code may not be imported here
        """
        return self.library.read_inline(reference)

    def test_connection(self) -> tuple[bool, str]:
        """Write, read and remove a probe in both stores; for the button in the Airflow UI."""
        from airflow_provider_exia.model_library.probing import probe_blobs, probe_documents

        try:
            library = self.library
        except ExiaError as error:
            # Airflow tests a connection under a made-up id, which would only confuse.
            return False, str(error).removeprefix(f"connection {self.exia_conn_id!r}: ")
        problems = []
        with library:
            for store, probe in (("documents", probe_documents), ("blobs", probe_blobs)):
                try:
                    probe(library.resources)
                except ExiaError as error:
                    problems.append(f"{store}: {error}")
        return not problems, "; ".join(problems) or "a probe was written, read and removed in both stores"

    async def prepare(self) -> None:
        """Read the connections without blocking an event loop; a trigger calls it before anything else."""
        try:
            connection = await self.aget_connection(self.exia_conn_id)
        except AirflowNotFoundException as error:
            self._require_default(error)
            self._prepared = {self.exia_conn_id: None}
            return
        self._prepared = {self.exia_conn_id: connection}
        for conn_id in named_connections(connection):
            try:
                self._prepared[conn_id] = await self.aget_connection(conn_id)
            except AirflowNotFoundException as error:
                raise self._not_there(conn_id) from error

    def _connection(self) -> Connection | None:
        if self.exia_conn_id in self._prepared:
            return self._prepared[self.exia_conn_id]
        try:
            return self.get_connection(self.exia_conn_id)
        except AirflowNotFoundException as error:
            self._require_default(error)
            return None

    def _named(self, conn_id: str) -> Connection:
        """Return a connection that ours names."""
        if (prepared := self._prepared.get(conn_id)) is not None:
            return prepared
        try:
            return self.get_connection(conn_id)
        except AirflowNotFoundException as error:
            raise self._not_there(conn_id) from error

    def _not_there(self, conn_id: str) -> InvalidInput:
        return InvalidInput(
            f"connection {self.exia_conn_id!r}: it names the connection {conn_id!r}, which does not exist: make that "
            "one too, or name another"
        )

    def _require_default(self, error: AirflowNotFoundException) -> None:
        """Refuse a connection that was named and does not exist; without the default one the library is embedded."""
        if "://" in self.exia_conn_id:
            raise InvalidInput(  # not the text itself: it may hold a password
                "the connection is named by a URL: expected the id of an Airflow connection of the type 'exia'"
            ) from None
        if self.exia_conn_id != self.default_conn_name:
            raise InvalidInput(
                f"connection {self.exia_conn_id!r} does not exist: make one of the type 'exia' in the Airflow UI, or "
                "name none to use the library below $AIRFLOW_HOME/exia"
            ) from error


def _running_task() -> Actor | None:
    """Return the task that uses the hook by itself, as a function under ``@task`` does; None outside a task."""
    try:
        return task_actor(get_current_context())
    except RuntimeError:
        return None
