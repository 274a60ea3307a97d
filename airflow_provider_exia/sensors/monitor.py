"""Wait for a monitor: for one of its states, or for a value of its metric."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.monitor import MonitorHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.monitoring.conditions import Condition


class MetricThresholdSensor(BaseSensorOperator):
    """Wait until a monitor is in one of some states, or its newest value has reached a threshold. It reads only.

    :param model: the model's name (templated)
    :param monitor: the monitor's name (templated)
    :param states: names of states, as in ``("DEGRADED", "HALTED")``; or a threshold by ``at_least`` or ``at_most``
    :param at_least: the newest value is this or more
    :param at_most: the newest value is this or less
    :param metric: whose value; default: any of the monitor
    :param deferrable: wait in the triggerer (the default), else in the mode ``poke`` or ``reschedule``
    :param exia_conn_id: a connection of the type ``exia``
    :returns: in words, how the condition was met
    :raises InvalidInput: the condition is none
    """

    template_fields: Sequence[str] = ("model", "monitor")

    def __init__(
        self,
        *,
        model: str,
        monitor: str,
        states: Sequence[str] = (),
        at_least: float | None = None,
        at_most: float | None = None,
        metric: str | None = None,
        deferrable: bool = True,
        exia_conn_id: str = MonitorHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.monitor = monitor
        self.states = tuple(states)
        self.at_least = at_least
        self.at_most = at_most
        self.metric = metric
        self.deferrable = deferrable
        self.exia_conn_id = exia_conn_id

    @cached_property
    def hook(self) -> MonitorHook:
        """The hook, which opens the library at its first use."""
        return MonitorHook(self.exia_conn_id)

    def poke(self, context: Context) -> Any:  # noqa: ARG002 - the same for every context
        """Look once."""
        from airflow.sdk import PokeReturnValue

        met = self._look()
        return PokeReturnValue(is_done=met is not None, xcom_value=met)

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if not self.deferrable:
            return super().execute(context)
        met = self._look()
        if met is not None:
            return met
        from airflow_provider_exia.triggers.monitor import MonitorConditionTrigger

        self.defer(
            trigger=MonitorConditionTrigger(
                exia_conn_id=self.exia_conn_id,
                model=self.model,
                monitor=self.monitor,
                condition=self._fields(),
                poll_seconds=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        raise AssertionError("defer() does not return")

    def execute_complete(self, context: Context, event: dict[str, str]) -> str:  # noqa: ARG002 - Airflow's signature
        """Go on after the trigger's event."""
        if event["status"] != "met":
            raise ExiaError(event["message"])
        self.log.info("%s", event["message"])
        return event["message"]

    def _look(self) -> str | None:
        from airflow_provider_exia.monitoring.conditions import meets

        return meets(self.hook.journal(self.model, self.monitor), self.hook.points, self._condition())

    def _condition(self) -> Condition:
        from airflow_provider_exia.monitoring.conditions import Condition

        return Condition(**{**self._fields(), "states": self.states})

    def _fields(self) -> dict[str, Any]:
        return {
            "states": list(self.states),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "metric": self.metric,
        }
