"""Pickle and joblib: formats that run code when they are read, so that nobody gets them without asking."""

from __future__ import annotations

import pickle  # reached only through format_named(allow_pickle=True)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats.base import Trust, import_library

PICKLE_NAMES = frozenset({"pickle", "pkl", "joblib", "dill", "cloudpickle"})
_PROTOCOL = b"\x80"
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZ", b"\xfd\x37\x7a\x58\x5a", b"\x5d\x00", b"\x04\x22\x4d\x18")


def pickle_refused(name: str) -> FormatRefused:
    """Return the error that says why pickles are not read here."""
    return FormatRefused(
        f"format {name!r} is refused: reading such a file runs whatever code its writer put into it; "
        "use skops for scikit-learn models, safetensors, onnx, json or raw for others"
    )


@dataclass(frozen=True, slots=True)
class PickleFormat:
    """Any Python object; only for who may sign, and only behind a verified signature."""

    name: str = "pickle"
    suffix: str = ".pkl"
    libraries: tuple[str, ...] = ("scikit-learn", "numpy")

    def check(self, path: Path) -> None:
        """Look at the first byte."""
        _require_start(path, (_PROTOCOL,), "pickle")

    def save(self, model: Any, path: Path) -> None:
        """Pickle an object."""
        try:
            path.write_bytes(pickle.dumps(model))
        except Exception as error:  # an object's own __reduce__ may raise anything
            raise _cannot_write(model, self.name, error) from error

    def load(self, path: Path, *, trust: Trust) -> Any:  # no list could hold a pickle back
        """Read an object, running whatever its writer put there."""
        with path.open("rb") as stream:
            return pickle.load(stream)  # noqa: S301 - the caller asked for it and the signature was verified


@dataclass(frozen=True, slots=True)
class JoblibFormat:
    """Any Python object as joblib writes it, with large arrays beside the pickle; under the same rules."""

    name: str = "joblib"
    suffix: str = ".joblib"
    libraries: tuple[str, ...] = ("scikit-learn", "joblib", "numpy")

    def check(self, path: Path) -> None:
        """Look at the first bytes."""
        _require_start(path, (_PROTOCOL, *_COMPRESSED), "joblib")

    def save(self, model: Any, path: Path) -> None:
        """Write an object."""
        joblib = import_library("joblib", extra="sklearn", purpose="writing a joblib file")
        try:
            joblib.dump(model, path)
        except Exception as error:  # an object's own __reduce__ may raise anything
            raise _cannot_write(model, self.name, error) from error

    def load(self, path: Path, *, trust: Trust) -> Any:  # no list could hold a pickle back
        """Read an object, running whatever its writer put there."""
        return import_library("joblib", extra="sklearn", purpose="reading a joblib file").load(path)


def _require_start(path: Path, starts: tuple[bytes, ...], name: str) -> None:
    with path.open("rb") as stream:
        if not stream.read(max(map(len, starts))).startswith(starts):
            raise WrongFormat(f"{path.name} is not a {name} file: write it with {name}.dump")


def _cannot_write(model: object, name: str, error: Exception) -> InvalidInput:
    return InvalidInput(f"a model of type {type(model).__name__} cannot be written as {name} ({error})")
