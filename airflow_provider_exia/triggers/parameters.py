"""The triggers that wait for parameters to change: one for a sensor, one for an asset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_exia.consul.exceptions import ConsulUnavailable
from airflow_provider_exia.hooks.consul import ConsulParamHook
from airflow_provider_exia.triggers.looking import LookingTrigger

if TYPE_CHECKING:
    from airflow_provider_exia.consul.key_values import KeyValue
    from airflow_provider_exia.parameters.changes import Interest
    from airflow_provider_exia.parameters.layout import Layout

_PAUSE_SECONDS = 0.5
_CURSOR = "exia_parameter_indices"


class ParameterChangeTrigger(LookingTrigger):
    """Wait until a parameter, or any below it, is no longer as it is known.

    :param consul_conn_id: a connection of the type ``consul``
    :param name: of the parameter, or the prefix of several
    :param known: name to index of each parameter when it was last looked at
    :param environment: where it is looked for first; None: the connection's
    :param inherits: where it is looked for next; None: the connection's
    :param poll_seconds: between two tries while Consul cannot be reached
    """

    def __init__(
        self,
        *,
        consul_conn_id: str,
        name: str,
        known: dict[str, int],
        environment: str | None = None,
        inherits: list[str] | None = None,
        poll_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        super().__init__(
            poll_seconds=poll_seconds,
            consul_conn_id=consul_conn_id,
            name=name,
            known=known,
            environment=environment,
            inherits=inherits,
        )
        self.known = known
        self.hook = ConsulParamHook(consul_conn_id, environment=environment, inherits=inherits)

    async def prepare(self) -> None:
        """Read the connection without blocking the event loop."""
        await self.hook.prepare()

    def look(self) -> dict[str, Any] | None:
        """Return ``{"changed": names, "indices": name to index}``, or None."""
        return _told(self.known, self.interest.look())

    async def wait(self) -> dict[str, Any]:
        """Return what changed, as soon as something has."""
        return await _next(self.interest, self.known, self.poll_seconds)

    @cached_property
    def interest(self) -> Interest:
        """What is waited for."""
        from airflow_provider_exia.parameters.changes import Interest

        return Interest(store=self.hook.store, name=self.arguments["name"])


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
        known = await self._read_cursor()
        looking = ParameterChangeTrigger(**self.arguments, known=known or {})
        await looking.prepare()
        if known is None:
            known = await _look(looking.interest, _PAUSE_SECONDS)
            await self._keep_cursor(known)
        while True:
            told = await _next(looking.interest, known, _PAUSE_SECONDS)
            yield TriggerEvent(told)
            known = told["indices"]
            await self._keep_cursor(known)

    async def _read_cursor(self) -> dict[str, int] | None:
        if self.asset_state_store is None:
            return None
        kept = await self.asset_state_store.aget(_CURSOR)
        return cast("dict[str, int]", dict(kept)) if isinstance(kept, Mapping) else None

    async def _keep_cursor(self, known: dict[str, int]) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(_CURSOR, {**known})


async def _next(interest: Interest, known: Mapping[str, int], pause_seconds: float) -> dict[str, Any]:
    """Return what changed against what is known, as soon as something has."""
    from airflow_provider_exia.consul.watching import watch

    seen: dict[Layout, dict[str, int]] = {}

    async def stirs(layout: Layout) -> None:
        """Wait until an environment shows something else than when it was last seen; at first it shows itself."""

        def differs(keys: Mapping[str, KeyValue]) -> bool | None:
            indices = interest.indices_in(layout, keys.values())
            if seen.get(layout) == indices:
                return None
            seen[layout] = indices
            return True

        await watch(interest.store.key_values, layout.values).until(differs)

    while True:
        # Each environment is seen before this look, so that no change falls between the two.
        told = _told(known, await _look(interest, pause_seconds)) if len(seen) == len(interest.store.layouts) else None
        if told is not None:
            return told
        await _first_of([stirs(layout) for layout in interest.store.layouts])


async def _first_of(waits: list[Any]) -> None:
    """Wait for the first of several, and give up the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def _look(interest: Interest, pause_seconds: float) -> dict[str, int]:
    while True:
        try:
            return await asyncio.to_thread(interest.look)
        except ConsulUnavailable:
            await asyncio.sleep(pause_seconds)


def _told(known: Mapping[str, int], present: dict[str, int]) -> dict[str, Any] | None:
    from airflow_provider_exia.parameters.changes import changed

    names = changed(known, present)
    return {"changed": names, "indices": present} if names else None
