"""How typed records become documents and come back: strictly, so that a tampered or foreign document is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import not_
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

from airflow_provider_exia.clock import to_text
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.documents import BODY, Collection, Document, StorageError

Record = TypeVar("Record")

Moment = Annotated[AwareDatetime, PlainSerializer(to_text)]
"""An aware datetime, stored as text whose order is the order of time."""

STRICT = ConfigDict(strict=True, extra="forbid")
"""For a record's ``__pydantic_config__``: no coercion, no unknown field."""


LATER = Field(exclude_if=not_)
"""For a field that came after the release 0.1, as in ``Annotated[str | None, LATER] = None``; its default is empty.

An empty one is not written, so that workers of an older release read every document that does not use the field.
"""


class DamagedDocument(StorageError):
    """A stored document is not what this package writes; it was not used.

    :param kind: what it should be
    :param field: where it is wrong
    :param problem: how
    :param newer: whether a newer release might have written it
    """

    def __init__(self, *, kind: str, field: str, problem: str, newer: bool = False) -> None:
        self.kind, self.field, self.problem = kind, field, problem
        upgrade = "upgrade this installation if a newer airflow-provider-exia writes to this store, else "
        super().__init__(
            f"a stored {kind} is damaged at {field!r}: {problem}; it was not used: {upgrade if newer else ''}restore "
            "it from a backup, or find out who else writes to this store"
        )


def to_document(record: object) -> dict[str, Any]:
    """Return a record (a dataclass) as the document to store; what could not be read back is never written.

    :raises InvalidInput: a field holds what its type does not allow, or what JSON cannot hold
    """
    kind = type(record)
    try:
        document: dict[str, Any] = _adapter(kind).dump_python(record, mode="json", warnings=False)
        _adapter(kind).validate_json(json.dumps(document, allow_nan=False))
    except ValidationError as error:
        field, problem = _first(error)
        raise InvalidInput(f"this {kind.__name__} cannot be stored: {field!r}: {problem}") from error
    except (TypeError, ValueError, RecursionError) as error:  # no JSON value, or a moment without a time zone
        raise InvalidInput(f"this {kind.__name__} cannot be stored: {error}") from error
    return document


def from_document(kind: type[Record], document: Document) -> Record:
    """Read a stored document, strictly: an unknown field or a value of another type is an error.

    :param kind: the record's class
    :raises DamagedDocument: it is not what this package writes
    """
    try:
        record: Record = _adapter(kind).validate_json(json.dumps(document))
    except ValidationError as error:
        field, problem = _first(error)
        why = error.errors()[0]["type"]
        if why in _UNKNOWN_FIELD:
            problem = "this release knows no such field"
        newer = why in (*_UNKNOWN_FIELD, "enum")
        raise DamagedDocument(kind=kind.__name__, field=field, problem=problem, newer=newer) from error
    return record


def read_body(collection: Collection, kept: Mapping[str, Any]) -> Document:
    """Read a document's text, and hold it against the fields under which it is found.

    Whoever writes to a store could else put a version, with its signature, under the number of another one.

    :param kept: what a backend keeps: the text, the fields of the identity, and perhaps more of the collection's fields
    :raises DamagedDocument: the text is no JSON object, or that of another document
    """
    try:
        document = json.loads(kept.get(BODY))  # type: ignore[arg-type]  # what is no text is damaged too
    except (TypeError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _damaged(collection, kept, BODY, "it is no JSON object")
    for name in collection.fields:
        # An empty field is one that an older release did not know; a look for any other value does not find it.
        if kept.get(name) and kept[name] != document.get(name):
            raise _damaged(
                collection, kept, name, f"its text says {document.get(name)!r}, and it is kept as {kept[name]!r}"
            )
    return document


def _damaged(collection: Collection, kept: Mapping[str, Any], field: str, problem: str) -> DamagedDocument:
    key = ", ".join(f"{name} {kept.get(name)!r}" for name in collection.identity)
    return DamagedDocument(kind=f"document of {collection.name!r} ({key})", field=field, problem=problem)


_UNKNOWN_FIELD = ("extra_forbidden", "unexpected_keyword_argument")


def _first(error: ValidationError) -> tuple[str, str]:
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
