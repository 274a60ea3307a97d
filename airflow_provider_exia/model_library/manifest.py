"""The names that are computed from content: digests, publications and blob keys. Nothing here is read from a store."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import FileRecord, Version

_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LONGEST_PATH = 512


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no spaces, no NaN.

    :raises ValueError: NaN or infinity
    :raises TypeError: not a JSON value
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def read_json(text: bytes) -> Any:
    """Return a JSON value, read as strictly as :func:`canonical_json` writes: on the rest, readers differ.

    :raises ValueError: not JSON; NaN, infinity or a number beyond all; a key that occurs twice
    :raises RecursionError: nested too deep
    """
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once_each)


def check_path(path: str) -> str:
    """Return ``path`` if it can name a file inside a version.

    :raises InvalidInput: it is absolute, climbs, is hidden or holds unusual characters
    """
    segments = path.split("/") if isinstance(path, str) else []
    plain = all(_SEGMENT.fullmatch(segment) and not segment.startswith(".") for segment in segments)
    if not segments or not plain or len(path) > _LONGEST_PATH:
        raise InvalidInput(
            f"{path!r} cannot name a file of a version: expected a relative path of letters, digits, '.', '_', '-' "
            "without hidden or '..' segments, as in 'model.skops'"
        )
    return path


def check_paths(paths: Iterable[str]) -> None:
    """Refuse paths that cannot lie side by side in one folder.

    :raises InvalidInput: one cannot name a file, occurs twice, or is the folder of another
    """
    seen: set[str] = set()
    for path in paths:
        if check_path(path) in seen:
            raise InvalidInput(f"two files have the path {path!r}: give each its own")
        seen.add(path)
    for path in sorted(seen):
        for folder in PurePosixPath(path).parents:
            if str(folder) in seen:
                raise InvalidInput(f"{str(folder)!r} cannot be a file and the folder of {path!r}: rename one of them")


def digest_of(files: Sequence[FileRecord], format_name: str) -> str:
    """Return the SHA-256 over the list of files (path, role, sha256, size) and the format."""
    return hashlib.sha256(canonical_json(_content(files, format_name))).hexdigest()


def manifest_of(version: Version) -> bytes:
    """Return what is signed: what the digest covers, with the model's name and the version's number."""
    content = _content(version.files, version.format)
    return canonical_json({**content, "model": version.model, "number": version.number})


def publication_of(work: str, digest: str) -> str:
    """Return the name of a publication: the same work with the same bytes is the same publication."""
    return hashlib.sha256(f"{work}\n{digest}".encode()).hexdigest()


def blob_key(prefix: str, version: Version, path: str) -> str:
    """Return where a file of a version lies.

    The number is in the key, so a late delete of an abandoned attempt cannot hit its revival.
    """
    return f"{prefix}/{version.model}/{version.publication}/{version.number}/{check_path(path)}"


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON value")


def _finite(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"{text[:40]} is larger than any number")
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the key {name!r} occurs twice")
        fields[name] = value
    return fields


def _content(files: Sequence[FileRecord], format_name: str) -> dict[str, Any]:
    listed = [
        {"path": file.path, "role": file.role.value, "sha256": file.sha256, "size": file.size}
        for file in sorted(files, key=lambda file: file.path)
    ]
    return {"files": listed, "format": format_name}
