"""The triggers that wait for parameters to change: one for a sensor, one for an asset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_exia.consul.exceptions import ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.consul import ConsulParamHook

if TYPE_CHECKING:
    from airflow_provider_exia.consul.key_values import KeyValue
    from airflow_provider_exia.parameters.changes import Interest

_PAUSE_SECONDS = 0.5
_CURSOR = "exia_parameter_indices"


class ParameterChangeTrigger(BaseTrigger):
    """Wait until a parameter, or any below it, is no longer as it is known.

    :param consul_conn_id: a connection of the type ``consul``
    :param name: of the parameter, or the prefix of several
    :param environment: where it is looked for first; None: the connection's
    :param inherits: where it is looked for next; None: the connection's
    :param known: name to index of each parameter when it was last looked at
    """

    def __init__(
        self,
        *,
        consul_conn_id: str,
        name: str,
        environment: str | None = None,
        inherits: list[str] | None = None,
        known: dict[str, int],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.known = known
        self.arguments: dict[str, Any] = {
            "consul_conn_id": consul_conn_id,
            "name": name,
            "environment": environment,
            "inherits": inherits,
            "known": known,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: what changed, or that waiting is pointless."""
        try:
            interest = await _interest(self.arguments)
            present = await _next(interest, self.known)
        except ExiaError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
            return
        yield TriggerEvent({"status": "changed", **_told(self.known, present)})


class ParameterChangeEventTrigger(BaseEventTrigger):
    """Emit an event of an asset whenever a parameter, or any below it, changes; for an ``AssetWatcher``.

    Where it stands is kept with the asset, so a change while no triggerer ran is told by the next one. Airflow keeps it
    for one asset: give each asset a trigger with a name or environment of its own.

    :param name: of the parameter, or the prefix of several
    :param environment: where it is looked for first; None: the connection's
    :param inherits: where it is looked for next; None: the connection's
    :param consul_conn_id: a connection of the type ``consul``
    """

    def __init__(
        self,
        *,
        name: str,
        environment: str | None = None,
        inherits: list[str] | None = None,
        consul_conn_id: str = ConsulParamHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.arguments: dict[str, Any] = {
            "name": name,
            "environment": environment,
            "inherits": inherits,
            "consul_conn_id": consul_conn_id,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each change, for ever; changes that follow close on each other may be one."""
        interest = await _interest(self.arguments)
        known = await self._read_cursor()
        if known is None:
            known = await _look(interest)
            await self._keep_cursor(known)
        while True:
            present = await _next(interest, known)
            yield TriggerEvent(_told(known, present))
            known = present
            await self._keep_cursor(known)

    async def _read_cursor(self) -> dict[str, int] | None:
        if self.asset_state_store is None:
            return None
        kept = await self.asset_state_store.aget(_CURSOR)
        return cast("dict[str, int]", dict(kept)) if isinstance(kept, Mapping) else None

    async def _keep_cursor(self, known: dict[str, int]) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(_CURSOR, {**known})


async def _interest(arguments: Mapping[str, Any]) -> Interest:
    from airflow_provider_exia.parameters.changes import Interest

    hook = ConsulParamHook(
        arguments["consul_conn_id"], environment=arguments["environment"], inherits=arguments["inherits"]
    )
    await hook.prepare()
    return await asyncio.to_thread(lambda: Interest(store=hook.store, name=arguments["name"]))


async def _next(interest: Interest, known: Mapping[str, int]) -> dict[str, int]:
    """Return name to index as soon as that is not what is known."""
    from airflow_provider_exia.consul.watching import watch

    def differs(keys: Mapping[str, KeyValue]) -> bool | None:
        return True if interest.indices_in(keys.values()) != known else None

    watched = watch(interest.store.key_values, interest.watched)
    while True:
        await watched.until(differs)
        present = await _look(interest)  # what a watcher shows may be older than what is known
        if present != known:
            return present
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look(interest: Interest) -> dict[str, int]:
    while True:
        try:
            return await asyncio.to_thread(interest.look)
        except ConsulUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)


def _told(known: Mapping[str, int], present: dict[str, int]) -> dict[str, Any]:
    from airflow_provider_exia.parameters.changes import changed

    return {"changed": changed(known, present), "indices": present}
