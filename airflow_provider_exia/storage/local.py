"""Blobs as files below one directory: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, BlobInfo, BlobMissing
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_INCOMING = ".incoming"
_FINAL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.ENOTDIR: "a file is in the way of a folder",
    errno.EEXIST: "a file is in the way of a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EISDIR: "a folder is in the way of a file",
}
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalBlobs:
    """Blobs in a directory of this machine (or of a mounted file system with atomic rename).

    :param root: the directory; made at the first write
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def put(self, key: str, source: Path) -> None:
        """Stream a file to ``key``, whole or not at all; durable when it returns."""
        target = self._path(key)
        incoming = self.root / _INCOMING / uuid.uuid4().hex
        try:
            reader = source.open("rb")
        except OSError as error:
            raise InvalidInput(f"cannot read {source} to store it: {error.strerror}; nothing was written") from error
        try:
            with reader:
                _make_directory(incoming.parent)
                _make_directory(target.parent)
                _copy_durably(reader, incoming)
            crash_point("blob.temporary-written")
            _put_in_place(incoming, target)
        except OSError as error:
            raise _definite(error, f"nothing was written to {target}") from error
        finally:
            with suppress(OSError):  # also after a task's time-out; what is left is never listed
                incoming.unlink()

    def open(self, key: str) -> BinaryIO:
        """Open a blob for streaming; the caller closes it."""
        try:
            return self._path(key).open("rb")
        except _ABSENT as error:
            raise BlobMissing(key) from error
        except OSError as error:
            raise _definite(error, f"cannot read {self._path(key)}") from error

    def stat(self, key: str) -> BlobInfo | None:
        """Return what is known about the blob, or None."""
        return self._info(self._path(key))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Yield every blob whose key starts with ``prefix``."""
        start = self._path(prefix.removesuffix("/")) if prefix else self.root
        for folder, names, files in os.walk(start, onerror=_raise_unless_absent):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                # A hidden file is no blob: no key names it (network file systems leave some behind).
                info = None if name.startswith(".") else self._info(Path(folder) / name)
                if info is not None:  # not deleted by somebody else while we walked
                    yield info

    def delete(self, key: str) -> None:
        """Remove a blob; absent is success."""
        path = self._path(key)
        try:
            path.unlink()
        except _ABSENT:
            pass
        except OSError as error:
            raise _definite(error, f"cannot delete {path}") from error

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if any(not _SEGMENT.fullmatch(segment) or segment.startswith(".") for segment in segments):
            raise ValueError(f"{key!r} is no blob key: segments of letters, digits, '.', '_', '-', no leading dot")
        return self.root.joinpath(*segments)

    def _info(self, path: Path) -> BlobInfo | None:
        try:
            facts = path.stat()
        except _ABSENT:
            return None
        except OSError as error:
            raise _definite(error, f"cannot read {path}") from error
        if not stat.S_ISREG(facts.st_mode):
            return None
        return BlobInfo(
            key=path.relative_to(self.root).as_posix(),
            size=facts.st_size,
            modified_at=datetime.fromtimestamp(facts.st_mtime, UTC),
        )


def _definite(error: OSError, what: str) -> StorageError:
    """Turn an error after which nothing was written into the store's own."""
    if error.errno in _FINAL:
        return StoreRefused(f"{what}: {_FINAL[error.errno]}; mend that and run again")
    return StoreUnavailable(f"{what}: {error.strerror or error}")


def _raise_unless_absent(error: OSError) -> None:
    """Let no folder that cannot be read pass for an empty one."""
    if not isinstance(error, _ABSENT):
        raise _definite(error, f"cannot list {error.filename}") from error


def _put_in_place(incoming: Path, target: Path) -> None:
    try:
        os.replace(incoming, target)
        crash_point("blob.renamed")
        _sync_directory(target.parent)
    except IsADirectoryError:
        raise  # a folder is there: nothing was moved
    except OSError as error:
        raise WriteUnknown(f"no word whether {target} was written: {error.strerror}") from error


def _copy_durably(reader: BinaryIO, target: Path) -> None:
    with target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, CHUNK_BYTES)
        writer.flush()
        os.fsync(writer.fileno())


def _make_directory(folder: Path) -> None:
    """Make a folder and those above it; each new name is durable in the folder that holds it."""
    if folder.is_dir():
        return
    _make_directory(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_directory(folder.parent)


def _sync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
