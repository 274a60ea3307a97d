"""The triggers behind the sensors of services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_exia.consul.exceptions import ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.storage.documents import StoreUnavailable

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.waiting import AliasCondition
    from airflow_provider_exia.services.conditions import HealthCondition, ServingCondition


class ServiceTrigger(BaseTrigger):
    """Look again and again until a condition of services is met.

    A Consul or a store that cannot be reached for a while does not end the waiting; any other error does, as an event.

    :param poll_seconds: between two looks
    :param arguments: of the trigger, as JSON values
    """

    def __init__(self, *, poll_seconds: float, **arguments: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base has no types
        self.poll_seconds = poll_seconds
        self.arguments = arguments

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"poll_seconds": self.poll_seconds, **self.arguments},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the condition is met, or waiting is pointless."""
        try:
            await self.prepare()
            while (met := await asyncio.to_thread(self._look_patiently)) is None:  # noqa: ASYNC110 - it lies in Consul
                await asyncio.sleep(self.poll_seconds)
        except ExiaError as error:
            yield TriggerEvent({"status": "error", "message": str(error)})
            return
        yield TriggerEvent({"status": "met", "met": met})

    async def prepare(self) -> None:
        """Read the connections without blocking the event loop."""
        raise NotImplementedError

    def look(self) -> list[str] | str | None:
        """Look once; the sensor does it too, before it defers."""
        raise NotImplementedError

    def _look_patiently(self) -> list[str] | str | None:
        try:
            return self.look()
        except (ConsulUnavailable, StoreUnavailable) as error:
            self.log.warning("looking again in %s s: %s", self.poll_seconds, error)
            return None


class ServiceHealthTrigger(ServiceTrigger):
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
        """Look once."""
        return self._condition.met_by(self.hook.services)

    @cached_property
    def _condition(self) -> HealthCondition:
        from airflow_provider_exia.services.conditions import HealthCondition

        return HealthCondition(**self.arguments["condition"])


class ServiceModelTrigger(ServiceTrigger):
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
        """Look once."""
        alias, serving = self._conditions
        reference = alias.met_by(self.library_hook.library)
        return reference if reference and serving.met_by(self.hook.services, reference) else None

    @cached_property
    def _conditions(self) -> tuple[AliasCondition, ServingCondition]:
        from airflow_provider_exia.model_library.waiting import AliasCondition
        from airflow_provider_exia.services.conditions import ServingCondition

        alias = AliasCondition(model=self.arguments["model"], alias=self.arguments["alias"])
        return alias, ServingCondition(**self.arguments["condition"])
