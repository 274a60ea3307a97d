"""The rules of the journal's actions: promote, roll back, retire, restore, collect.

Each returns an operation, whose rules say what to append after the newest entry, or refuse. The table they follow is in
``docs/model-library.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_exia.model_library.exceptions import (
    AliasMoved,
    NothingToRollBackTo,
    NotRetired,
    RetiredTooRecently,
    UnknownAlias,
    UnknownVersion,
    VersionCollected,
    VersionIsLive,
    VersionNotReady,
    VersionRetired,
)
from airflow_provider_exia.model_library.journal import (
    Change,
    Operation,
    entry_with_sequence,
    newest_entry_about,
    since_of,
)
from airflow_provider_exia.model_library.records import (
    VERSIONS,
    Action,
    AliasState,
    JournalEntry,
    State,
    Version,
)
from airflow_provider_exia.model_library.signing import check_signature
from airflow_provider_exia.storage.codec import from_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources

_OUT_OF_USE = (Action.RETIRE, Action.COLLECT)


def promotion(resources: Resources, model: str, alias: str, version: int, *, history_window: int) -> Operation:
    """Make ``version`` the live one of ``alias``.

    :param history_window: how many versions an alias's stack keeps
    """

    def decide(newest: JournalEntry | None, expected: int | None) -> Change:
        _check_unmoved(resources, newest, model, alias, expected)
        check_in_use(resources, model, version)
        check_signature(resources.keys, check_ready(resources, model, version))
        aliases = dict(newest.aliases) if newest else {}
        earlier = aliases[alias].stack if alias in aliases else ()
        stack = (version, *(number for number in earlier if number != version))[:history_window]
        aliases[alias] = AliasState(since=_next_sequence(newest), stack=stack)
        return Change(version=version, aliases=aliases)

    return Operation(action=Action.PROMOTE, version=version, alias=alias, decide=decide)


def rollback(resources: Resources, model: str, alias: str) -> Operation:
    """Take the live version off ``alias``, so that the one below is live again: a pop, never back and forth."""

    def decide(newest: JournalEntry | None, expected: int | None) -> Change:
        _check_unmoved(resources, newest, model, alias, expected)
        aliases = dict(newest.aliases) if newest else {}
        if alias not in aliases:
            raise UnknownAlias(model=model, alias=alias, known=tuple(aliases))
        stack = _popped(aliases[alias].stack)
        if not stack:
            raise NothingToRollBackTo(model=model, alias=alias)
        aliases[alias] = AliasState(since=_next_sequence(newest), stack=stack)
        return Change(version=stack[0], aliases=aliases)

    return Operation(action=Action.ROLLBACK, alias=alias, decide=decide)


def retirement(resources: Resources, model: str, version: int) -> Operation:
    """Take ``version`` out of use: out of every stack, never promoted again unless restored."""

    def decide(newest: JournalEntry | None, expected: int | None) -> Change:  # no alias moves
        check_in_use(resources, model, version)
        aliases = newest.aliases if newest else {}
        _check_not_live(model, version, aliases)
        check_ready(resources, model, version)
        return Change(version=version, aliases=_without(version, aliases))

    return Operation(action=Action.RETIRE, version=version, decide=decide)


def restoration(resources: Resources, model: str, version: int) -> Operation:
    """Take back a retirement; the version does not return to stacks."""

    def decide(newest: JournalEntry | None, expected: int | None) -> Change:  # no alias moves
        _check_retired(resources, model, version)
        return Change(version=version, aliases=newest.aliases if newest else {})

    return Operation(action=Action.RESTORE, version=version, decide=decide)


def collection(resources: Resources, model: str, version: int, *, before: datetime) -> Operation:
    """Give up the files of ``version`` for ever.

    :param before: when it must have been retired
    """

    def decide(newest: JournalEntry | None, expected: int | None) -> Change:  # no alias moves
        check_collectable(resources, model, version, before=before)
        return Change(version=version, aliases=newest.aliases if newest else {})

    return Operation(action=Action.COLLECT, version=version, decide=decide)


def check_collectable(resources: Resources, model: str, version: int, *, before: datetime) -> None:
    """Refuse a version whose newest entry is not a retirement of before a moment.

    :raises VersionCollected: it is a collect entry: there is nothing left to decide
    """
    entry = _check_retired(resources, model, version)
    if entry.at > before:
        raise RetiredTooRecently(reference=f"{model}/{version}", at=entry.at)


def check_in_use(resources: Resources, model: str, version: int) -> None:
    """Refuse a version whose newest entry retires or collects it."""
    about = newest_entry_about(resources, model, version)
    if about is not None and about.action in _OUT_OF_USE:
        raise VersionRetired(reference=f"{model}/{version}", action=about.action.value)


def check_ready(resources: Resources, model: str, version: int) -> Version:
    """Return the version's document if it is READY.

    :raises UnknownVersion: there is none
    :raises VersionCollected: its files are gone
    :raises VersionNotReady: it is not published
    """
    document = resources.documents.get(VERSIONS, {"model": model, "number": version})
    if document is None:
        raise UnknownVersion(f"{model}/{version}")
    found = from_document(Version, document)
    if found.state is State.COLLECTED:
        raise VersionCollected(found.reference)
    if found.state is not State.READY:
        raise VersionNotReady(reference=found.reference, state=found.state.value)
    return found


def _check_unmoved(
    resources: Resources, newest: JournalEntry | None, model: str, alias: str, expected: int | None
) -> None:
    since = since_of(newest, alias)
    if expected is None or since == expected:
        return
    winner = entry_with_sequence(resources, model, since) if since else None
    raise AliasMoved(model=model, alias=alias, expected=expected, winner=winner)


def _check_not_live(model: str, version: int, aliases: Mapping[str, AliasState]) -> None:
    live = [name for name, state in aliases.items() if state.live == version]
    if live:
        raise VersionIsLive(reference=f"{model}/{version}", aliases=live)


def _check_retired(resources: Resources, model: str, version: int) -> JournalEntry:
    about = newest_entry_about(resources, model, version)
    if about is not None and about.action is Action.COLLECT:
        raise VersionCollected(f"{model}/{version}")
    if about is None or about.action is not Action.RETIRE:
        raise NotRetired(f"{model}/{version}")
    return about


def _popped(stack: tuple[int, ...]) -> tuple[int, ...]:
    """Take the live version off, for good: a swap would go back and forth between two versions."""
    return stack[1:]


def _without(version: int, aliases: Mapping[str, AliasState]) -> dict[str, AliasState]:
    return {
        name: AliasState(since=state.since, stack=tuple(number for number in state.stack if number != version))
        for name, state in aliases.items()
    }


def _next_sequence(newest: JournalEntry | None) -> int:
    return newest.sequence + 1 if newest else 1
