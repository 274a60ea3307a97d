"""One journal per model: appending entry n+1 after reading entry n is the only way to move anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from airflow_provider_exia.clock import to_text
from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.model_library.exceptions import ModelLibraryError, TokenTaken
from airflow_provider_exia.model_library.names import check_key_text
from airflow_provider_exia.model_library.records import (
    MODEL_JOURNAL,
    Action,
    AliasState,
    JournalEntry,
)
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a decision wants to append.

    :param version: the version it is about
    :param aliases: all aliases afterwards
    """

    version: int
    aliases: Mapping[str, AliasState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who asks for a change, and why.

    :param by: a person or a task
    :param reason: in words
    :param token: under which a repetition finds its own entry
    :param decision: id of the gate's decision, where there was one
    """

    by: str
    token: str
    reason: str = ""
    decision: str | None = None


class Decide(Protocol):
    """The rules of one action: what to append after the newest entry, or an error that refuses."""

    def __call__(self, newest: JournalEntry | None, expected: int | None) -> Change:
        """Decide.

        :param newest: the entry after which the change would come
        :param expected: the ``since`` on which the caller decided
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is asked for, and the rules by which it is decided.

    :param action: what is done
    :param version: the version it is about; None: the rules find it
    :param alias: the alias that moves, if one does
    :param decide: the rules
    """

    action: Action
    version: int | None = None
    alias: str | None = None
    decide: Decide


def append(
    resources: Resources,
    model: str,
    operation: Operation,
    signing: Signing,
    *,
    expected: int | None = None,
) -> JournalEntry:
    """Append one entry, exactly once per token.

    :param expected: ``since`` of the alias on which the caller decided; None: as seen at this call's first look
    :returns: the entry; after a repetition the one of the earlier try
    :raises TokenTaken: the token's entry is of another operation
    :raises ModelLibraryError: the rules refuse, and no own entry is there or will be
    :raises OutcomeUnknown: the store stopped answering; repeat with the same token
    """
    for attempt in Attempts(resources, operation=f"change the journal of {model}", token=signing.token):
        with attempt:
            newest, own = _newest_and_own(resources, model, signing.token)
            if own is not None:
                return _of_this_operation(own, operation)
            if expected is None and operation.alias is not None:
                # Once: what a later turn of the loop sees was not decided on.
                expected = since_of(newest, operation.alias)
            try:
                change = operation.decide(newest, expected)
            except ModelLibraryError:
                if _is_still_newest(resources, model, newest):
                    raise
                continue
            entry = _entry(resources, model, newest, operation, change, signing, expected)
            crash_point("journal.decided")
            resources.documents.insert(MODEL_JOURNAL, to_document(entry))
            crash_point("journal.entry-written")
            return entry
    raise AssertionError("attempts end by an error")


def newest_entry(resources: Resources, model: str) -> JournalEntry | None:
    """Return the entry that is the model's state, or None."""
    return _first(resources, Query(where={"model": model}, order="sequence", descending=True, limit=1))


def newest_entry_about(resources: Resources, model: str, version: int) -> JournalEntry | None:
    """Return the newest entry that is about one version, or None."""
    about: dict[str, str | int] = {"model": model, "version": version}
    return _first(resources, Query(where=about, order="sequence", descending=True, limit=1))


def entry_at(resources: Resources, model: str, moment: datetime) -> JournalEntry | None:
    """Return the entry that was the model's state at a moment, or None."""
    return _first(
        resources, Query(where={"model": model}, order="at", at_most=to_text(moment), descending=True, limit=1)
    )


def entry_with_sequence(resources: Resources, model: str, sequence: int) -> JournalEntry | None:
    """Return one entry, or None."""
    document = resources.documents.get(MODEL_JOURNAL, {"model": model, "sequence": sequence})
    return None if document is None else from_document(JournalEntry, document)


def entry_with_token(resources: Resources, model: str, token: str) -> JournalEntry | None:
    """Return what an operation appended earlier, or None."""
    return _entry_with_token(resources, model, token)


def entries(resources: Resources, model: str) -> Iterator[JournalEntry]:
    """Yield all entries, newest first."""
    for document in resources.documents.find(
        MODEL_JOURNAL, Query(where={"model": model}, order="sequence", descending=True)
    ):
        yield from_document(JournalEntry, document)


def since_of(entry: JournalEntry | None, alias: str) -> int:
    """Return the sequence of the alias's last move; 0 when it was never set."""
    state = entry.aliases.get(alias) if entry is not None else None
    return state.since if state is not None else 0


def _entry(
    resources: Resources,
    model: str,
    newest: JournalEntry | None,
    operation: Operation,
    change: Change,
    signing: Signing,
    expected: int | None,
) -> JournalEntry:
    now = resources.clock.now()
    return JournalEntry(
        model=model,
        sequence=newest.sequence + 1 if newest else 1,
        action=operation.action,
        version=change.version,
        alias=operation.alias,
        token=signing.token,
        expected=expected,
        by=signing.by,
        reason=signing.reason,
        decision=signing.decision,
        at=max(now, newest.at) if newest else now,
        aliases=change.aliases,
        revision=1,
    )


def _of_this_operation(own: JournalEntry, operation: Operation) -> JournalEntry:
    asked = replace(own, action=operation.action, alias=operation.alias, version=operation.version or own.version)
    if asked != own:
        raise TokenTaken(entry=own, asked=asked)
    return own


def _newest_and_own(resources: Resources, model: str, token: str) -> tuple[JournalEntry | None, JournalEntry | None]:
    """Return the newest entry and our own, in this order of reading.

    Only a look *after* the newest was read can tell our own late write from somebody else's entry.
    """
    newest = newest_entry(resources, model)
    return newest, _entry_with_token(resources, model, token)


def _entry_with_token(resources: Resources, model: str, token: str) -> JournalEntry | None:
    about = {"model": model, "token": check_key_text(token, what="token")}
    return _first(resources, Query(where=about, order="sequence", limit=1))


def _is_still_newest(resources: Resources, model: str, newest: JournalEntry | None) -> bool:
    now = newest_entry(resources, model)
    return (now.sequence if now else 0) == (newest.sequence if newest else 0)


def _first(resources: Resources, query: Query) -> JournalEntry | None:
    found = resources.documents.find(MODEL_JOURNAL, query)
    return from_document(JournalEntry, found[0]) if found else None
