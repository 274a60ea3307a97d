"""Named arrays in safetensors, which is data and never code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import WrongFormat
from airflow_provider_exia.model_library.formats.base import Trust, import_library, reason_of


@dataclass(frozen=True, slots=True)
class SafetensorsFormat:
    """Arrays by name: the weights of a network, as dict of numpy arrays."""

    name: str = "safetensors"
    suffix: str = ".safetensors"
    libraries: tuple[str, ...] = ("safetensors", "numpy")

    def check(self, path: Path) -> None:
        """Let safetensors read the header, which must account for every byte; no array is built."""
        safetensors = import_library("safetensors", extra="safetensors", purpose="checking a safetensors file")
        try:
            with safetensors.safe_open(path, framework="numpy"):
                pass
        except Exception as error:  # its own error, and those of files that are too short or cannot be mapped
            raise _wrong(path, error) from error

    def save(self, model: Any, path: Path) -> None:
        """Write arrays by name."""
        safetensors = import_library("safetensors.numpy", extra="safetensors", purpose="writing a safetensors file")
        numpy = import_library("numpy", extra="safetensors", purpose="writing a safetensors file")
        named = isinstance(model, Mapping) and all(
            isinstance(name, str) and isinstance(value, numpy.ndarray) for name, value in model.items()
        )
        if not named:
            raise InvalidInput(
                f"a model of type {type(model).__name__} cannot be written as safetensors: return a dict of numpy "
                "arrays by name"
            )
        try:
            # In C order, since the file keeps the bytes as they lie.
            safetensors.save_file({name: numpy.asarray(value, order="C") for name, value in model.items()}, path)
        except Exception as error:  # safetensors has no error of its own for a dtype that it does not know
            raise InvalidInput(f"the arrays cannot be written as safetensors ({error!r}): return numbers") from error

    def load(self, path: Path, *, trust: Trust) -> Any:  # arrays are no types of anybody
        """Read the arrays."""
        safetensors = import_library("safetensors.numpy", extra="safetensors", purpose="reading a safetensors file")
        try:
            return safetensors.load_file(path)
        except Exception as error:  # also KeyError, for a dtype that numpy lacks
            raise _wrong(path, error) from error


def _wrong(path: Path, error: Exception) -> WrongFormat:
    return WrongFormat(
        f"{path.name} is not a safetensors file ({reason_of(error)}): write it with safetensors.numpy.save_file"
    )
