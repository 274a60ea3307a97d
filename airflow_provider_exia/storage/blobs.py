"""Bytes under keys: the protocol that every object backend keeps.

A reader sees a whole blob or none. Nothing is conditional: the documents decide what is true, and their protocol
writes the same bytes under the same key, never other bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from airflow_provider_exia.storage.documents import StorageError

CHUNK_BYTES = 1024 * 1024
MOST_PARTS = 10_000
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
    :param checksum: a :attr:`FileDigest.checksum` that the store itself computed over the bytes that it took in, where
        ``stat`` finds that out without reading them; else None: read the blob back
    """

    key: str
    size: int
    modified_at: datetime
    checksum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """What a file's bytes are, measured in one pass.

    :param sha256: of all of them, in hexadecimal
    :param size: bytes
    :param part_bytes: size of each part but the last; 0 if there are none
    :param parts: SHA-256 of each part, if the file is put in parts
    """

    sha256: str
    size: int
    part_bytes: int = 0
    parts: tuple[bytes, ...] = ()

    @property
    def checksum(self) -> str:
        """What a store computes that takes the file in these parts: the SHA-256, of the parts' if there are some."""
        if not self.parts:
            return self.sha256
        return f"{hashlib.sha256(b''.join(self.parts)).hexdigest()}-{len(self.parts)}"


class OtherBytes(StorageError):
    """What was to be put does not have the digest that was given; nothing was stored."""


class BlobStore(Protocol):
    """Bytes under keys of plain segments (``[A-Za-z0-9._-]+`` joined by ``/``), computed by the caller.

    A key is never the folder of another one. Any call may raise :class:`StoreUnavailable` or :class:`StoreRefused`,
    and ValueError for another kind of key.
    """

    @property
    def part_bytes(self) -> int | None:
        """The size of the parts in which a larger file is put; None: always whole."""

    def put(self, key: str, source: Path, *, digest: FileDigest | None = None) -> None:
        """Stream a file to ``key``, whole or not at all; an existing blob is replaced.

        :param digest: what the bytes should be, measured with this store's ``part_bytes``. It lets a store refuse
            others; whether it did, ``stat`` or reading back tells
        :raises OtherBytes: they are others; nothing was written
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

    def unfinished(self, prefix: str, *, before: datetime) -> Sequence[str]:
        """Name the uploads that began before a moment and never ended: what a killed ``put`` leaves behind.

        :param prefix: of their keys, as for ``list``; a folder cannot tell the key of an upload, and names all
        """

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


class HashBeside:
    """A SHA-256 that is computed in a thread of its own, at most one chunk behind.

    A context: at its end the thread is over.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exia-hash")
        self._last: Future[None] | None = None

    def __enter__(self) -> HashBeside:
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown()

    def update(self, chunk: bytes) -> None:
        """Add bytes; a small chunk is not worth a thread."""
        self._wait()
        if len(chunk) < CHUNK_BYTES:
            self._digest.update(chunk)
        else:
            self._last = self._thread.submit(self._digest.update, chunk)

    def hexdigest(self) -> str:
        """Return the SHA-256 of all that was added."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()


def measure(source: Path, *, part_bytes: int | None = None) -> FileDigest:
    """Read a file once and return its digest.

    :param part_bytes: what the store says; doubled until there are at most 10,000 parts, as many as S3 takes
    :raises OSError: it cannot be read
    """
    with source.open("rb", buffering=0) as stream:  # it is read in large chunks
        size = os.fstat(stream.fileno()).st_size
        if part_bytes is None or size <= part_bytes:
            sha256, size = sha256_of(stream)
            return FileDigest(sha256=sha256, size=size)
        while size > part_bytes * MOST_PARTS:
            part_bytes *= 2
        with HashBeside() as whole:
            total, parts = 0, list[bytes]()
            while length := _hash_part(stream, part_bytes, whole, parts):
                total += length
        return FileDigest(sha256=whole.hexdigest(), size=total, part_bytes=part_bytes, parts=tuple(parts))


def _hash_part(stream: BinaryIO, part_bytes: int, whole: HashBeside, parts: list[bytes]) -> int:
    part, length = hashlib.sha256(), 0
    while length < part_bytes and (chunk := stream.read(min(CHUNK_BYTES, part_bytes - length))):
        whole.update(chunk)
        part.update(chunk)
        length += len(chunk)
    if length:
        parts.append(part.digest())
    return length
