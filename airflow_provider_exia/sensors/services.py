"""Wait for services in Consul: until enough instances pass, or until the version of an alias is really served."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.sensors.looking import LookingSensor

if TYPE_CHECKING:
    from airflow_provider_exia.triggers.services import ServiceHealthTrigger, ServiceModelTrigger


class ServiceHealthSensor(LookingSensor):
    """Wait until enough instances of a service pass their checks. It reads only.

    :param service: its name (templated)
    :param at_least: how many instances
    :param version: only those count whose meta ``version`` is this (templated)
    :param consul_conn_id: a connection of the type ``consul``
    :returns: the ids of the instances that count
    :raises InvalidInput: the condition is none
    """

    template_fields: Sequence[str] = ("service", "version")

    def __init__(
        self,
        *,
        service: str,
        at_least: int = 1,
        version: str | None = None,
        consul_conn_id: str = ConsulServiceHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.at_least = at_least
        self.version = version
        self.consul_conn_id = consul_conn_id

    @cached_property
    def trigger(self) -> ServiceHealthTrigger:
        """What looks, here and in the triggerer."""
        from airflow_provider_exia.triggers.services import ServiceHealthTrigger

        version = None if self.version is None else str(self.version)
        return ServiceHealthTrigger(
            consul_conn_id=self.consul_conn_id,
            condition={"service": self.service, "at_least": self.at_least, "version": version},
            poll_seconds=self.poke_interval,
        )


class ServiceModelSensor(LookingSensor):
    """Wait until the version that an alias names is what is served: enough instances pass with it, none with another.

    An instance says what it serves by ``model`` and ``version`` of its meta.

    :param service: its name (templated)
    :param model: the model's name (templated)
    :param alias: the alias (templated)
    :param at_least: how many instances
    :param consul_conn_id: a connection of the type ``consul``
    :param exia_conn_id: a connection of the type ``exia``
    :returns: the version that is served, as in ``churn/4``
    :raises InvalidInput: a name cannot be one
    """

    template_fields: Sequence[str] = ("service", "model", "alias")

    def __init__(
        self,
        *,
        service: str,
        model: str,
        alias: str = "champion",
        at_least: int = 1,
        consul_conn_id: str = ConsulServiceHook.default_conn_name,
        exia_conn_id: str = ModelLibraryHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.model = model
        self.alias = alias
        self.at_least = at_least
        self.consul_conn_id = consul_conn_id
        self.exia_conn_id = exia_conn_id

    @cached_property
    def trigger(self) -> ServiceModelTrigger:
        """What looks, here and in the triggerer."""
        from airflow_provider_exia.triggers.services import ServiceModelTrigger

        return ServiceModelTrigger(
            consul_conn_id=self.consul_conn_id,
            exia_conn_id=self.exia_conn_id,
            model=self.model,
            alias=self.alias,
            condition={"service": self.service, "at_least": self.at_least},
            poll_seconds=self.poke_interval,
        )
