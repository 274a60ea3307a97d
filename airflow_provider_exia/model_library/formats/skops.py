"""scikit-learn models in skops's own archive."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats.base import Trust, import_library, reason_of


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
        skops = import_library("skops.io", extra="sklearn", purpose="writing a skops file")
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

    def load(self, path: Path, *, trust: Trust) -> Any:
        """Read a scikit-learn model, building only known types and those on the operator's list."""
        skops = import_library("skops.io", extra="sklearn", purpose="reading a skops file")
        _check_unpacked_size(path, trust.max_bytes)
        try:
            unknown = sorted(set(skops.get_untrusted_types(file=path)) - set(trust.types))
        except Exception as error:  # whatever skops stumbles over in a file that it did not write
            raise _wrong(path, error) from error
        if unknown:
            names = ", ".join(map(_shown, unknown))
            raise FormatRefused(
                f"{path.name} holds types that nobody trusts here: {names}; if they are meant to be there, add them to "
                "'trusted_types' of the operator or connection that loads the model"
            )
        try:
            return skops.load(path, trusted=list(trust.types))
        except Exception as error:  # the types are known, and what is built of them can still be anything
            raise _wrong(path, error) from error


def _check_unpacked_size(path: Path, max_bytes: int | None) -> None:
    """Refuse what unpacks to too much; zipfile gives out no more of an entry than the archive's directory says."""
    if max_bytes is None:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # for damaged archives zipfile raises much more than BadZipFile
        raise _wrong(path, error) from error
    if size > max_bytes:
        raise FormatRefused(
            f"{path.name} unpacks to {size} bytes, more than the {max_bytes} allowed here: see 'max_bytes' of the "
            "connection or operator"
        )


def _wrong(path: Path, error: Exception) -> WrongFormat:
    return WrongFormat(f"{path.name} cannot be read as a skops file ({reason_of(error)}): write it with skops.io.dump")


def _shown(name: str) -> str:
    """Return a type's name as it can be copied into a list; one that plays tricks with a terminal is quoted."""
    return name if name.isprintable() else repr(name)
