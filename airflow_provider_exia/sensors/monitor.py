"""Wait for a monitor: for one of its states, or for a value of its metric."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.sensors.looking import LookingSensor

if TYPE_CHECKING:
    from airflow_provider_exia.triggers.monitor import MonitorConditionTrigger


class MetricThresholdSensor(LookingSensor):
    """Wait until a monitor is in one of some states, or its newest value has reached a threshold. It reads only.

    :param model: the model's name (templated)
    :param monitor: the monitor's name (templated)
    :param states: names of states, as in ``("DEGRADED", "HALTED")``; or a threshold by ``at_least`` or ``at_most``
    :param at_least: the newest value is this or more
    :param at_most: the newest value is this or less
    :param metric: whose value; default: any of the monitor
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
        self.exia_conn_id = exia_conn_id

    @cached_property
    def trigger(self) -> MonitorConditionTrigger:
        """What looks, here and in the triggerer."""
        from airflow_provider_exia.triggers.monitor import MonitorConditionTrigger

        return MonitorConditionTrigger(
            exia_conn_id=self.exia_conn_id,
            model=self.model,
            monitor=self.monitor,
            condition={
                "states": list(self.states),
                "at_least": self.at_least,
                "at_most": self.at_most,
                "metric": self.metric,
            },
            poll_seconds=self.poke_interval,
        )
