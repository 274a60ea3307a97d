"""Blobs as files below one directory: temporary file, fsync, rename, fsync of the directory."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, BlobInfo, BlobMissing, FileDigest, check_key
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown

_INCOMING = ".incoming"
_REMEMBERED = 10_000
_UPLOAD = re.compile(r"[0-9a-f]{32}")
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
        self._durable: set[Path] = set()

    @property
    def part_bytes(self) -> int | None:
        """A file is always copied whole."""
        return None

    def put(self, key: str, source: Path, *, digest: FileDigest | None = None) -> None:
        """Stream a file to ``key``, whole or not at all; durable when it returns."""
        target = self._path(key)
        incoming = self.root / _INCOMING / uuid.uuid4().hex
        try:
            reader = source.open("rb", buffering=0)  # it is read in large chunks
        except OSError as error:
            raise InvalidInput(f"cannot read {source} to store it: {error.strerror}; nothing was written") from error
        try:
            with reader, self._create(incoming) as writer:
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy_durably(reader, writer)
            crash_point("blob.temporary-written")
            self._put_in_place(incoming, target)
        except BaseException as error:  # also a task's time-out
            with suppress(OSError):  # what is left is never listed
                incoming.unlink()
            if isinstance(error, OSError):
                raise _definite(error, f"nothing was written to {target}") from error
            raise

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
        _remove(self._path(key))

    def unfinished(self, prefix: str, *, before: datetime) -> Sequence[str]:  # no name tells its key
        """Name the temporary files that nobody has written to since ``before``."""
        folder = self.root / _INCOMING
        try:
            names = sorted(name for name in os.listdir(folder) if _UPLOAD.fullmatch(name))
        except _ABSENT:
            return []
        except OSError as error:
            raise _definite(error, f"cannot list {folder}") from error
        return [name for name in names if _written_before(folder / name, before)]

    def abort(self, upload: str) -> None:
        """Remove a temporary file; absent is success."""
        if not _UPLOAD.fullmatch(upload):
            raise ValueError(f"{upload!r} is no upload of {self.root}: expected a name that 'unfinished' gave")
        _remove(self.root / _INCOMING / upload)

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _create(self, incoming: Path) -> BinaryIO:
        try:
            return incoming.open("xb")
        except FileNotFoundError:  # there was no put before
            _make_root(self.root)
            incoming.parent.mkdir(exist_ok=True)
            return incoming.open("xb")

    def _put_in_place(self, incoming: Path, target: Path) -> None:
        try:
            os.replace(incoming, target)
            crash_point("blob.renamed")
            self._make_durable(target)
        except IsADirectoryError:
            raise  # a folder is there: nothing was moved
        except OSError as error:
            raise WriteUnknown(f"no word whether {target} was written: {error.strerror}") from error

    def _make_durable(self, target: Path) -> None:
        """Sync the folder of a file, and those above it until one whose own name is known to be durable.

        That a folder is there does not say that its name is durable: another writer may have just made it. All are
        synced after the rename, one behind the other: so the file system writes them down once, not once for each.
        """
        named = []
        for folder in target.parents:
            _sync_directory(folder)
            if folder == self.root or folder in self._durable:
                break
            named.append(folder)
        if len(self._durable) > _REMEMBERED:
            self._durable.clear()
        self._durable.update(named)

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


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except _ABSENT:
        pass
    except OSError as error:
        raise _definite(error, f"cannot delete {path}") from error


def _written_before(path: Path, moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:  # finished or given up while we looked
        return False


def _copy_durably(reader: BinaryIO, writer: BinaryIO) -> None:
    shutil.copyfileobj(reader, writer, CHUNK_BYTES)
    writer.flush()
    os.fsync(writer.fileno())


def _make_root(folder: Path) -> None:
    """Make a folder and those above it; each new name is durable in the folder that holds it, whoever has made it."""
    if folder.is_dir():
        with suppress(PermissionError):  # so it is none that another writer has just made
            _sync_directory(folder.parent)
        return
    _make_root(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_directory(folder.parent)


def _sync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
