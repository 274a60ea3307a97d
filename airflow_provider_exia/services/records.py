"""What is registered and what is found: a service and its instances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.services.checks import Check

MODEL, VERSION = "model", "version"
"""In the meta of a service: the model that it serves, and the number of the version."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"[A-Za-z0-9.:_-]*")
_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REFERENCE = re.compile(r"([^/@\s]+)/([1-9][0-9]{0,17})")
_LONGEST_META, _MOST_META, _LARGEST_PORT = 512, 64, 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One instance of a service, to be registered.

    :param name: of the service; all its instances share it
    :param service_id: of this instance; default: the name
    :param address: where it is; empty: where its agent is
    :param port: where it listens; 0: not told
    :param tags: labels to look for
    :param meta: names to texts, as ``model`` and ``version``
    :param checks: all have to pass; without any it always passes
    """

    name: str
    service_id: str = ""
    address: str = ""
    port: int = 0
    tags: Sequence[str] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[Check] = ()

    def __post_init__(self) -> None:
        check_service_name(self.name)
        check_service_id(self.id)
        if not _ADDRESS.fullmatch(self.address):
            raise InvalidInput(f"{self.address!r} is no address of a service: expected a name or number, no URL")
        if not 0 <= self.port <= _LARGEST_PORT:
            raise InvalidInput(f"{self.port} is no port of a service: expected 0 to {_LARGEST_PORT}")
        if isinstance(self.tags, str) or not all(isinstance(tag, str) and tag for tag in self.tags):
            raise InvalidInput(f"{self.tags!r} are no tags of a service: expected a list of texts")
        _check_meta(self.meta)

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.service_id or self.name

    def as_document(self) -> dict[str, Any]:
        """Return it in Consul's form."""
        return {
            "Name": self.name,
            "ID": self.id,
            "Address": self.address,
            "Port": self.port,
            "Tags": list(self.tags),
            "Meta": dict(self.meta),
            "Checks": [
                {"CheckID": check_id_of(self.id, number), "Name": f"{self.name}: {number}", **check.as_document()}
                for number, check in enumerate(self.checks, start=1)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance that passes its checks.

    :param name: of the service
    :param service_id: of the instance
    :param address: where it is
    :param port: where it listens; 0: not told
    :param tags: its labels
    :param meta: names to texts
    """

    name: str
    service_id: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: Mapping[str, str]

    @property
    def reference(self) -> str | None:
        """The version that it says it serves, as in ``churn/4``, or None."""
        model, version = self.meta.get(MODEL), self.meta.get(VERSION)
        return f"{model}/{version}" if model and version else None

    def url(self, path: str = "", *, scheme: str = "http") -> str:
        """Return where it is asked.

        :param path: below it
        """
        host = f"[{self.address}]" if ":" in self.address else self.address
        port = f":{self.port}" if self.port else ""
        below = f"/{path.lstrip('/')}" if path else ""
        return f"{scheme}://{host}{port}{below}"


def instance_of(document: Mapping[str, Any]) -> Instance:
    """Read one instance of Consul's answer."""
    service = document["Service"]
    return Instance(
        name=service["Service"],
        service_id=service["ID"],
        address=service["Address"] or document["Node"]["Address"],
        port=int(service.get("Port") or 0),  # left out where none was told
        tags=tuple(service.get("Tags") or ()),
        meta=service.get("Meta") or {},
    )


def serving(reference: str) -> dict[str, str]:
    """Return the meta of a service that serves a version.

    :param reference: as in ``churn/4``
    :raises InvalidInput: it is no numbered reference
    """
    found = _REFERENCE.fullmatch(str(reference))
    if not found:
        raise InvalidInput(f"{reference!r} is no version to serve: expected its number, as in 'churn/4'")
    return {MODEL: found[1], VERSION: found[2]}


def port_of(port: int | str) -> int:
    """Return a port that may have come as text.

    :raises InvalidInput: it is no number
    """
    try:
        return int(port)
    except ValueError as error:
        raise InvalidInput(f"{port!r} is no port of a service: expected 0 to {_LARGEST_PORT}") from error


def check_id_of(service_id: str, number: int = 1) -> str:
    """Return the id of a service's check."""
    return f"service:{check_service_id(service_id)}:{number}"


def check_service_name(name: str) -> str:
    """Return ``name`` if a service can have it; Consul answers for it in DNS too.

    :raises InvalidInput: it cannot
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a service: expected letters, digits and '-', as in 'churn-api'")
    return name


def check_service_id(service_id: str) -> str:
    """Return ``service_id`` if an instance can have it.

    :raises InvalidInput: it cannot
    """
    if not isinstance(service_id, str) or not _ID.fullmatch(service_id):
        raise InvalidInput(
            f"{service_id!r} is no id of a service: expected letters, digits, '.', '_' and '-', as in 'churn-api-1'"
        )
    return service_id


def _check_meta(meta: Mapping[str, str]) -> None:
    if len(meta) > _MOST_META:
        raise InvalidInput(f"the meta of a service has {len(meta)} names: Consul takes {_MOST_META}")
    for key, value in meta.items():
        if not isinstance(key, str) or not _META_KEY.fullmatch(key):
            raise InvalidInput(f"{key!r} is no name in the meta of a service: expected letters, digits, '_' and '-'")
        if not isinstance(value, str) or len(value.encode()) > _LONGEST_META:
            raise InvalidInput(f"{key!r} in the meta of a service: expected a text of {_LONGEST_META} bytes or less")
