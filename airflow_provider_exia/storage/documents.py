"""Documents with declared unique keys: the protocol that every metadata backend keeps.

Every change is one conditional write of one document, and a write ends in one of three ways: it returns (done),
it raises :class:`WriteConflict` (a unique key or a revision said no) or it raises :class:`WriteUnknown` (nothing is
known, and the write may still land later). After either error the caller goes back to the step that reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from airflow_provider_exia.exceptions import ExiaError, InvalidInput

Document: TypeAlias = Mapping[str, Any]
"""JSON values by field name. A stored document also has ``revision``, a number that the store counts up."""

Key: TypeAlias = tuple[str, ...]
"""The names of the fields that make up a unique key or an index."""

REVISION = "revision"
BODY = "body"
"""The name under which a backend keeps a document's text beside the fields of its keys."""

MAXIMUM_KEY_BYTES = 512
"""Of one text field of a key, as UTF-8: five of them fit into the smallest index entry of all backends (2,704)."""
MAXIMUM_BODY_BYTES = 15 * 2**20
"""Of a document's text: MongoDB keeps 16 MiB with all fields, and every store is to take what one of them takes."""


class StorageError(ExiaError):
    """A store could not do what was asked."""


class WriteConflict(StorageError):
    """A unique key is taken, or the document is no longer at the revision that was read.

    It does not say whose write is there: a driver may have repeated our own request.

    :param collection: name of the collection
    :param key: the fields of the key that said no; ``("revision",)`` for a lost swap
    """

    def __init__(self, *, collection: str, key: Key) -> None:
        self.collection, self.key = collection, key
        super().__init__(f"{collection}: another document holds {', '.join(key)}; read again and decide again")


class WriteUnknown(StorageError):
    """The store gave no answer: the write may have landed, may land later, or never."""


class StoreUnavailable(StorageError):
    """The store cannot be used now (unreachable, busy past the time-out); nothing was written."""


class StoreRefused(StorageError):
    """The store refuses for good (read-only, full, no permission); nothing was written, a retry will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A named set of documents of one shape.

    :param name: letters and underscores
    :param fields: the fields that keys and indexes use, with their type; each must be in every document, never None
    :param unique: the unique keys; the first one names a document in ``get``, ``swap`` and ``delete``
    :param indexes: further field lists that ``find`` will filter and order by
    """

    name: str
    fields: Mapping[str, type[str] | type[int]]
    unique: tuple[Key, ...]
    indexes: tuple[Key, ...] = ()

    @property
    def identity(self) -> Key:
        """The unique key that names a document."""
        return self.unique[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which documents, in which order, how many.

    :param where: fields that must equal a value
    :param order: one indexed field to sort by; the identity breaks ties
    :param descending: the newest or largest first
    :param at_least: lower bound (inclusive) of the ``order`` field
    :param at_most: upper bound (inclusive) of the ``order`` field
    :param limit: how many at the most; None for all
    """

    where: Mapping[str, str | int] = field(default_factory=dict)
    order: str
    descending: bool = False
    at_least: str | int | None = None
    at_most: str | int | None = None
    limit: int | None = None


class DocumentStore(Protocol):
    """Documents with declared unique keys; every call is atomic on one document.

    Reads see all acknowledged writes. Any call may raise :class:`StoreUnavailable` or :class:`StoreRefused`.
    """

    def insert(self, collection: Collection, document: Document) -> None:
        """Store a new document at revision 1.

        :raises WriteConflict: a unique key of ``collection`` is taken; names the key
        :raises WriteUnknown: nothing is known about the outcome; read back before acting
        """

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        """Replace the document with the same identity if it is still at ``revision``, and count its revision up.

        :raises WriteConflict: it is at another revision, is absent, or another unique key is taken
        :raises WriteUnknown: nothing is known about the outcome; read back before acting
        """

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        """Return the document with this unique key, or None.

        :param key: a value for each field of one of the collection's unique keys
        """

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents that match, in order."""

    def next_number(self, counter: str) -> int:
        """Return a number that no earlier call for ``counter`` returned; numbers only grow and may have gaps.

        :raises WriteUnknown: no answer; call again (a gap)
        """

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document by its identity; absent is success. Only for probes and for what may be trimmed by age."""

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""


def field_values(collection: Collection, document: Document) -> dict[str, str | int]:
    """Return the values of a document's declared fields, checked.

    :raises ValueError: a declared field is missing or of another type
    :raises InvalidInput: a value is longer or larger than a key can be
    """
    return {name: _checked(collection, name, document.get(name)) for name in collection.fields}


def check_values(collection: Collection, values: Mapping[str, str | int]) -> Mapping[str, str | int]:
    """Return what a key or a query compares with, checked: only declared fields, and nothing but text and numbers.

    A mapping that came in here would be an operator to MongoDB.

    :raises ValueError: a field is not declared, or its value is of another type
    :raises InvalidInput: a value is longer or larger than a key can be
    """
    for name, value in values.items():
        if name not in collection.fields:
            raise ValueError(f"{collection.name}: {name!r} is not one of its fields ({', '.join(collection.fields)})")
        _checked(collection, name, value)
    return values


def check_query(collection: Collection, query: Query) -> None:
    """Check the values of a query, as in :func:`check_values`.

    :raises ValueError: a field is not declared, or its value is of another type
    :raises InvalidInput: a value is longer or larger than a key can be
    """
    check_values(collection, query.where)
    for bound in (query.at_least, query.at_most):
        if bound is not None:
            check_values(collection, {query.order: bound})


def body_text(collection: Collection, document: Document, *, revision: int) -> str:
    """Return a document's text: JSON in ASCII, sorted by key, without spaces, with its revision.

    :raises ValueError: a value is not JSON
    :raises InvalidInput: the document is larger than every store takes
    """
    text = json.dumps({**document, REVISION: revision}, sort_keys=True, allow_nan=False, separators=(",", ":"))
    if len(text) > MAXIMUM_BODY_BYTES:
        raise InvalidInput(
            f"{collection.name}: a document of {len(text) / 2**20:.1f} MiB is too large, a document store keeps at "
            f"most {MAXIMUM_BODY_BYTES / 2**20:g} MiB: put large values into a file of the version"
        )
    return text


def _checked(collection: Collection, name: str, value: object) -> str | int:
    kind = collection.fields[name]
    if type(value) is not kind:
        raise ValueError(f"{collection.name}: field {name!r} must be {kind.__name__}, not {value!r}")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidInput(f"{collection.name}: field {name!r} must be a number of 64 bits, not {value!r}")
        return value
    text = str(value)
    if len(text) * 4 > MAXIMUM_KEY_BYTES or not text.isascii():
        _check_text(collection, name, text)
    return text


def _check_text(collection: Collection, name: str, text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{collection.name}: field {name!r} must be Unicode text, not {text!r}") from error
    if size > MAXIMUM_KEY_BYTES:
        raise InvalidInput(
            f"{collection.name}: field {name!r} must have at most {MAXIMUM_KEY_BYTES} bytes as UTF-8, not {size}: "
            f"{text[:40]!r}..."
        )
