"""How typed records become documents and come back: strictly, so that a tampered or foreign document is refused."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, PlainSerializer, TypeAdapter, ValidationError

from airflow_provider_exia.clock import to_text
from airflow_provider_exia.storage.documents import Document, StorageError

Record = TypeVar("Record")

Moment = Annotated[datetime, PlainSerializer(to_text)]
"""An aware datetime, stored as text whose order is the order of time."""

STRICT = ConfigDict(strict=True, extra="forbid")
"""For a record's ``__pydantic_config__``: no coercion, no unknown field."""


class DamagedDocument(StorageError):
    """A stored document is not what this package writes; it was not used.

    :param kind: what it should be
    :param field: where it is wrong
    :param problem: how
    """

    def __init__(self, *, kind: str, field: str, problem: str) -> None:
        self.kind, self.field, self.problem = kind, field, problem
        super().__init__(
            f"a stored {kind} is damaged at {field!r}: {problem}; it was not used: restore it from a backup, or find "
            "out who else writes to this store"
        )


def to_document(record: object) -> dict[str, Any]:
    """Return a record (a dataclass) as the document to store."""
    document: dict[str, Any] = _adapter(type(record)).dump_python(record, mode="json")
    return document


def from_document(kind: type[Record], document: Document) -> Record:
    """Read a stored document, strictly: an unknown field or a value of another type is an error.

    :param kind: the record's class
    :raises DamagedDocument: it is not what this package writes
    """
    try:
        record: Record = _adapter(kind).validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DamagedDocument(kind=kind.__name__, field=field, problem=first["msg"]) from error
    return record


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
