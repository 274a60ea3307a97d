"""ONNX graphs that lie in one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats.base import Trust, import_library, reason_of


@dataclass(frozen=True, slots=True)
class OnnxFormat:
    """A graph in ONNX; its tensors lie in the same file, since a path in a model could name any file of the reader."""

    name: str = "onnx"
    suffix: str = ".onnx"
    libraries: tuple[str, ...] = ("onnx",)

    def check(self, path: Path) -> None:
        """Parse the graph, look for tensors that lie elsewhere, and let ONNX's own checker look at it."""
        _read(path, purpose="checking an onnx file")

    def save(self, model: Any, path: Path) -> None:
        """Write a graph."""
        onnx = import_library("onnx", extra="onnx", purpose="writing an onnx file")
        if not isinstance(model, onnx.ModelProto):
            raise InvalidInput(
                f"a model of type {type(model).__name__} cannot be written as onnx: return an onnx.ModelProto"
            )
        try:
            content = model.SerializeToString(deterministic=True)
        except Exception as error:  # protobuf raises several kinds for what is too large
            raise InvalidInput(f"the graph cannot be written as onnx: {error}") from error
        path.write_bytes(content)

    def load(self, path: Path, *, trust: Trust) -> Any:  # a graph builds no types
        """Read the graph; nothing runs it."""
        return _read(path, purpose="reading an onnx file")


def _read(path: Path, *, purpose: str) -> Any:
    onnx = import_library("onnx", extra="onnx", purpose=purpose)
    content = path.read_bytes()
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's DecodeError, which has no stable home
        raise WrongFormat(f"{path.name} is not an onnx file: {reason_of(error)}") from error
    outside = next((tensor.name for tensor in _tensors(model, onnx.TensorProto) if _lies_outside(tensor)), None)
    if outside is not None:
        raise FormatRefused(
            f"{path.name} keeps its tensor {outside!r} in another file: save it in one file, with "
            "onnx.save(model, path, save_as_external_data=False) after loading all data"
        )
    try:
        onnx.checker.check_model(content)
    except Exception as error:  # its own error, and ValueError beyond 2 GiB
        raise WrongFormat(f"{path.name} is not a valid onnx file: {reason_of(error)}") from error
    return model


def _tensors(message: Any, kind: type) -> Iterator[Any]:
    """Yield every tensor at any depth: initializers, attributes, sparse ones, those of subgraphs and functions."""
    waiting = [message]  # and no recursion: how deep graphs lie in graphs is up to the file's writer
    while waiting:
        message = waiting.pop()
        if isinstance(message, kind):
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)


def _lies_outside(tensor: Any) -> bool:
    return bool(tensor.external_data) or tensor.data_location == tensor.EXTERNAL
