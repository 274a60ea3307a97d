"""The table of the protocol's section 4, written down a second time and apart from the library's code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from airflow_provider_exia.storage.documents import Document
    from tests.simulation.operations import Move

Aliases: TypeAlias = Mapping[str, Mapping[str, Any]]

_OUT_OF_USE = ("retire", "collect")
_STACK_LENGTH = 10


def newest_about(journal: Sequence[Document], version: int) -> str | None:
    """Return the action of the newest entry about a version; of two with one sequence the later one counts."""
    return next((entry["action"] for entry in reversed(journal) if entry["version"] == version), None)


def is_out_of_use(journal: Sequence[Document], version: int) -> bool:
    """Say whether the last word on a version's standing took it out of use, whatever moved since."""
    standing = [entry for entry in journal if entry["action"] not in ("promote", "rollback")]
    return newest_about(standing, version) in _OUT_OF_USE


def was_collected(journal: Sequence[Document], version: int) -> bool:
    """Say whether there is a collect entry about a version."""
    return any(entry["action"] == "collect" and entry["version"] == version for entry in journal)


def check_entries(journal: Sequence[Document], first: int, ready: set[int]) -> Iterator[str]:
    """Say what is wrong with the entries from index ``first`` on.

    :param ready: numbers of the versions that are READY or were
    """
    tokens = [entry["token"] for entry in journal]
    if len(set(tokens)) < len(tokens):
        yield "a token occurs twice"
    for index, entry in enumerate(journal[first:], start=first):
        before = journal[index - 1] if index else None
        if entry["sequence"] != index + 1:
            yield f"the sequence of entry {index + 1} is {entry['sequence']}"
        if before is not None and entry["at"] < before["at"]:
            yield f"entry {index + 1} is earlier than the one before it"
        aliases = _after(journal[:index], entry["action"], entry["version"], entry["alias"], ready)
        if aliases is None:
            yield f"entry {index + 1} is no legal {entry['action']} of version {entry['version']}"
        elif aliases != entry["aliases"]:
            yield f"entry {index + 1} has the aliases {entry['aliases']} instead of {aliases}"
        since = before["aliases"].get(entry["alias"], {}).get("since", 0) if before is not None else 0
        if entry["alias"] is not None and entry["expected"] != since:
            yield f"entry {index + 1} was decided on move {entry['expected']} and follows move {since}"


def refusal_is_just(move: Move, journal: Sequence[Document], first: int, ready: set[int]) -> bool:
    """Say whether there was a moment since the journal had ``first`` entries at which the move was not allowed.

    :param ready: numbers of the versions that were READY all the time
    """
    for length in range(first, len(journal) + 1):
        past = journal[:length]
        before = past[-1]["aliases"] if past else {}
        state = before.get(move.alias, {}) if move.alias else {}
        since = state.get("since", 0)
        if move.expected is not None and since != move.expected:
            return True
        if move.alias and move.expected is None and since > first:
            return True  # it was moved after the call began
        stack = state.get("stack", ())
        version = move.version or (stack[1] if len(stack) > 1 else 0)
        if _after(past, move.kind, version, move.alias, ready) is None:
            return True
    return False


def _after(
    past: Sequence[Document], action: str, version: int, alias: str | None, ready: set[int]
) -> dict[str, Any] | None:
    """Return the aliases after an action, or None if it is not allowed."""
    aliases = dict(past[-1]["aliases"]) if past else {}
    about = newest_about(past, version)
    if action == "collect":
        return aliases  # whether it may be is another invariant
    if action == "restore":
        return aliases if about == "retire" else None
    if about in _OUT_OF_USE or version not in ready:
        return None
    if action == "retire":
        return _without(aliases, version)
    stack = aliases.get(alias, {}).get("stack", [])
    if action == "promote":
        stack = [version, *(number for number in stack if number != version)][:_STACK_LENGTH]
    elif action == "rollback" and stack[1:2] == [version]:
        stack = stack[1:]
    else:
        return None
    return {**aliases, alias: {"since": len(past) + 1, "stack": stack}}


def _without(aliases: Aliases, version: int) -> dict[str, Any] | None:
    if any(state["stack"][:1] == [version] for state in aliases.values()):
        return None
    return {
        name: {"since": state["since"], "stack": [number for number in state["stack"] if number != version]}
        for name, state in aliases.items()
    }
