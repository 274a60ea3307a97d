"""What is particular to blobs in a directory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage import local
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown
from airflow_provider_exia.storage.local import LocalBlobs
from tests.processes import alone, exit_code, obey_permissions


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    """A fresh store in a folder that is not there yet."""
    return LocalBlobs(tmp_path / "store" / "blobs")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to put."""
    path = tmp_path / "source.bin"
    path.write_bytes(b"some bytes")
    return path


def keys(blobs: LocalBlobs) -> list[str]:
    return [info.key for info in blobs.list("")]


def incoming(blobs: LocalBlobs) -> list[str]:
    folder = blobs.root / ".incoming"
    return os.listdir(folder) if folder.is_dir() else []


def test_a_blob_is_a_plain_file_of_that_name(blobs: LocalBlobs, source: Path) -> None:
    blobs.put("models/a/1/x.json", source)

    assert (blobs.root / "models" / "a" / "1" / "x.json").read_bytes() == b"some bytes"


def test_opening_and_reading_make_no_folder(blobs: LocalBlobs) -> None:
    found = keys(blobs), blobs.stat("a/b")
    blobs.delete("a/b")

    assert found == ([], None)
    assert not blobs.root.exists()


def test_file_and_folder_are_synced_before_put_returns(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def spy(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)

    blobs.put("a/b", source)

    root = str(blobs.root)
    assert synced[-2:] == [f"{root}/a", root]  # the file's own name, then its folder's
    assert synced[-3].startswith(f"{root}/.incoming/")
    assert {str(blobs.root.parent.parent), str(blobs.root.parent), root} <= set(
        synced
    )  # where the new folders' names are


def test_a_folder_that_another_writer_has_made_is_synced_too_until_it_is_known_to_be_durable(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    (blobs.root / "a" / "b").mkdir(parents=True)  # made, and perhaps not yet durable
    monkeypatch.setattr(local, "_sync_directory", synced.append)

    blobs.put("a/b/1", source)
    first = list(synced)
    synced.clear()
    blobs.put("a/b/2", source)

    assert first == [blobs.root.parent, blobs.root / "a" / "b", blobs.root / "a", blobs.root]
    assert synced == [blobs.root / "a" / "b"]


def test_a_root_that_was_there_before_in_a_folder_that_nobody_may_read_is_used_as_it_is(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = local._sync_directory

    def refuse(folder: Path) -> None:
        if folder == blobs.root.parent:  # root may read everything, so the mode alone would not do
            raise PermissionError(errno.EACCES, "no permission")
        real(folder)

    blobs.root.mkdir(parents=True)
    monkeypatch.setattr(local, "_sync_directory", refuse)

    blobs.put("a/b", source)

    assert keys(blobs) == ["a/b"]


def put_and_die(root: Path, source: Path) -> None:
    LocalBlobs(root).put("a/b", source)


@pytest.mark.parametrize(
    ("point", "seen"), [("blob.temporary-written", []), ("blob.renamed", ["a/b"])], ids=["before", "after"]
)
def test_what_a_killed_put_leaves_is_a_whole_blob_or_never_listed(
    blobs: LocalBlobs, source: Path, point: str, seen: list[str]
) -> None:
    ended = exit_code(put_and_die, blobs.root, source, environment={"EXIA_CRASH_POINT": point})

    assert ended == -signal.SIGKILL
    assert keys(blobs) == seen
    assert len(incoming(blobs)) == 1 - len(seen)


def test_names_that_no_key_can_have_are_not_listed(blobs: LocalBlobs, source: Path) -> None:
    blobs.put("a/b", source)
    (blobs.root / "a" / ".nfs0001").write_bytes(b"left by a network file system")
    (blobs.root / ".trash").mkdir()
    (blobs.root / ".trash" / "c").write_bytes(b"somebody's")

    found = keys(blobs)

    assert found == ["a/b"]


def test_a_path_below_a_file_is_refused_for_good(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreRefused, match="nothing was written to .*: a file is in the way of a folder"):
            LocalBlobs(root).put("a/b", source)


@pytest.mark.parametrize(
    ("key", "problem"), [("a", "a folder is in the way of a file"), ("a/b/c", "a file is in the way of a folder")]
)
def test_a_key_that_is_the_folder_of_another_is_refused(
    blobs: LocalBlobs, source: Path, key: str, problem: str
) -> None:
    blobs.put("a/b", source)

    with pytest.raises(StoreRefused, match=problem):
        blobs.put(key, source)

    assert keys(blobs) == ["a/b"]
    assert incoming(blobs) == []


def test_a_source_that_cannot_be_read_is_the_callers_mistake(blobs: LocalBlobs, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read .*: Is a directory; nothing was written"):
        blobs.put("a/b", tmp_path)


def work_where_only_reading_is_allowed(root: Path, source: Path) -> tuple[bytes, dict[str, str]]:
    obey_permissions()
    blobs, messages = LocalBlobs(root), {}
    with blobs.open("a/b") as stream:
        content = stream.read()
    for name, call in (("put", lambda: blobs.put("c/d", source)), ("delete", lambda: blobs.delete("a/b"))):
        with pytest.raises(StoreRefused) as refused:
            call()
        messages[name] = str(refused.value)
    return content, messages


def test_a_read_only_folder_is_read_and_refuses_to_be_written_for_good(blobs: LocalBlobs, source: Path) -> None:
    blobs.put("a/b", source)
    folders = [blobs.root, blobs.root / "a", blobs.root / ".incoming"]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)

    try:
        content, messages = alone(work_where_only_reading_is_allowed, blobs.root, source)
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)

    assert content == b"some bytes"
    assert messages["put"] == f"nothing was written to {blobs.root}/c/d: no permission; mend that and run again"
    assert messages["delete"] == f"cannot delete {blobs.root}/a/b: no permission; mend that and run again"


def read_what_may_not_be_read(root: Path) -> list[str]:
    obey_permissions()
    blobs, messages = LocalBlobs(root), []
    for call in (lambda: blobs.stat("a/b"), lambda: blobs.open("a/b"), lambda: list(blobs.list(""))):
        with pytest.raises(StoreRefused) as refused:
            call()
        messages.append(str(refused.value))
    return messages


def test_a_folder_that_may_not_be_read_does_not_pass_for_an_empty_one(blobs: LocalBlobs, source: Path) -> None:
    blobs.put("a/b", source)
    (blobs.root / "a").chmod(0)

    try:
        messages = alone(read_what_may_not_be_read, blobs.root)
    finally:
        (blobs.root / "a").chmod(stat.S_IRWXU)

    assert len(messages) == 3
    assert all("no permission" in message and "/a" in message for message in messages)


@pytest.mark.parametrize(
    ("code", "expected", "problem"),
    [
        (errno.ENOSPC, StoreRefused, "the disk is full; mend that and run again"),
        (errno.EDQUOT, StoreRefused, "the disk quota is used up; mend that and run again"),
        (errno.EROFS, StoreRefused, "the file system is read-only; mend that and run again"),
        (errno.EIO, StoreUnavailable, "Input/output error"),
    ],
)
def test_a_failure_before_the_rename_wrote_nothing_and_leaves_nothing(
    blobs: LocalBlobs,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    expected: type[StorageError],
    problem: str,
) -> None:
    def fail(_handle: int) -> None:  # where a delayed allocation fails; a quota or a broken disk cannot be had here
        raise OSError(code, os.strerror(code))

    blobs.put("a/old", source)
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(expected, match=f"nothing was written to {blobs.root}/a/b: {problem}"):
        blobs.put("a/b", source)

    assert keys(blobs) == ["a/old"]
    assert incoming(blobs) == []


def test_a_failure_after_the_rename_is_an_unknown_outcome(
    blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    blobs.put("a/old", source)
    monkeypatch.setattr(local, "_sync_directory", fail)

    with pytest.raises(WriteUnknown, match=f"no word whether {blobs.root}/a/b was written"):
        blobs.put("a/b", source)

    assert incoming(blobs) == []


def test_an_interrupted_put_leaves_nothing(blobs: LocalBlobs, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_handle: int) -> None:  # as Ctrl-C or a task's time-out does, at a moment of our choice
        raise KeyboardInterrupt

    blobs.put("a/old", source)
    monkeypatch.setattr(os, "fsync", interrupt)

    with pytest.raises(KeyboardInterrupt):
        blobs.put("a/b", source)

    assert keys(blobs) == ["a/old"]
    assert incoming(blobs) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk_is_refused_and_its_room_is_given_back(small_disk: Path, source: Path) -> None:
    blobs = LocalBlobs(small_disk)
    blobs.put("a/old", source)
    source.write_bytes(b"x" * 500_000)

    with pytest.raises(StoreRefused, match="the disk is full"):
        blobs.put("a/large", source)
    source.write_bytes(b"x" * 100_000)
    blobs.put("a/small", source)

    assert keys(blobs) == ["a/old", "a/small"]
