"""Stores in memory that promise exactly what the protocols of ``storage`` promise.

A store does nothing by itself: it describes each call and hands it to a gate. The gate of a simulation makes the
caller wait there and decides when, and whether, the call takes effect; the default gate does at once what is asked.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from airflow_provider_exia.clock import Clock, SystemClock
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.blobs import BlobInfo, BlobMissing, FileDigest, check_key
from airflow_provider_exia.storage.documents import (
    REVISION,
    Collection,
    Document,
    Key,
    Query,
    WriteConflict,
    field_values,
)

Identity: TypeAlias = tuple[Hashable, ...]

_CANONICAL = json.JSONEncoder(sort_keys=True, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as a store keeps it; the text is what makes two of them equal.

    :param text: canonical JSON
    :param document: the same as a value, which nobody changes
    """

    text: str
    document: Document = field(compare=False)

    def brief(self) -> str:
        """Return what a trace shows: a monitor's entry is long, and little of it says what happens."""
        if "watching" not in self.document:
            return self.text
        return "{sequence}: {state}({episode}) {action} by {by}, watching {watching}".format(**self.document)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a store.

    :param name: the method
    :param subject: the collection, counter or key
    :param argument: the rest of the request; together with name and subject it tells two requests apart
    :param writes: whether it changes anything
    :param conditional: whether the store may answer with a conflict
    :param perform: does it and returns a hashable reply
    :param ready: says whether it can be answered yet: until then the caller waits, as a run for its row
    """

    name: str
    subject: str
    argument: Hashable
    writes: bool
    conditional: bool
    perform: Callable[[], Hashable] = field(compare=False)
    ready: Callable[[], bool] = field(default=lambda: True, compare=False)

    def __str__(self) -> str:
        argument = self.argument.brief() if isinstance(self.argument, Stored) else self.argument
        return f"{self.name} {self.subject}" + (f" {argument}" if argument else "")


Gate: TypeAlias = Callable[[Call], Any]


_alone = threading.Lock()


def at_once(call: Call) -> Any:
    """Do what is asked, as a store does that nobody disturbs."""
    with _alone:
        return call.perform()


class Memory:
    """What the two stores of one installation hold.

    :param unguarded: unique keys that are not enforced (a mutation takes a guard away)
    :param keys_hold_numbers: False: two blob keys that differ in the version's number alone are one (likewise)
    """

    def __init__(self, unguarded: frozenset[Key] = frozenset(), *, keys_hold_numbers: bool = True) -> None:
        self.unguarded, self.keys_hold_numbers = unguarded, keys_hold_numbers
        self.documents: dict[str, dict[Identity, Stored]] = {}
        self.counters: dict[str, int] = {}
        self.blobs: dict[str, bytes] = {}
        self._content: Hashable = None

    def copy(self) -> Memory:
        """Return a memory that changes apart from this one; what is stored is never changed and so is shared."""
        copy = Memory(self.unguarded, keys_hold_numbers=self.keys_hold_numbers)
        copy.documents = {name: dict(stored) for name, stored in self.documents.items()}
        copy.counters, copy.blobs = dict(self.counters), dict(self.blobs)
        copy._content = self._content
        return copy

    def content(self) -> Hashable:
        """Return a value that is equal for equal contents."""
        if self._content is None:
            items = ((name, key, item.text) for name, kept in self.documents.items() for key, item in kept.items())
            self._content = (
                # Without one of the unique keys a read can depend on the order of insertion, else never.
                tuple(items) if self.unguarded else frozenset(items),
                frozenset(self.counters.items()),
                frozenset(self.blobs.items()),
            )
        return self._content

    def stored(self, collection: str) -> list[Document]:
        """Return the documents of a collection in the order of their insertion."""
        return [item.document for item in self.documents.get(collection, {}).values()]

    def insert(self, collection: Collection, document: Document) -> None:
        """Store a document at revision 1 unless a unique key is taken."""
        self._check_keys(collection, document, but=None)
        kept = self.documents.setdefault(collection.name, {})
        keys = self._enforced(collection)
        identity = _values(document, keys[0]) if keys else (len(kept),)
        kept[identity] = as_stored(document, revision=1)
        self._content = None

    def swap(self, collection: Collection, document: Document, revision: int | None) -> None:
        """Replace a document if it is at ``revision``; None replaces it whatever it is at."""
        kept = self.documents.get(collection.name, {})
        identity = _values(document, self._enforced(collection)[0])
        there = kept.get(identity)
        if there is None or (revision is not None and there.document[REVISION] != revision):
            raise WriteConflict(collection=collection.name, key=(REVISION,))
        self._check_keys(collection, document, but=identity)
        kept[identity] = as_stored(document, revision=there.document[REVISION] + 1)
        self._content = None

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Stored | None:
        """Return the document with this unique key."""
        if tuple(sorted(key)) not in {tuple(sorted(unique)) for unique in collection.unique}:
            raise ValueError(f"{collection.name}: {sorted(key)} is no unique key")
        kept = self.documents.get(collection.name, {}).values()
        return next((item for item in kept if _matches(item.document, key)), None)

    def find(self, collection: Collection, query: Query) -> tuple[Stored, ...]:
        """Return the documents that match, in order; of equals the one stored later counts as the larger."""
        undeclared = {query.order, *query.where} - set(collection.fields)
        if undeclared:
            raise ValueError(f"{collection.name}: {sorted(undeclared)} are not declared")
        found = [
            item
            for item in self.documents.get(collection.name, {}).values()
            if _matches(item.document, query.where) and _is_between(item.document[query.order], query)
        ]
        by = (query.order, *collection.identity)
        if len(found) > 1:
            found.sort(key=lambda item: _values(item.document, by))
        if query.descending:
            found.reverse()
        return tuple(found[: query.limit])

    def next_number(self, counter: str) -> int:
        """Count up."""
        self.counters[counter] = self.counters.get(counter, 0) + 1
        self._content = None
        return self.counters[counter]

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document."""
        kept = self.documents.get(collection.name, {})
        for identity in [identity for identity, item in kept.items() if _matches(item.document, key)]:
            del kept[identity]
        self._content = None

    def put(self, key: str, content: bytes) -> None:
        """Keep bytes."""
        self._forget(key)
        self.blobs[key] = content
        self._content = None

    def delete_blob(self, key: str) -> None:
        """Forget bytes."""
        self._forget(key)
        self._content = None

    def _forget(self, key: str) -> None:
        self.blobs.pop(key, None)
        if not self.keys_hold_numbers:
            for other in [other for other in self.blobs if _without_number(other) == _without_number(key)]:
                del self.blobs[other]

    def _enforced(self, collection: Collection) -> list[Key]:
        return [key for key in collection.unique if key not in self.unguarded]

    def _check_keys(self, collection: Collection, document: Document, but: Identity | None) -> None:
        field_values(collection, document)
        for key in self._enforced(collection):
            values = _values(document, key)
            for identity, item in self.documents.get(collection.name, {}).items():
                if identity != but and _values(item.document, key) == values:
                    raise WriteConflict(collection=collection.name, key=key)


