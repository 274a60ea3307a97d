"""Wait for parameters in Consul to change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.consul import ConsulParamHook
from airflow_provider_exia.sensors.looking import LookingSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.triggers.parameters import ParameterChangeTrigger


class ParameterChangeSensor(LookingSensor):
    """Wait until a parameter, or any below it, is no longer as it is known: changed, new or gone.

    :param name: of the parameter, or the prefix of several (templated)
    :param known: name to index when it was last looked at, as a write, or this sensor under ``indices``, hands them on
        (templated, also as JSON text); default: as it is when the task begins, which the mode ``reschedule`` cannot
        remember
    :param environment: where it is looked for first (templated); default: the connection's
    :param inherits: where it is looked for next; default: the connection's
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
        consul_conn_id: str = ConsulParamHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.known = known
        self.environment = environment
        self.inherits = inherits
        self.consul_conn_id = consul_conn_id

    @cached_property
    def trigger(self) -> ParameterChangeTrigger:
        """What looks, here and in the triggerer."""
        from airflow_provider_exia.triggers.parameters import ParameterChangeTrigger

        return ParameterChangeTrigger(
            consul_conn_id=self.consul_conn_id,
            name=self.name,
            known=self._present() if self.known is None else _read_known(self.name, self.known),
            environment=self.environment,
            inherits=None if self.inherits is None else list(self.inherits),
            poll_seconds=self.poke_interval,
        )

    def _present(self) -> dict[str, int]:
        from airflow_provider_exia.parameters.changes import Interest

        hook = ConsulParamHook(self.consul_conn_id, environment=self.environment, inherits=self.inherits)
        return Interest(store=hook.store, name=self.name).look()

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if self.known is None and not self.deferrable and self.reschedule:
            raise InvalidInput(
                f"ParameterChangeSensor of {self.name!r}: in the mode 'reschedule' give 'known': each look is a "
                "process of its own and remembers nothing"
            )
        return super().execute(context)


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
