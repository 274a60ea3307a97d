"""The trigger behind :class:`~airflow_provider_exia.sensors.model.ModelAliasSensor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.storage.documents import StoreUnavailable

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.waiting import AliasCondition


class ModelAliasTrigger(BaseTrigger):
    """Wait until an alias names a version, or another one.

    A store that cannot be reached for a while does not end the waiting; any other error does, as an event.

    :param exia_conn_id: a connection of the type ``exia``
    :param condition: the fields of an :class:`~airflow_provider_exia.model_library.waiting.AliasCondition`
    :param poll_seconds: between two looks
    """

    def __init__(self, *, exia_conn_id: str, condition: dict[str, Any], poll_seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.exia_conn_id = exia_conn_id
        self.condition = condition
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"exia_conn_id": self.exia_conn_id, "condition": self.condition, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the alias names a version that counts, or waiting is pointless."""
        try:
            hook = ModelLibraryHook(self.exia_conn_id)
            await hook.prepare()
            condition = await asyncio.to_thread(_condition, self.condition)
            reference = await self._look(hook, condition)
            while reference is None:
                await asyncio.sleep(self.poll_seconds)  # noqa: ASYNC110 - what is waited for lies in a store
                reference = await self._look(hook, condition)
        except ExiaError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
            return
        yield TriggerEvent({"status": "met", "reference": reference})

    async def _look(self, hook: ModelLibraryHook, condition: AliasCondition) -> str | None:
        try:
            return await asyncio.to_thread(lambda: condition.met_by(hook.library))
        except StoreUnavailable as error:
            self.log.warning("looking again in %s s: %s", self.poll_seconds, error)
            return None


def _condition(fields: dict[str, Any]) -> AliasCondition:
    from airflow_provider_exia.model_library.waiting import AliasCondition

    return AliasCondition(**fields)
