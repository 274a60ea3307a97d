"""What a format is, and what all of them share."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_exia.exceptions import MissingExtra

LONGEST_REASON = 200
"""Characters of a library's own words in an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a loader may build or import; it comes from the operator's configuration, never from the file.

    :param types: names of types beyond the library's own list
    :param importable: packages whose code may be imported
    :param refuse_other_major: refuse instead of warn when code has another major version than was recorded
    :param max_bytes: most that an archive may unpack to; None for no limit
    """

    types: tuple[str, ...] = ()
    importable: tuple[str, ...] = ()
    refuse_other_major: bool = False
    max_bytes: int | None = None


class Format(Protocol):
    """One way to keep a model in a file."""

    @property
    def name(self) -> str:
        """The word that authors and configurations use."""

    @property
    def suffix(self) -> str:
        """How its files end."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions whose versions matter when the file is read again."""

    def check(self, path: Path) -> None:
        """Look, without executing or building anything, whether the file can be of this format.

        :raises WrongFormat: it cannot
        """

    def save(self, model: Any, path: Path) -> None:
        """Write a model.

        :raises InvalidInput: it cannot be written in this format
        """

    def load(self, path: Path, *, trust: Trust) -> Any:
        """Read a model from a verified file.

        :param trust: what may be built or imported
        :raises WrongFormat: the file is of another format
        :raises FormatRefused: it needs what nobody trusts here, or unpacks to more than is allowed
        """


def reason_of(error: Exception) -> str:
    """Return why a library refused a file, in one line: its words may hold text of the file, so they are cut short."""
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in str(error)).split())
    shortened = words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}..."
    return f"{type(error).__name__}: {shortened}" if words else type(error).__name__


def import_library(module: str, *, extra: str, purpose: str) -> Any:
    """Import a format's library without the flood of warnings that skops causes.

    skops looks for its functions' homes by asking every loaded module for some 230 names, and Airflow's lazy modules
    answer each with a deprecation warning: over a thousand lines in a task's log.

    :raises MissingExtra: it is not installed
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise MissingExtra(library=module.partition(".")[0], extra=extra, purpose=purpose) from error
