"""Bytes under keys: the protocol that every object backend keeps.

A reader sees a whole blob or none. Nothing is conditional: the documents decide what is true, and their protocol
writes the same bytes under the same key, never other bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from airflow_provider_exia.storage.documents import StorageError

CHUNK_BYTES = 1024 * 1024
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class BlobMissing(StorageError):
    """There is no blob under this key.

    :param key: the key that was asked for
    """

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"no blob at {key!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What a store knows about a blob without reading it.

    :param key: where it lies
    :param size: bytes
    :param modified_at: when it was written, by the store's clock
    :param sha256: what the store itself computed over all bytes that it took in, where ``stat`` finds that out without
        reading them; else None: read the blob back
    """

    key: str
    size: int
    modified_at: datetime
    sha256: str | None = None


class BlobStore(Protocol):
    """Bytes under keys of plain segments (``[A-Za-z0-9._-]+`` joined by ``/``), computed by the caller.

    A key is never the folder of another one. Any call may raise :class:`StoreUnavailable` or :class:`StoreRefused`,
    and ValueError for another kind of key.
    """

    def put(self, key: str, source: Path, *, sha256: str | None = None) -> None:
        """Stream a file to ``key``, whole or not at all; an existing blob is replaced.

        :param sha256: what the bytes should be. It lets a store refuse others; whether it did, ``stat`` or reading
            back tells
        :raises InvalidInput: ``source`` cannot be read; nothing was written
        :raises WriteUnknown: nothing is known about the outcome; put again
        """

    def open(self, key: str) -> BinaryIO:
        """Open a blob for streaming; the caller closes it.

        :raises BlobMissing: nothing is there
        """

    def stat(self, key: str) -> BlobInfo | None:
        """Return what is known about the blob, or None."""

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Yield every blob whose key starts with ``prefix`` (whole segments, ending in ``/``)."""

    def delete(self, key: str) -> None:
        """Remove a blob; absent is success. For garbage collection and probes only."""

    def unfinished(self, *, before: datetime) -> Sequence[str]:
        """Name the uploads that began before a moment and never ended: what a killed ``put`` leaves behind."""

    def abort(self, upload: str) -> None:
        """Give up an unfinished upload and its room; absent is success. No blob is touched.

        A ``put`` that was still at work ends in an error.

        :param upload: a name that ``unfinished`` gave
        :raises ValueError: it is no such name
        """

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""


def check_key(key: str) -> str:
    """Return ``key`` if it can be one.

    :raises ValueError: it cannot
    """
    if not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise ValueError(f"{key!r} is no blob key: segments of letters, digits, '.', '_', '-', no leading dot")
    return key


def sha256_of(stream: BinaryIO) -> tuple[str, int]:
    """Read a stream to its end.

    :returns: the SHA-256 in hexadecimal and the size in bytes
    """
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
