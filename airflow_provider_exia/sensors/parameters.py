"""Wait for parameters in Consul to change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.hooks.consul import ConsulParamHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.parameters.changes import Interest


class ParameterChangeSensor(BaseSensorOperator):
    """Wait until a parameter, or any below it, is no longer as it is known: changed, new or gone.

    :param name: of the parameter, or the prefix of several (templated)
    :param known: name to index when it was last looked at, as a write, or this sensor under ``indices``, hands them on
        (templated, also as JSON text); default: as it is when the task begins, which the mode ``reschedule`` cannot
        remember
    :param environment: where it is looked for first (templated); default: the connection's
    :param inherits: where it is looked for next; default: the connection's
    :param deferrable: wait in the triggerer (the default), else in the mode ``poke`` or ``reschedule``
    :param consul_conn_id: a connection of the type ``consul``
    :returns: ``{"changed": names, "indices": name to index}``
    :raises InvalidInput: the name cannot be one, or ``known`` is missing in the mode ``reschedule``
    """

    template_fields: Sequence[str] = ("name", "known", "environment")

    def __init__(
        self,
        *,
        name: str,
        known: Mapping[str, int] | None = None,
        environment: str | None = None,
        inherits: Sequence[str] | None = None,
        deferrable: bool = True,
        consul_conn_id: str = ConsulParamHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.known = known
        self.environment = environment
        self.inherits = inherits
        self.deferrable = deferrable
        self.consul_conn_id = consul_conn_id

    @cached_property
    def hook(self) -> ConsulParamHook:
        """The hook, which connects at its first use."""
        return ConsulParamHook(self.consul_conn_id, environment=self.environment, inherits=self.inherits)

    def poke(self, context: Context) -> Any:  # noqa: ARG002 - the same for every context
        """Look once."""
        from airflow.sdk import PokeReturnValue

        told = self._look()
        return PokeReturnValue(is_done=bool(told["changed"]), xcom_value=told)

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if self.known is None:
            if not self.deferrable and self.reschedule:
                raise InvalidInput(
                    f"ParameterChangeSensor of {self.name!r}: in the mode 'reschedule' give 'known': each look is a "
                    "process of its own and remembers nothing"
                )
            self.known = self._interest.look()
        self.known = _read_known(self.name, self.known)
        if not self.deferrable:
            return super().execute(context)
        told = self._look()
        if told["changed"]:
            return told
        from airflow_provider_exia.triggers.parameters import ParameterChangeTrigger

        self.defer(
            trigger=ParameterChangeTrigger(
                consul_conn_id=self.consul_conn_id,
                name=self.name,
                environment=self.environment,
                inherits=None if self.inherits is None else list(self.inherits),
                known=dict(self.known),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        raise AssertionError("defer() does not return")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Go on after the trigger's event."""
        if event["status"] != "changed":
            raise ExiaError(event["message"])
        self.log.info("changed: %s", ", ".join(event["changed"]))
        return {"changed": event["changed"], "indices": event["indices"]}

    @cached_property
    def _interest(self) -> Interest:
        from airflow_provider_exia.parameters.changes import Interest

        return Interest(store=self.hook.store, name=self.name)

    def _look(self) -> dict[str, Any]:
        from airflow_provider_exia.parameters.changes import changed

        present = self._interest.look()
        return {"changed": changed(self.known or {}, present), "indices": present}


def _read_known(name: str, known: Any) -> dict[str, int]:
    """Return name to index out of a mapping, or out of the JSON text that a template makes of one."""
    try:
        read = json.loads(known) if isinstance(known, str) else known
        return {str(parameter): int(index) for parameter, index in read.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"ParameterChangeSensor of {name!r}: known is {known!r}, expected name to index, in a template as "
            "'{{ ... | tojson }}'"
        ) from error
