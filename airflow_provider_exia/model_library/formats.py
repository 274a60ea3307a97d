"""The formats a model file can have: how a file is recognised, written and read.

A format is chosen by the author and by the operator's configuration, never guessed from the bytes.
"""

from __future__ import annotations

import importlib
import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.manifest import canonical_json

_PICKLES = {"pickle", "pkl", "joblib", "dill", "cloudpickle"}


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
        """Look, without executing or deserialising anything, whether the file can be of this format.

        :raises WrongFormat: it cannot
        """

    def save(self, model: Any, path: Path) -> None:
        """Write a model.

        :raises InvalidInput: it cannot be written in this format
        """

    def load(self, path: Path, *, trusted_types: Sequence[str]) -> Any:
        """Read a model from a verified file.

        :param trusted_types: names of types that may be built, from the operator's configuration
        """


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """A JSON value: coefficients, rules, look-up tables, the text form of tree libraries."""

    name: str = "json"
    suffix: str = ".json"
    libraries: tuple[str, ...] = ()

    def check(self, path: Path) -> None:
        """Parse the file."""
        self._parse(path)

    def save(self, model: Any, path: Path) -> None:
        """Write a JSON value."""
        try:
            path.write_bytes(canonical_json(model))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(
                f"a model of type {type(model).__name__} cannot be written as json ({error}): "
                "return JSON values, or choose another format"
            ) from error

    def load(self, path: Path, *, trusted_types: Sequence[str]) -> Any:  # noqa: ARG002 - JSON builds no types
        """Read a JSON value."""
        return self._parse(path)

    def _parse(self, path: Path) -> Any:
        try:
            return json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise WrongFormat(f"{path.name} is not a JSON file: {error}") from error


@dataclass(frozen=True, slots=True)
class SkopsFormat:
    """A scikit-learn model written by skops, which builds only types on a list."""

    name: str = "skops"
    suffix: str = ".skops"
    libraries: tuple[str, ...] = ("scikit-learn", "skops", "numpy")

    def check(self, path: Path) -> None:
        """Look for skops's table of contents in the archive."""
        try:
            with zipfile.ZipFile(path) as archive:
                archive.getinfo("schema.json")
        except Exception as error:  # for damaged archives zipfile raises much more than BadZipFile
            raise WrongFormat(
                f"{path.name} is not a skops file (a zip archive with schema.json): write it with skops.io.dump"
            ) from error

    def save(self, model: Any, path: Path) -> None:
        """Write a scikit-learn model."""
        skops = _import_quietly("skops.io", extra="sklearn", purpose="writing a skops file")
        try:
            with warnings.catch_warnings():
                # skops asks every loaded module whether a function is its own, and Airflow's lazy modules warn of that.
                warnings.filterwarnings("ignore", message="The `airflow\\.")
                skops.dump(model, path)
        except Exception as error:  # skops lets the errors of any object's own __reduce__ and __getstate__ through
            raise InvalidInput(
                f"a model of type {type(model).__name__} cannot be written as skops ({error}): "
                "return a scikit-learn estimator, or choose another format"
            ) from error

    def load(self, path: Path, *, trusted_types: Sequence[str]) -> Any:
        """Read a scikit-learn model, building only known types and those on the operator's list."""
        skops = _import_quietly("skops.io", extra="sklearn", purpose="reading a skops file")
        try:
            unknown = sorted(set(skops.get_untrusted_types(file=path)) - set(trusted_types))
        except Exception as error:  # whatever skops stumbles over in a file that it did not write
            raise WrongFormat(
                f"{path.name} cannot be read as a skops file ({type(error).__name__}: {error}): write it with "
                "skops.io.dump"
            ) from error
        if unknown:
            raise FormatRefused(
                f"{path.name} holds types that nobody trusts here: {', '.join(unknown)}; if they are meant to be "
                "there, add them to 'trusted_types' of the operator or connection that loads the model"
            )
        return skops.load(path, trusted=list(trusted_types))


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Bytes that this package does not read: they are handed out as a verified file."""

    name: str = "raw"
    suffix: str = ".bin"
    libraries: tuple[str, ...] = ()

    def check(self, path: Path) -> None:
        """Accept anything but what is executed by reading it."""
        if path.suffix.lstrip(".").lower() in _PICKLES:
            raise _pickle_refused(path.suffix.lstrip(".").lower())

    def save(self, model: Any, path: Path) -> None:
        """Write bytes."""
        if not isinstance(model, bytes | bytearray | memoryview):
            raise InvalidInput(f"a model of type {type(model).__name__} cannot be written as raw: return bytes")
        path.write_bytes(model)

    def load(self, path: Path, *, trusted_types: Sequence[str]) -> Any:  # noqa: ARG002 - no types are built
        """Read the bytes."""
        return path.read_bytes()


FORMATS: dict[str, Format] = {item.name: item for item in (SkopsFormat(), JsonFormat(), RawFormat())}


def format_named(name: str) -> Format:
    """Return a format.

    :raises FormatRefused: it is pickle or one of its kind
    :raises InvalidInput: there is no such format
    """
    if name in _PICKLES:
        raise _pickle_refused(name)
    if name not in FORMATS:
        raise InvalidInput(f"{name!r} is no model format: expected one of {', '.join(sorted(FORMATS))}")
    return FORMATS[name]


def check_format(name: str, path: Path) -> None:
    """Refuse a file that cannot be of the format it is announced as.

    :raises WrongFormat: it cannot
    """
    format_named(name).check(path)


def _pickle_refused(name: str) -> FormatRefused:
    return FormatRefused(
        f"format {name!r} is refused: reading such a file runs whatever code its writer put into it; "
        "use skops for scikit-learn models, json or raw for others"
    )


def _import_quietly(module: str, *, extra: str, purpose: str) -> Any:
    """Import a format's library without the flood of warnings that skops causes.

    skops looks for its functions' homes by asking every loaded module for some 230 names, and Airflow's lazy modules
    answer each with a deprecation warning: over a thousand lines in a task's log.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise MissingExtra(library=module.partition(".")[0], extra=extra, purpose=purpose) from error
