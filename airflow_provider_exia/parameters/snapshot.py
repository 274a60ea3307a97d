"""The exact parameters that one run used: values, revisions and indices, with a digest, as the lineage keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.parameters.exceptions import UnknownParameter
from airflow_provider_exia.parameters.records import to_bytes
from airflow_provider_exia.storage.codec import STRICT, from_document, to_document

if TYPE_CHECKING:
    from airflow_provider_exia.parameters.store import ParameterStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one value of a snapshot came from.

    :param environment: in which it was found
    :param revision: its number there; 0 when another program wrote it
    :param index: Consul's
    """

    environment: str
    revision: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A fixed set of parameters.

    :param prefix: below which they lie; names are relative to it
    :param values: name to JSON value
    :param sources: name to where the value came from
    :param digest: SHA-256 over prefix and values
    """

    prefix: str
    values: Mapping[str, Any]
    sources: Mapping[str, Source]
    digest: str

    __pydantic_config__ = STRICT

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON values, for XCom and lineage."""
        return to_document(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Snapshot:
        """Read what :meth:`as_document` returned.

        :raises DamagedDocument: it is something else
        """
        return from_document(cls, document)


def take_snapshot(store: ParameterStore, prefix: str, *, needed: Sequence[str] = ()) -> Snapshot:
    """Return all parameters below a prefix as they are now, with one request for each environment.

    :param needed: names, relative to the prefix, that have to be there
    :raises UnknownParameter: one of them is not, or there is none at all
    """
    below = f"{prefix.removesuffix('/')}/"
    found = {name.removeprefix(below): item for name, item in store.find(prefix).items()}
    missing = sorted(set(needed) - set(found))
    if missing or not found:
        what = ", ".join(f"{below}{name}" for name in missing) or f"anything below {below}"
        raise UnknownParameter(f"no parameter {what} in {store.environment!r}: put it there first")
    values = {name: item.value for name, item in found.items()}
    return Snapshot(
        prefix=prefix.removesuffix("/"),
        values=values,
        sources={
            name: Source(environment=item.environment, revision=item.revision, index=item.index)
            for name, item in found.items()
        },
        digest=hashlib.sha256(to_bytes(prefix, {"prefix": prefix.removesuffix("/"), "values": values})).hexdigest(),
    )
