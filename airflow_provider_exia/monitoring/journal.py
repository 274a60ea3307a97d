"""One journal per monitor: appending entry n+1 after reading entry n is the only way to change its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_exia.clock import Clock
from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL, MonitorEntry
from airflow_provider_exia.monitoring.states import MonitorState, is_legal
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import DocumentStore, Query


class IllegalMove(ExiaError):
    """A monitor was asked to make a move that its table of states does not have."""


def monitors_of(documents: DocumentStore, model: str) -> list[str]:
    """Return the names of the monitors of a model, in order.

    :param documents: where the journals lie
    """
    names: list[str] = []
    while True:
        # ' ' sorts below every character of a name: the next monitor's entries, not this one's.
        after = f"{names[-1]} " if names else None
        query = Query(where={"model": model}, order="monitor", at_least=after, limit=1)
        found = documents.find(MONITOR_JOURNAL, query)
        if not found:
            return names
        names.append(str(found[0]["monitor"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStores:
    """What the operations of a monitor work with.

    :param documents: where the journal lies
    :param clock: for wall time and deadlines
    :param new_token: returns a ticket that was never used
    """

    documents: DocumentStore
    clock: Clock
    new_token: Callable[[], str]


class MonitorJournal:
    """The journal of one monitor.

    :param stores: where it lies
    :param model: the model's name
    :param monitor: the monitor's name
    """

    def __init__(self, stores: MonitorStores, model: str, monitor: str) -> None:
        self.stores, self.model, self.monitor = stores, model, monitor

    def newest(self) -> MonitorEntry | None:
        """Return the entry that is the state, or None before the first."""
        found = self._find(Query(where=self._where, order="sequence", descending=True, limit=1))
        return found[0] if found else None

    def history(self) -> list[MonitorEntry]:
        """Return all entries, newest first."""
        return self._find(Query(where=self._where, order="sequence", descending=True))

    def begin(
        self, *, state: MonitorState, watching: int, event_time: datetime, by: str, policy_digest: str
    ) -> MonitorEntry:
        """Write the first entry."""
        now = self.stores.clock.now()
        return self.write(
            MonitorEntry(
                model=self.model,
                monitor=self.monitor,
                sequence=1,
                state=state,
                watching=watching,
                event_time=event_time,
                at=now,
                state_since=now,
                action="begun",
                by=by,
                policy_digest=policy_digest,
                heard_at=event_time,
            )
        )

    def append(
        self, before: MonitorEntry, after: MonitorEntry, *, by: str, policy_digest: str | None = None
    ) -> MonitorEntry:
        """Write the entry that follows ``before``.

        :param after: its content; number, wall times and ``by`` are filled in here
        :raises IllegalMove: the table of states has no such move
        :raises WriteConflict: somebody else's entry follows ``before``: read again
        :raises WriteUnknown: no answer: read again
        """
        return self.write(self.prepare(before, after, by=by, policy_digest=policy_digest))

    def prepare(
        self, before: MonitorEntry, after: MonitorEntry, *, by: str, policy_digest: str | None = None
    ) -> MonitorEntry:
        """Return the entry that would follow ``before``, for :meth:`write`.

        :raises IllegalMove: the table of states has no such move
        """
        if not is_legal(before.state, after.state):
            raise IllegalMove(
                f"monitor {self.monitor!r} of {self.model!r} cannot go from {before.state} to {after.state}"
            )
        now = max(self.stores.clock.now(), before.at)
        entered = now if after.state is not before.state or after.episode != before.episode else before.state_since
        return replace(
            after,
            sequence=before.sequence + 1,
            at=now,
            state_since=entered,
            by=by,
            policy_digest=policy_digest or before.policy_digest,
            revision=0,
        )

    def is_written(self, entry: MonitorEntry) -> bool:
        """Say whether this very entry is in the journal: a conflict does not tell whose write it met."""
        number: dict[str, str | int] = {**self._where, "sequence": entry.sequence}
        standing = self.stores.documents.get(MONITOR_JOURNAL, number)
        return standing is not None and from_document(MonitorEntry, standing) == replace(entry, revision=1)

    def write(self, entry: MonitorEntry) -> MonitorEntry:
        """Write an entry that :meth:`prepare` made.

        :raises WriteConflict: its number is taken: read again
        :raises WriteUnknown: no answer: read again
        """
        crash_point("monitor.decided")
        self.stores.documents.insert(MONITOR_JOURNAL, to_document(entry))
        crash_point("monitor.entry-written")
        return replace(entry, revision=1)

    @property
    def _where(self) -> dict[str, str | int]:
        return {"model": self.model, "monitor": self.monitor}

    def _find(self, query: Query) -> list[MonitorEntry]:
        return [
            from_document(MonitorEntry, document) for document in self.stores.documents.find(MONITOR_JOURNAL, query)
        ]
