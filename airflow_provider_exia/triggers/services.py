"""The triggers behind the sensors of services."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.triggers.looking import LookingTrigger

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.waiting import AliasCondition
    from airflow_provider_exia.services.conditions import HealthCondition, ServingCondition


class ServiceHealthTrigger(LookingTrigger):
    """Wait until enough instances of a service pass their checks.

    :param consul_conn_id: a connection of the type ``consul``
    :param condition: the fields of a :class:`~airflow_provider_exia.services.conditions.HealthCondition`
    :param poll_seconds: between two looks
    """

    def __init__(self, *, consul_conn_id: str, condition: dict[str, Any], poll_seconds: float) -> None:
        super().__init__(poll_seconds=poll_seconds, consul_conn_id=consul_conn_id, condition=condition)
        self.hook = ConsulServiceHook(consul_conn_id)

    async def prepare(self) -> None:
        """Read the connection without blocking the event loop."""
        await self.hook.prepare()

    def look(self) -> list[str] | None:
        """Return the ids of the instances that count, or None."""
        return self._condition.met_by(self.hook.services)

    @cached_property
    def _condition(self) -> HealthCondition:
        from airflow_provider_exia.services.conditions import HealthCondition

        return HealthCondition(**self.arguments["condition"])


class ServiceModelTrigger(LookingTrigger):
    """Wait until the version that an alias names is what is served.

    :param consul_conn_id: a connection of the type ``consul``
    :param exia_conn_id: a connection of the type ``exia``
    :param model: the model's name
    :param alias: the alias
    :param condition: the fields of a :class:`~airflow_provider_exia.services.conditions.ServingCondition`
    :param poll_seconds: between two looks
    """

    def __init__(
        self,
        *,
        consul_conn_id: str,
        exia_conn_id: str,
        model: str,
        alias: str,
        condition: dict[str, Any],
        poll_seconds: float,
    ) -> None:
        super().__init__(
            poll_seconds=poll_seconds,
            consul_conn_id=consul_conn_id,
            exia_conn_id=exia_conn_id,
            model=model,
            alias=alias,
            condition=condition,
        )
        self.hook = ConsulServiceHook(consul_conn_id)
        self.library_hook = ModelLibraryHook(exia_conn_id)

    async def prepare(self) -> None:
        """Read the connections without blocking the event loop."""
        await self.hook.prepare()
        await self.library_hook.prepare()

    def look(self) -> str | None:
        """Return the version that is served, as a numbered reference, or None."""
        alias, serving = self._conditions
        reference = alias.met_by(self.library_hook.library)
        return reference if reference and serving.met_by(self.hook.services, reference) else None

    def release(self) -> None:
        """Close the library's connections."""
        self.library_hook.close()

    @cached_property
    def _conditions(self) -> tuple[AliasCondition, ServingCondition]:
        from airflow_provider_exia.model_library.waiting import AliasCondition
        from airflow_provider_exia.services.conditions import ServingCondition

        alias = AliasCondition(model=self.arguments["model"], alias=self.arguments["alias"])
        return alias, ServingCondition(**self.arguments["condition"])
