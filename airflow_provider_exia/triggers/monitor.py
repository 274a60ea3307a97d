"""The trigger behind :class:`~airflow_provider_exia.sensors.monitor.MetricThresholdSensor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.storage.documents import StoreUnavailable

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.conditions import Condition


class MonitorConditionTrigger(BaseTrigger):
    """Wait until a monitor meets a condition.

    A store that cannot be reached for a while does not end the waiting; any other error does, as an event.

    :param exia_conn_id: a connection of the type ``exia``
    :param model: the model's name
    :param monitor: the monitor's name
    :param condition: the fields of a :class:`~airflow_provider_exia.monitoring.conditions.Condition`
    :param poll_seconds: between two looks
    """

    def __init__(
        self, *, exia_conn_id: str, model: str, monitor: str, condition: dict[str, Any], poll_seconds: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.exia_conn_id = exia_conn_id
        self.model = model
        self.monitor = monitor
        self.condition = condition
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "exia_conn_id": self.exia_conn_id,
                "model": self.model,
                "monitor": self.monitor,
                "condition": self.condition,
                "poll_seconds": self.poll_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the condition is met, or waiting is pointless."""
        try:
            hook = MonitorHook(self.exia_conn_id)
            await hook.prepare()
            condition = await asyncio.to_thread(_condition, self.condition)
            met = await self._look(hook, condition)
            while met is None:
                await asyncio.sleep(self.poll_seconds)  # noqa: ASYNC110 - what is waited for lies in a store
                met = await self._look(hook, condition)
        except ExiaError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
            return
        yield TriggerEvent({"status": "met", "message": met})

    async def _look(self, hook: MonitorHook, condition: Condition) -> str | None:
        from airflow_provider_exia.monitoring.conditions import meets

        try:
            return await asyncio.to_thread(
                lambda: meets(hook.journal(self.model, self.monitor), hook.points, condition)
            )
        except StoreUnavailable as error:
            self.log.warning("looking again in %s s: %s", self.poll_seconds, error)
            return None


def _condition(fields: dict[str, Any]) -> Condition:
    from airflow_provider_exia.monitoring.conditions import Condition

    return Condition(**{**fields, "states": tuple(fields.get("states") or ())})
