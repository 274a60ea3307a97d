"""A store whose replies get lost: the write is done or not, and the caller hears that nothing is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_exia.storage.documents import (
    Collection,
    Document,
    DocumentStore,
    Query,
    WriteConflict,
    WriteUnknown,
)


class LostReplies:
    """A document store that loses some replies to ``insert``.

    :param documents: the real store
    :param lost: (number of the insert, counted from 1; whether it takes effect)
    :param as_conflict: report a conflict instead, as a driver does that has repeated the request
    """

    def __init__(
        self, documents: DocumentStore, lost: Sequence[tuple[int, bool]], *, as_conflict: bool = False
    ) -> None:
        self._documents, self._lost, self._as_conflict = documents, dict(lost), as_conflict
        self.inserts = 0

    def insert(self, collection: Collection, document: Document) -> None:
        self.inserts += 1
        if self.inserts not in self._lost:
            self._documents.insert(collection, document)
            return
        if self._lost[self.inserts]:
            self._documents.insert(collection, document)
        if self._as_conflict:
            raise WriteConflict(collection=collection.name, key=collection.identity)
        raise WriteUnknown("the line is dead")

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        self._documents.swap(collection, document, revision=revision)

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        return self._documents.get(collection, key)

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        return self._documents.find(collection, query)

    def next_number(self, counter: str) -> int:
        return self._documents.next_number(counter)

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        self._documents.delete(collection, key)

    def close(self) -> None:
        self._documents.close()
