"""The hook of services in a Consul."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_exia.hooks.consul import ConsulHook

if TYPE_CHECKING:
    from airflow_provider_exia.services.records import Instance, Service
    from airflow_provider_exia.services.registry import Services


class ConsulServiceHook(ConsulHook):
    """Gives tasks the services in a Consul.

    :param consul_conn_id: a connection of the type ``consul``
    """

    @cached_property
    def services(self) -> Services:
        """The services, of the agent that the connection names."""
        from airflow_provider_exia.services.registry import Services

        return Services(self.transport)

    def register(self, service: Service) -> None:
        """Register an instance, or replace the one with its id."""
        self.services.register(service)

    def deregister(self, service_id: str) -> bool:
        """Remove an instance; return whether it was there."""
        return self.services.deregister(service_id)

    def maintain(self, service_id: str, *, is_on: bool, reason: str = "") -> None:
        """Take an instance out of those that pass, or back in."""
        self.services.maintain(service_id, is_on=is_on, reason=reason)

    def report(self, service_id: str, *, check: int = 1, note: str = "") -> None:
        """Report that an instance with a TTL check is well."""
        self.services.report(service_id, check=check, note=note)

    def passing(self, name: str, *, version: str | None = None, tag: str | None = None) -> Sequence[Instance]:
        """Return the instances of a service that pass their checks."""
        return self.services.passing(name, version=version, tag=tag)

    def discover(
        self, name: str, *, version: str | None = None, tag: str | None = None, path: str = "", scheme: str = "http"
    ) -> str:
        """Return the URL of one of the instances that pass.

        :raises NothingPasses: there is none
        """
        return self.services.discover(name, version=version, tag=tag, path=path, scheme=scheme)
