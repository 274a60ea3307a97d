"""Where files may be written, and what is left of the old one when that fails."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from airflow_provider_exia.dag_compiler.exceptions import OutputRefused
from airflow_provider_exia.dag_compiler.writing import confined, locked, read_if_there, remove, write_in_one_step
from tests.processes import exit_code, obey_permissions


@pytest.mark.parametrize(
    "path",
    [
        "../out.py",
        "/etc/out.py",
        "sub/../../out.py",
        "..",
        ".",
        "",
        "a/..",
        "link/out.py",
        "link",
        "file-link.py",
        "a\0b",
        "sub",
    ],
)
def test_a_path_that_leads_out_or_to_no_file_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    (root / "file-link.py").symlink_to(tmp_path / "outside.py")

    with pytest.raises(OutputRefused):
        confined(path, root)

    assert not (tmp_path / "outside.py").exists()


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(OutputRefused):
        confined("loop/x.py", tmp_path)


def test_a_root_that_is_itself_behind_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert confined("x.py", tmp_path / "link") == tmp_path / "real" / "x.py"
    assert confined(tmp_path / "real" / "sub" / "x.py", tmp_path / "link") == tmp_path / "real" / "sub" / "x.py"


def test_others_can_read_a_new_file_and_a_replaced_one_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "x.py"
    before = os.umask(0o027)
    try:
        assert write_in_one_step(target, "one")
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        target.chmod(0o604)
        assert write_in_one_step(target, "two")
    finally:
        os.umask(before)

    assert stat.S_IMODE(target.stat().st_mode) == 0o604
    assert target.read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["x.py"]


def _write_without_leave(folder: str) -> None:
    obey_permissions()
    for attempt in (lambda: write_in_one_step(Path(folder) / "x.py", "new"), lambda: remove(Path(folder) / "x.py")):
        with pytest.raises(OutputRefused, match="Permission denied"):
            attempt()


def test_a_folder_that_cannot_be_written_keeps_its_files(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("old")
    tmp_path.chmod(0o555)
    try:
        ended = exit_code(_write_without_leave, str(tmp_path))
    finally:
        tmp_path.chmod(0o755)

    assert ended == 0
    assert (tmp_path / "x.py").read_text() == "old"


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.py").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputRefused, match=r"No space left on device; what was there is still there"):
        write_in_one_step(tmp_path / "x.py", "new")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.py": "old"}


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.py").mkdir()

    with pytest.raises(OutputRefused, match="cannot be read: Is a directory"):
        read_if_there(tmp_path / "x.py")


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "dags").write_text("")

    with pytest.raises(OutputRefused, match="cannot be used as a folder"), locked(tmp_path / "dags"):
        pass


def test_one_compiler_at_a_time_works_on_a_folder(tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        with locked(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)


def test_what_killed_compilers_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".exia-abc.tmp").write_text("half")

    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []
