"""The formats a model file can have: how a file is recognised, written and read.

A format is chosen by the author and by the operator's configuration, never guessed from the bytes.
"""

from __future__ import annotations

from pathlib import Path

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.formats.base import Format, Trust
from airflow_provider_exia.model_library.formats.code import CodeFormat
from airflow_provider_exia.model_library.formats.onnx import OnnxFormat
from airflow_provider_exia.model_library.formats.pickles import (
    PICKLE_NAMES,
    JoblibFormat,
    PickleFormat,
    pickle_refused,
)
from airflow_provider_exia.model_library.formats.plain import JsonFormat, RawFormat
from airflow_provider_exia.model_library.formats.safetensors import SafetensorsFormat
from airflow_provider_exia.model_library.formats.skops import SkopsFormat

__all__ = ["DEFAULT_FORMATS", "FORMATS", "PICKLES", "Format", "Trust", "check_format", "format_named"]

FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        SkopsFormat(),
        SafetensorsFormat(),
        OnnxFormat(),
        JsonFormat(),
        CodeFormat(),
        RawFormat(),
        PickleFormat(),
        JoblibFormat(),
    )
}

PICKLES = frozenset({"pickle", "joblib"})
"""The formats that run code when they are read."""

DEFAULT_FORMATS = frozenset(FORMATS) - PICKLES
"""What may be loaded where nobody configured anything."""


def format_named(name: str, *, allow_pickle: bool = False) -> Format:
    """Return a format.

    :param allow_pickle: the caller has asked for a pickle, and answers for where it comes from
    :raises FormatRefused: it is pickle or one of its kind, and nobody asked
    :raises InvalidInput: there is no such format
    """
    if isinstance(name, str) and name in PICKLE_NAMES and not (allow_pickle and name in PICKLES):
        raise pickle_refused(name)
    if not isinstance(name, str) or name not in FORMATS:
        raise InvalidInput(f"{name!r} is no model format: expected one of {', '.join(sorted(DEFAULT_FORMATS))}")
    return FORMATS[name]


def check_format(name: str, path: Path, *, allow_pickle: bool = False) -> None:
    """Refuse a file that cannot be of the format it is announced as.

    :param allow_pickle: as for :func:`format_named`
    :raises WrongFormat: it cannot
    """
    format_named(name, allow_pickle=allow_pickle).check(path)
