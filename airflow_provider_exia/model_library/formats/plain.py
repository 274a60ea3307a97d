"""JSON values, and bytes that nobody here reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import WrongFormat
from airflow_provider_exia.model_library.formats.base import reason_of
from airflow_provider_exia.model_library.formats.pickles import PICKLE_NAMES, pickle_refused
from airflow_provider_exia.model_library.manifest import canonical_json, read_json

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.formats.base import Trust


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

    def load(self, path: Path, *, trust: Trust) -> Any:  # JSON builds no types
        """Read a JSON value."""
        return self._parse(path)

    def _parse(self, path: Path) -> Any:
        try:
            return read_json(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise WrongFormat(f"{path.name} is not a JSON file: {reason_of(error)}") from error


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Bytes that this package does not read: they are handed out as a verified file."""

    name: str = "raw"
    suffix: str = ".bin"
    libraries: tuple[str, ...] = ()

    def check(self, path: Path) -> None:
        """Accept anything but what is executed by reading it."""
        ending = path.suffix.lstrip(".").lower()
        if ending in PICKLE_NAMES:
            raise pickle_refused(ending)

    def save(self, model: Any, path: Path) -> None:
        """Write bytes."""
        if not isinstance(model, bytes | bytearray | memoryview):
            raise InvalidInput(f"a model of type {type(model).__name__} cannot be written as raw: return bytes")
        path.write_bytes(model)

    def load(self, path: Path, *, trust: Trust) -> Any:  # no types are built
        """Read the bytes."""
        return path.read_bytes()
