"""The trigger behind :class:`~airflow_provider_exia.sensors.model.ModelAliasSensor`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.triggers.looking import LookingTrigger

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.waiting import AliasCondition


class ModelAliasTrigger(LookingTrigger):
    """Wait until an alias names a version, or another one.

    :param exia_conn_id: a connection of the type ``exia``
    :param condition: the fields of an :class:`~airflow_provider_exia.model_library.waiting.AliasCondition`
    :param poll_seconds: between two looks
    """

    def __init__(self, *, exia_conn_id: str, condition: dict[str, Any], poll_seconds: float) -> None:
        super().__init__(poll_seconds=poll_seconds, exia_conn_id=exia_conn_id, condition=condition)
        self.hook = ModelLibraryHook(exia_conn_id)

    async def prepare(self) -> None:
        """Read the connection without blocking the event loop."""
        await self.hook.prepare()

    def look(self) -> str | None:
        """Return the version that counts, as a numbered reference, or None."""
        return self._condition.met_by(self.hook.library)

    def release(self) -> None:
        """Close the library's connections."""
        self.hook.close()

    @cached_property
    def _condition(self) -> AliasCondition:
        from airflow_provider_exia.model_library.waiting import AliasCondition

        return AliasCondition(**self.arguments["condition"])