class SimulatedDocuments:
    """A document store over a memory, as one caller sees it.

    :param memory: shared by all callers
    :param gate: decides when a call takes effect
    :param compares_revisions: False takes the guard of ``swap`` away
    :param caller: who calls
    """

    def __init__(
        self, memory: Memory, gate: Gate = at_once, *, compares_revisions: bool = True, caller: str = "the past"
    ) -> None:
        self.memory, self.gate, self.caller, self._compares_revisions = memory, gate, caller, compares_revisions

    def insert(self, collection: Collection, document: Document) -> None:
        """Store a new document at revision 1."""
        item = as_stored(document, revision=1)
        self._write("insert", collection.name, item, lambda: self.memory.insert(collection, item.document))

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        """Replace the document with the same identity if it is still at ``revision``."""
        item = as_stored(document, revision=revision)
        wanted = revision if self._compares_revisions else None
        self._write("swap", collection.name, item, lambda: self.memory.swap(collection, item.document, wanted))

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        """Return the document with this unique key, or None."""
        found: Stored | None = self.gate(
            Call("get", collection.name, tuple(key.values()), False, False, lambda: self.memory.get(collection, key))
        )
        return None if found is None else found.document

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents that match, in order."""
        argument = (*query.where.values(), query.order, query.at_least, query.at_most, query.descending, query.limit)
        found: tuple[Stored, ...] = self.gate(
            Call("find", collection.name, argument, False, False, lambda: self.memory.find(collection, query))
        )
        return [item.document for item in found]

    def next_number(self, counter: str) -> int:
        """Return a number that no earlier call for ``counter`` returned."""
        number: int = self.gate(Call("next_number", counter, (), True, False, lambda: self.memory.next_number(counter)))
        return number

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document by its identity; absent is success."""
        argument = tuple(key.values())
        self.gate(Call("delete", collection.name, argument, True, False, lambda: self.memory.delete(collection, key)))

    def close(self) -> None:
        """There is nothing to release."""

    def _write(self, name: str, collection: str, item: Stored, perform: Callable[[], None]) -> None:
        self.gate(Call(name, collection, item, True, True, perform))


