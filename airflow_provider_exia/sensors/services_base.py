"""What the sensors of services share."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_exia.exceptions import ExiaError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.triggers.services import ServiceTrigger


class ServiceSensor(BaseSensorOperator):
    """Looks with a trigger, and waits here or in the triggerer."""

    deferrable: bool

    def poke(self, context: Context) -> Any:  # noqa: ARG002 - the same for every context
        """Look once."""
        from airflow.sdk import PokeReturnValue

        met = self._trigger.look()
        return PokeReturnValue(is_done=met is not None, xcom_value=met)

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if not self.deferrable:
            return super().execute(context)
        met = self._trigger.look()
        if met is not None:
            return met
        self.defer(trigger=self._trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        raise AssertionError("defer() does not return")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:  # noqa: ARG002 - Airflow's signature
        """Go on after the trigger's event."""
        if event["status"] != "met":
            raise ExiaError(event["message"])
        return event["met"]

    @cached_property
    def _trigger(self) -> ServiceTrigger:
        """What looks, here and in the triggerer."""
        raise NotImplementedError
