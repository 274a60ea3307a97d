"""What all sensors that look again and again share: they look with their trigger, here or in the triggerer."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_exia.exceptions import ExiaError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.triggers.looking import LookingTrigger


class LookingSensor(BaseSensorOperator):
    """Waits until what its trigger looks for is there.

    :param deferrable: wait in the triggerer (the default), else in the mode ``poke`` or ``reschedule``; the latter
        needs a ``poke_interval`` of several seconds, as Airflow takes a sensor for killed that is due again before the
        scheduler has seen its last look end
    """

    def __init__(self, *, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    @property
    @abstractmethod
    def trigger(self) -> LookingTrigger:
        """What looks; subclasses keep the one they made."""

    def poke(self, context: Context) -> Any:
        """Look once."""
        from airflow.sdk import PokeReturnValue

        found = self._look()
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if not self.deferrable:
            return super().execute(context)
        found = self._look()
        if found is not None:
            return found
        self.defer(trigger=self.trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        raise AssertionError("defer() does not return")

    def _look(self) -> Any:
        try:
            found = self.trigger.look()
        finally:
            self.trigger.release()
        if found is None:
            self.log.info("not there yet: %r", self.trigger)
        else:
            self.log.info("%s", found)
        return found

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:  # Airflow's signature
        """Go on after the trigger's event."""
        if event["status"] != "found":
            raise ExiaError(event["message"])
        self.log.info("%s", event["found"])
        return event["found"]
