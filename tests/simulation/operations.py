"""The operations that actors do, as values; each calls the real library."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_exia.model_library.manifest import canonical_json

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import JournalEntry

MODEL = "m"
CHAMPION = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that an actor does once, or again after it was killed.

    :param token: names a move for its repetition; two actors with one token are one task and its zombie
    :param ahead: how far its clock is ahead, where it comes much later than the others
    """

    kind: ClassVar[str]
    token: str = ""
    ahead: timedelta = timedelta()

    def run(self, library: ModelLibrary) -> Hashable:
        """Do it and return what the invariants want to know."""
        raise NotImplementedError

    def run_again(self, library: ModelLibrary) -> Hashable:
        """Do what comes after the death of the process: the same work again, unless an operation knows better."""
        return self.run(library)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Operation):
    """Publish one file; returns the version's number.

    :param work: the work key
    :param content: names the bytes
    :param inline: publish them as a value that the document keeps
    """

    kind: ClassVar[str] = "publish"
    work: str
    content: str
    inline: bool = False

    def run(self, library: ModelLibrary) -> Hashable:
        """Publish."""
        if self.inline:
            return library.publish_inline(MODEL, value_of(self.content), work=self.work).number
        return library.publish(MODEL, source_file(self.content), format="json", work=self.work).number


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Operation):
    """Load a version; returns its number and the model object.

    :param reference: what follows the model's name: ``/3``, ``@champion``, ``@latest``
    """

    kind: ClassVar[str] = "load"
    reference: str

    def run(self, library: ModelLibrary) -> Hashable:
        """Load."""
        loaded, version = library.load_version(f"{MODEL}{self.reference}")
        return version.number, loaded["content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Operation):
    """A change of the journal; returns the sequence and token of its entry.

    :param version: the version it is about; 0 for a rollback, which finds out
    :param alias: the alias that moves, if one does
    :param expected: ``since`` on which the caller decided
    """

    version: int = 0
    alias: str | None = None
    expected: int | None = None

    def run(self, library: ModelLibrary) -> Hashable:
        """Change the journal."""
        entry = self.move(library)
        return entry.sequence, entry.token

    def move(self, library: ModelLibrary) -> JournalEntry:
        """Call the library."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote(Move):
    """Let an alias name a version."""

    kind: ClassVar[str] = "promote"
    alias: str = CHAMPION

    def move(self, library: ModelLibrary) -> JournalEntry:
        """Promote."""
        reference = f"{MODEL}/{self.version}"
        return library.promote(reference, alias=self.alias, expected=self.expected, token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Move):
    """Let an alias name the version it named before."""

    kind: ClassVar[str] = "rollback"
    alias: str = CHAMPION

    def move(self, library: ModelLibrary) -> JournalEntry:
        """Roll back."""
        return library.rollback(MODEL, alias=self.alias, expected=self.expected, token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(Move):
    """Take a version out of use."""

    kind: ClassVar[str] = "retire"

    def move(self, library: ModelLibrary) -> JournalEntry:
        """Retire."""
        return library.retire(f"{MODEL}/{self.version}", token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Move):
    """Take back a retirement."""

    kind: ClassVar[str] = "restore"

    def move(self, library: ModelLibrary) -> JournalEntry:
        """Restore."""
        return library.restore(f"{MODEL}/{self.version}", token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect(Operation):
    """Make a pass of garbage collection; returns the references of what it collected.

    Its clock is days ahead, so that the grace time has passed for all that the others do: no clock is a guard.
    """

    kind: ClassVar[str] = "collect"
    ahead: timedelta = timedelta(hours=100)

    def run(self, library: ModelLibrary) -> Hashable:
        """Collect."""
        report = library.collect(MODEL, delete=True)
        return tuple(finding.name for finding in report.collected)


def value_of(content: str) -> dict[str, str]:
    """Return the value that ``content`` names."""
    return {"content": content}


def bytes_of(content: str) -> bytes:
    """Return the bytes of the file that ``content`` names: those that the library itself writes of the value."""
    return canonical_json(value_of(content))


@cache
def source_file(content: str) -> Path:
    """Return the file that ``content`` names, written once per process: publishing reads a real file."""
    path = _folder() / content / "model.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes_of(content))
    return path


@cache
def _folder() -> Path:
    folder = Path(mkdtemp(prefix="exia-simulation-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
