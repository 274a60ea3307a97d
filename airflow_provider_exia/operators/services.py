"""Operators on services in Consul: register, remove, maintain, discover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.operators.services_base import ServiceOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.services.checks import Check


class ServiceRegisterOperator(ServiceOperator):
    """Register an instance of a service, or replace the one with its id. A retry changes nothing.

    :param name: of the service (templated)
    :param service_id: of the instance (templated); default: the name
    :param address: where it is (templated); default: where its agent is
    :param port: where it listens (templated); 0: not told
    :param serves: the version that it serves, as in ``churn/4`` (templated); becomes ``model`` and ``version`` of the
        meta
    :param tags: labels to look for (templated)
    :param meta: further names and texts (templated)
    :param checks: all have to pass; without any it always passes
    :returns: the instance's id
    :raises InvalidInput: a field cannot be one
    """

    template_fields: Sequence[str] = ("name", "service_id", "address", "port", "serves", "tags", "meta")

    def __init__(
        self,
        *,
        name: str,
        service_id: str | None = None,
        address: str = "",
        port: int | str = 0,
        serves: str | None = None,
        tags: Sequence[str] = (),
        meta: Mapping[str, str] | None = None,
        checks: Sequence[Check] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.service_id = service_id
        self.address = address
        self.port = port
        self.serves = serves
        self.tags = tags
        self.meta = meta
        self.checks = checks

    def execute(self, context: Context) -> str:
        """Register."""
        from airflow_provider_exia.services.records import Service, port_of, serving

        service = Service(
            name=self.name,
            service_id=self.service_id or "",
            address=self.address,
            port=port_of(self.port),
            tags=self.tags,
            meta={**(self.meta or {}), **(serving(self.serves) if self.serves else {})},
            checks=self.checks,
        )
        self.hook.register(service)
        self.log.info("%s is registered as %s", service.name, service.id)
        return service.id


class ServiceDeregisterOperator(ServiceOperator):
    """Remove an instance of a service from the agent where it was registered.

    :param service_id: of the instance (templated)
    :returns: whether it was there
    """

    template_fields: Sequence[str] = ("service_id",)

    def __init__(self, *, service_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service_id = service_id

    def execute(self, context: Context) -> bool:
        """Remove."""
        was_there = self.hook.deregister(self.service_id)
        self.log.info("%s %s", self.service_id, "is removed" if was_there else "was not there")
        return was_there


class ServiceMaintenanceOperator(ServiceOperator):
    """Take an instance out of those that pass, or back in.

    :param service_id: of the instance (templated)
    :param is_on: out; False: back in
    :param reason: in words, for people who look at Consul (templated)
    :raises UnknownService: the agent has no such instance
    """

    template_fields: Sequence[str] = ("service_id", "reason")

    def __init__(self, *, service_id: str, is_on: bool, reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service_id = service_id
        self.is_on = is_on
        self.reason = reason

    def execute(self, context: Context) -> None:
        """Switch it."""
        self.hook.maintain(self.service_id, is_on=self.is_on, reason=self.reason)
        self.log.info("maintenance of %s is %s", self.service_id, "on" if self.is_on else "off")


class ServiceDiscoverOperator(ServiceOperator):
    """Hand on the URL of an instance that passes its checks, as ``endpoint`` of an ``HttpOperator``.

    :param name: of the service (templated)
    :param version: only an instance whose meta ``version`` is this (templated)
    :param tag: only an instance that has it (templated)
    :param path: below the instance (templated)
    :param scheme: ``http`` or ``https``
    :returns: the URL
    :raises NothingPasses: no instance passes
    """

    template_fields: Sequence[str] = ("name", "version", "tag", "path")

    def __init__(
        self,
        *,
        name: str,
        version: str | None = None,
        tag: str | None = None,
        path: str = "",
        scheme: str = "http",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.version = version
        self.tag = tag
        self.path = path
        self.scheme = scheme

    def execute(self, context: Context) -> str:
        """Look once."""
        version = None if self.version is None else str(self.version)
        return self.hook.discover(self.name, version=version, tag=self.tag, path=self.path, scheme=self.scheme)
