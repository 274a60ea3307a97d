"""Files that were fetched before, by the SHA-256 of their bytes: a model that is loaded again costs no download.

Nothing in the cache is believed. Who takes a file from it copies it to a place of its own and hashes what it copies,
as it does with what comes from a blob store. So a damaged, exchanged or half-written file costs a download and is
never used.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

log = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INCOMING = ".exia-"
_INCOMING_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCache:
    """A folder of verified files that all processes of a machine may share. What fails in it is logged, never raised.

    :param folder: made for its owner alone
    :param max_bytes: how much it holds; what was not used for longest is thrown out first
    """

    folder: Path
    max_bytes: int = 10 * 1024**3

    def open(self, sha256: str) -> BinaryIO | None:
        """Open a file for reading, or return None; its bytes have to be hashed before they are used."""
        path = self._path(sha256)
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain("read", error)
            return None
        with suppress(OSError):  # thrown out by another process meanwhile, or not ours
            os.utime(path)
        return stream

    def keep(self, sha256: str, source: Path) -> None:
        """Copy a verified file into the cache.

        :param sha256: of its bytes
        :param source: the file; nobody else writes to it
        """
        try:
            if source.stat().st_size > self.max_bytes:
                return
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._incoming() as incoming:
                shutil.copyfile(source, incoming)
                os.replace(incoming, self._path(sha256))
            self._make_room()
        except OSError as error:
            self._complain("write", error)

    def discard(self, sha256: str) -> None:
        """Remove a file that is damaged."""
        try:
            self._path(sha256).unlink(missing_ok=True)
        except OSError as error:
            self._complain("clean", error)

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no SHA-256")
        return self.folder / sha256

    @contextmanager
    def _incoming(self) -> Iterator[Path]:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=_INCOMING)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Throw out what was not used for longest, and what killed processes left half-written; touch nothing else."""
        files: list[tuple[float, int, str]] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # thrown out by another process
                    found = entry.stat(follow_symlinks=False)
                    if not S_ISREG(found.st_mode):
                        continue
                    if _SHA256.fullmatch(entry.name):
                        files.append((found.st_mtime, found.st_size, entry.path))
                    elif entry.name.startswith(_INCOMING) and found.st_mtime < time.time() - _INCOMING_SECONDS:
                        os.unlink(entry.path)
        excess = sum(size for _, size, _ in files) - self.max_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            Path(path).unlink(missing_ok=True)
            excess -= size

    def _complain(self, verb: str, error: OSError) -> None:
        log.warning("the cache of model files in %s cannot be used (%s: %s)", self.folder, verb, error.strerror)
