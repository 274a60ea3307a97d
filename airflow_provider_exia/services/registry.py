"""Registering services at an agent, and finding those that pass their checks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.services.exceptions import NothingPasses, UnknownService
from airflow_provider_exia.services.records import (
    VERSION,
    Instance,
    Service,
    check_id_of,
    check_service_id,
    check_service_name,
    instance_of,
)

if TYPE_CHECKING:
    from airflow_provider_exia.consul.transport import ConsulTransport

_NOT_FOUND = 404
_SCHEMES = ("http", "https")


class Services:
    """The services of one Consul. What is registered belongs to the agent that was asked; what is found is Consul's.

    :param transport: to an agent
    """

    def __init__(self, transport: ConsulTransport) -> None:
        self._transport = transport

    def register(self, service: Service) -> None:
        """Register an instance, or replace the one with its id; a repetition changes nothing.

        :raises ConsulRefused: the token may not
        """
        replacing = [("replace-existing-checks", "true")]
        self._transport.write("agent/service/register", replacing, body=service.as_document())

    def deregister(self, service_id: str) -> bool:
        """Remove an instance.

        :returns: whether it was there
        """
        status = self._transport.write(f"agent/service/deregister/{check_service_id(service_id)}").status
        return status != _NOT_FOUND

    def maintain(self, service_id: str, *, is_on: bool, reason: str = "") -> None:
        """Take an instance out of those that pass, or back in.

        :param reason: in words, for people who look at Consul
        :raises UnknownService: the agent has no such instance
        """
        asked = [("enable", str(is_on).lower()), *([("reason", reason)] if reason else [])]
        answer = self._transport.write(f"agent/service/maintenance/{check_service_id(service_id)}", asked)
        if answer.status == _NOT_FOUND:
            raise _unknown(service_id)

    def report(self, service_id: str, *, check: int = 1, note: str = "") -> None:
        """Report that an instance with a TTL check is well.

        :param check: which of its checks, from 1
        :param note: in words, for people who look at Consul
        :raises UnknownService: the agent has no such instance or check
        """
        asked = [("note", note)] if note else []
        answer = self._transport.write(f"agent/check/pass/{check_id_of(service_id, check)}", asked)
        if answer.status == _NOT_FOUND:
            raise _unknown(service_id)

    def passing(self, name: str, *, version: str | None = None, tag: str | None = None) -> Sequence[Instance]:
        """Return the instances of a service whose checks all pass, and their node's too.

        :param version: only those whose meta ``version`` is this
        :param tag: only those that have it
        :raises ConsulRefused: the token may not read the service
        """
        asked = [("passing", "1"), *([("tag", tag)] if tag else [])]
        answer = self._transport.read(f"health/service/{check_service_name(name)}", asked)
        if not answer.body and not self._transport.address.token:
            self._prove_rights(name)
        found = [instance_of(document) for document in answer.body or ()]
        wanted = [item for item in found if version is None or item.meta.get(VERSION) == version]
        return sorted(wanted, key=lambda item: item.service_id)

    def _prove_rights(self, name: str) -> None:
        """Make sure that a service may be read: Consul tells of what it leaves out only to those who show a token."""
        self._transport.read(f"config/service-defaults/{name}", consistency=False)

    def discover(
        self, name: str, *, version: str | None = None, tag: str | None = None, path: str = "", scheme: str = "http"
    ) -> str:
        """Return the URL of one of the passing instances, chosen by lot.

        :param version: only one whose meta ``version`` is this
        :param tag: only one that has it
        :param path: below it
        :param scheme: ``http`` or ``https``
        :raises NothingPasses: there is none
        """
        if scheme not in _SCHEMES:
            raise InvalidInput(f"{scheme!r} is no scheme of a service: expected http or https")
        found = self.passing(name, version=version, tag=tag)
        if not found:
            which = "".join((f" of version {version}" if version else "", f" with the tag {tag!r}" if tag else ""))
            raise NothingPasses(
                f"no instance of {name!r}{which} passes its checks: look at it in Consul, or wait for it with "
                "ServiceHealthSensor"
            )
        return random.choice(found).url(path, scheme=scheme)  # noqa: S311 - it only spreads the work


def _unknown(service_id: str) -> UnknownService:
    return UnknownService(
        f"this agent has no service {service_id!r} with such a check: register it there first, or ask the agent where "
        "it was registered"
    )
