"""What the model library can refuse, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import ExiaError, InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import JournalEntry


class ModelLibraryError(ExiaError):
    """The model library could not do what was asked."""


class DamagedFile(ModelLibraryError):
    """A stored file is not what was published; nothing was loaded.

    :param reference: the version
    :param path: the file
    :param problem: how it differs
    """

    def __init__(self, *, reference: str, path: str, problem: str) -> None:
        self.reference, self.path, self.problem = reference, path, problem
        super().__init__(f"{reference}: the stored file {path!r} is not the one that was published: {problem}")


class DamagedLibrary(ModelLibraryError):
    """Something that is stored is not what was written.

    :param damaged: name of a version, journal or model, and what is wrong with it
    """

    def __init__(self, damaged: Mapping[str, str]) -> None:
        self.damaged = dict(damaged)
        name, problem = next(iter(self.damaged.items()))
        others = len(self.damaged) - 1
        more = f"; {others} more in the log" if others else ""
        super().__init__(f"{name} is damaged: {problem}{more}; 'exia verify' names all")


class SignatureRefused(ModelLibraryError):
    """A version is not signed by anybody whose key is accepted here; nothing of it was fetched.

    :param reference: the version
    :param problem: what is wrong with its signature
    """

    def __init__(self, *, reference: str, problem: str) -> None:
        self.reference, self.problem = reference, problem
        super().__init__(f"{reference} is refused: {problem}")


class NotFound(ModelLibraryError, LookupError):
    """A model, version or alias does not exist."""


class UnknownModel(NotFound):
    """Nothing was ever published under this name.

    :param model: the name
    """

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"no model {model!r}: nothing was published under that name; 'exia models' lists those there")


class UnknownVersion(NotFound):
    """The model has no such version.

    :param reference: as asked for
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        model = reference.partition("/")[0].partition("@")[0]
        super().__init__(f"no version {reference}; 'exia versions {model}' lists those there")


class UnknownAlias(NotFound):
    """The alias names no version.

    :param model: the model
    :param alias: as asked for
    :param known: the aliases that it has
    :param at: the moment that was asked for; None: now
    """

    def __init__(self, *, model: str, alias: str, known: Sequence[str], at: datetime | None = None) -> None:
        self.model, self.alias, self.known = model, alias, tuple(known)
        names = ", ".join(sorted(known)) or "none yet"
        if at is not None:
            super().__init__(
                f"model {model!r} had no alias {alias!r} at {at.isoformat()} (it had {names}): 'exia history {model}' "
                "lists its moves"
            )
            return
        there = f"it has {names}"
        super().__init__(
            f"model {model!r} has no alias {alias!r} ({there}): promote a version first, as in "
            f"'exia promote {model}/1 --alias {alias}'"
        )


class VersionNotReady(ModelLibraryError):
    """The version is not published: it is being uploaded, or its upload was given up.

    :param reference: the version
    :param state: of its document
    """

    def __init__(self, *, reference: str, state: str) -> None:
        self.reference, self.state = reference, state
        super().__init__(f"version {reference} is not published (its state is {state}): run the task that publishes it")


class VersionCollected(ModelLibraryError):
    """The version's files were removed after it was retired.

    :param reference: the version
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"version {reference} was retired and its files were collected: it cannot be used any more")


class MoveRefused(ModelLibraryError):
    """A change of the model's journal is not allowed as things stand."""


class AliasMoved(MoveRefused):
    """Somebody moved the alias first; read it again and decide again.

    :param model: the model
    :param alias: the alias
    :param expected: the ``since`` on which the caller decided
    :param winner: the entry that moved it, or None when the alias has never moved
    """

    def __init__(self, *, model: str, alias: str, expected: int, winner: JournalEntry | None) -> None:
        self.model, self.alias, self.expected, self.winner = model, alias, expected, winner
        now = (
            f"at move {winner.sequence} (version {winner.version}, {winner.action} by {winner.by})"
            if winner is not None
            else "not set"
        )
        super().__init__(
            f"alias {alias!r} of {model!r} is {now}, not at move {expected} as it was when this was decided: "
            f"look again ('exia history {model}') before moving it"
        )


class TokenTaken(MoveRefused):
    """The token names another move than the one that is asked for.

    :param entry: what is in the journal under this token
    :param asked: the entry that was asked for
    """

    def __init__(self, *, entry: JournalEntry, asked: JournalEntry) -> None:
        self.entry, self.asked = entry, asked
        super().__init__(
            f"token {entry.token!r} is that of entry {entry.sequence} of {entry.model!r} ({_move(entry)}), which is "
            f"not what is asked for now ({_move(asked)}): nothing was done; give another token, or none"
        )


class VersionRetired(MoveRefused):
    """The version was retired or collected.

    :param reference: the version
    :param action: what was done to it
    """

    def __init__(self, *, reference: str, action: str) -> None:
        self.reference, self.action = reference, action
        advice = "restore it first" if action == "retire" else "its files are gone"
        super().__init__(f"version {reference} is out of use (last entry about it: {action}): {advice}")


class VersionIsLive(MoveRefused):
    """The version cannot be retired while an alias names it.

    :param reference: the version
    :param aliases: those that name it
    """

    def __init__(self, *, reference: str, aliases: Sequence[str]) -> None:
        self.reference, self.aliases = reference, tuple(aliases)
        super().__init__(f"version {reference} is live as {', '.join(aliases)}: move that alias before retiring it")


class NotRetired(MoveRefused):
    """Only a retired version can be restored.

    :param reference: the version
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"version {reference} is not retired: there is nothing to restore")


class RetiredTooRecently(MoveRefused):
    """The version was retired within the grace time, in which it can still be restored.

    :param reference: the version
    :param at: when it was retired
    """

    def __init__(self, *, reference: str, at: datetime) -> None:
        self.reference, self.at = reference, at
        super().__init__(f"version {reference} was retired at {at:%Y-%m-%dT%H:%M:%SZ}, within the grace time")


class NothingToRollBackTo(MoveRefused):
    """The alias has no earlier version that can be used.

    :param model: the model
    :param alias: the alias
    """

    def __init__(self, *, model: str, alias: str) -> None:
        self.model, self.alias = model, alias
        super().__init__(
            f"alias {alias!r} of {model!r} has no earlier version to go back to: promote the version you want instead"
        )


def _move(entry: JournalEntry) -> str:
    return f"{entry.action} of version {entry.version}" + (f" as {entry.alias}" if entry.alias else "")


class FormatRefused(ModelLibraryError):
    """Files of this format are not loaded or published here."""


class WrongFormat(InvalidInput):
    """A file is not of the format it was announced as."""
