"""The trigger behind :class:`~airflow_provider_exia.sensors.monitor.MetricThresholdSensor`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.triggers.looking import LookingTrigger

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.conditions import Condition


class MonitorConditionTrigger(LookingTrigger):
    """Wait until a monitor meets a condition.

    :param exia_conn_id: a connection of the type ``exia``
    :param model: the model's name
    :param monitor: the monitor's name
    :param condition: the fields of a :class:`~airflow_provider_exia.monitoring.conditions.Condition`
    :param poll_seconds: between two looks
    """

    def __init__(
        self, *, exia_conn_id: str, model: str, monitor: str, condition: dict[str, Any], poll_seconds: float
    ) -> None:
        super().__init__(
            poll_seconds=poll_seconds, exia_conn_id=exia_conn_id, model=model, monitor=monitor, condition=condition
        )
        self.hook = MonitorHook(exia_conn_id)

    async def prepare(self) -> None:
        """Read the connection without blocking the event loop."""
        await self.hook.prepare()

    def look(self) -> str | None:
        """Return in words how the condition is met, or None."""
        from airflow_provider_exia.monitoring.conditions import meets

        journal = self.hook.journal(self.arguments["model"], self.arguments["monitor"])
        return meets(journal, self.hook.points, self._condition)

    def release(self) -> None:
        """Close the library's connections."""
        self.hook.close()

    @cached_property
    def _condition(self) -> Condition:
        from airflow_provider_exia.monitoring.conditions import Condition

        fields = self.arguments["condition"]
        return Condition(**{**fields, "states": tuple(fields.get("states") or ())})