class SimulatedBlobs:
    """A blob store over a memory, as one caller sees it.

    :param memory: shared by all callers
    :param gate: decides when a call takes effect
    :param clock: for the time of writing, which is that of the store's making
    """

    def __init__(self, memory: Memory, gate: Gate = at_once, clock: Clock | None = None) -> None:
        self._memory, self._gate = memory, gate
        self._moment = (clock or SystemClock()).now()

    @property
    def part_bytes(self) -> int | None:
        """A file is always put whole."""
        return None

    def put(self, key: str, source: Path, *, digest: FileDigest | None = None) -> None:
        """Keep a file's bytes, whole or not at all; what they are is found by reading back, the finer of the ways."""
        if not source.is_file():
            raise InvalidInput(f"{source}: no such file")
        content = source.read_bytes()
        self._gate(Call("put", check_key(key), content, True, False, lambda: self._memory.put(key, content)))

    def open(self, key: str) -> BinaryIO:
        """Open a blob; what is open stays as it was, as a file does."""
        content: bytes | None = self._gate(
            Call("open", check_key(key), (), False, False, lambda: self._memory.blobs.get(key))
        )
        if content is None:
            raise BlobMissing(key)
        return io.BytesIO(content)

    def stat(self, key: str) -> BlobInfo | None:
        """Return what is known about the blob, or None."""
        content: bytes | None = self._gate(
            Call("stat", check_key(key), (), False, False, lambda: self._memory.blobs.get(key))
        )
        return None if content is None else self._info(key, len(content))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Yield every blob below ``prefix``."""
        if prefix:
            check_key(prefix.removesuffix("/"))
        found: tuple[tuple[str, int], ...] = self._gate(
            Call("list", prefix, (), False, False, lambda: self._listed(prefix))
        )
        return (self._info(key, size) for key, size in found)

    def delete(self, key: str) -> None:
        """Remove a blob; absent is success."""
        self._gate(Call("delete", check_key(key), (), True, False, lambda: self._memory.delete_blob(key)))

    def unfinished(self, prefix: str, *, before: datetime) -> Sequence[str]:
        """Name no upload: a put is one step here."""
        return []

    def abort(self, upload: str) -> None:
        """Refuse: no upload was named."""
        raise ValueError(f"{upload!r} is no upload")

    def close(self) -> None:
        """There is nothing to release."""

    def _info(self, key: str, size: int) -> BlobInfo:
        return BlobInfo(key=key, size=size, modified_at=self._moment)

    def _listed(self, prefix: str) -> tuple[tuple[str, int], ...]:
        return tuple(sorted((key, len(value)) for key, value in self._memory.blobs.items() if key.startswith(prefix)))


def as_stored(document: Document, *, revision: int) -> Stored:
    """Return a document as it is kept: through JSON, so that no caller shares a value with the store."""
    text = _CANONICAL.encode({**document, REVISION: revision})
    return Stored(text, json.loads(text))


def _without_number(key: str) -> tuple[str, ...]:
    prefix, model, publication, _number, *path = key.split("/")
    return prefix, model, publication, *path


def _values(document: Document, key: Sequence[str]) -> Identity:
    return tuple([document[name] for name in key])


def _matches(document: Document, wanted: Mapping[str, str | int]) -> bool:
    for name, value in wanted.items():  # noqa: SIM110 - and a list above: these are called some million times
        if document[name] != value:
            return False
    return True


def _is_between(value: Any, query: Query) -> bool:
    above = query.at_least is None or value >= query.at_least
    return above and (query.at_most is None or value <= query.at_most)
