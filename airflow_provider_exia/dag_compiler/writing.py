"""Files are put in place in one step: a reader sees the old one or the new one, also after a crash at any instant."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.dag_compiler.exceptions import OutputRefused

_PREFIX, _SUFFIX = ".exia-", ".tmp"  # no .py: Airflow must not parse half a file


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other compilers out of a folder, made if absent, and remove what killed ones left in it.

    The lock is on the folder itself, so that no file of ours lies among the DAGs; a killed process loses it.

    :raises OutputRefused: the folder cannot be made or opened
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputRefused(f"{folder} cannot be used as a folder: {error.strerror}; name another one") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def confined(path: str | Path, root: Path) -> Path:
    """Return where a path really leads, if that is a file inside ``root``.

    :param path: absolute, or relative to ``root``
    :raises OutputRefused: it leads out of ``root``, or to a link or a folder
    """
    if "\0" in str(path):
        raise OutputRefused("a path holds a null character")
    inside = root.resolve()
    target = inside / path
    try:
        resolved = target.parent.resolve() / target.name
        mode = resolved.lstat().st_mode if os.path.lexists(resolved) else None
    except (OSError, RuntimeError) as error:
        raise OutputRefused(f"{path} cannot be followed: {error}") from error
    if target.name in ("", "..") or not resolved.is_relative_to(inside) or resolved == inside:
        raise OutputRefused(f"{path} leads out of {root}: only files inside it are written")
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "no ordinary file"
        raise OutputRefused(f"{path} is {kind}: remove it, or name another file")
    return resolved


def write_in_one_step(target: Path, text: str) -> bool:
    """Put a file in place, unless it holds exactly this text already: then its time of change stays too.

    :param target: in a folder that this process has :func:`locked`
    :returns: whether it was written
    :raises OutputRefused: it could not be written; the old file is still there
    """
    content = text.encode()
    if read_if_there(target) == content:
        return False
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            crash_point("compile.half-written")
            file.write(content[len(content) // 2 :])
            file.flush()
            os.fchmod(file.fileno(), _mode(target))
            crash_point("compile.written")
            os.fsync(file.fileno())
        crash_point("compile.synced")
        os.replace(temporary, target)
        temporary = None
        crash_point("compile.replaced")
        _sync_folder(target.parent)
    except OSError as error:
        raise OutputRefused(f"{target} cannot be written: {error.strerror}; what was there is still there") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return True


def remove(target: Path) -> None:
    """Remove a file.

    :raises OutputRefused: it could not be removed
    """
    try:
        target.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        raise OutputRefused(f"{target} cannot be removed: {error.strerror}") from error


def read_if_there(path: Path) -> bytes | None:
    """Return the content of a file, or None where there is none.

    :raises OutputRefused: there is one that cannot be read
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputRefused(f"{path} cannot be read: {error.strerror}") from error


def _mode(target: Path) -> int:
    """Return the mode of the file that is replaced, or what a new file would get: the DAG processor must read it."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot do it
            raise
    finally:
        os.close(handle)
