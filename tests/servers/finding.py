"""Where a server's program is, and how it is installed when it is nowhere."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]


class ServerMissing(Exception):
    """A server cannot be had here; the text is the reason."""


class Installer(Protocol):
    """Puts a program where it is found."""

    def obstacle(self) -> str | None:
        """Return why it cannot install on this kind of machine; none: it is known to."""

    def install(self, program: str) -> None:
        """Install, or raise :class:`ServerMissing`."""


@dataclass(frozen=True)
class Program:
    """One program of a server.

    :param name: the file's name
    :param installer: how it is had where it is missing
    :param folders: patterns of the folders of distributions that are on nobody's PATH
    """

    name: str
    installer: Installer
    folders: tuple[str, ...] = ()

    def path(self) -> Path:
        """Return where it is, after installing it if need be.

        :raises ServerMissing: it is not here and cannot be installed
        """
        found = self._find()
        if found is None:
            found = self._install()
        return found

    def _find(self) -> Path | None:
        beside = [cache_folder(), Path(sys.executable).parent]
        for pattern in self.folders:
            beside += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
        found = shutil.which(self.name, path=os.pathsep.join(map(str, beside))) or shutil.which(self.name)
        return Path(found) if found else None

    def _install(self) -> Path:
        obstacle = self.installer.obstacle()
        if obstacle:
            raise ServerMissing(obstacle)
        with _one_at_a_time():
            found = self._find()  # somebody else may have installed it meanwhile
            if found is None:
                self.installer.install(self.name)
                found = self._find()
        if found is None:
            raise ServerMissing(f"{self.name} was installed and is not found")
        return found


@dataclass(frozen=True)
class PythonTool:
    """A program in a distribution of the extra ``servers``, installed into an environment of its own."""

    distribution: str

    def obstacle(self) -> str | None:
        return None if self._uv() else "not installed, and uv, which would install it, is not on PATH"

    def install(self, program: str) -> None:
        folders = {"UV_TOOL_DIR": str(cache_folder() / "tools"), "UV_TOOL_BIN_DIR": str(cache_folder())}
        _run([str(self._uv()), "tool", "install", "--force", "--python", sys.executable, self._pinned()], **folders)

    def _pinned(self) -> str:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extra: list[str] = project["optional-dependencies"]["servers"]
        return next(requirement for requirement in extra if requirement.startswith(self.distribution))

    def _uv(self) -> str | None:
        return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


@dataclass(frozen=True)
class GoProgram:
    """A program built by Go from published modules."""

    module: str
    linker_flags: str

    def obstacle(self) -> str | None:
        return None if shutil.which("go") else "not installed, and go, which would build it, is not on PATH"

    def install(self, program: str) -> None:
        with tempfile.TemporaryDirectory(prefix=f".{program}-", dir=cache_folder()) as folder:
            _run(["go", "install", "-trimpath", "-ldflags", f"-s -w {self.linker_flags}", self.module], GOBIN=folder)
            Path(folder, program).replace(cache_folder() / program)


@dataclass(frozen=True)
class GoFolder:
    """A program that Go links from a folder of ours with its own list of published modules."""

    folder: Path

    def obstacle(self) -> str | None:
        return None if shutil.which("go") else "not installed, and go, which would build it, is not on PATH"

    def install(self, program: str) -> None:
        with tempfile.TemporaryDirectory(prefix=f".{program}-", dir=cache_folder()) as folder:
            built = Path(folder, program)
            flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
            _run(["go", "build", "-C", str(self.folder), *flags, "-o", str(built), "."])
            built.replace(cache_folder() / program)


@dataclass(frozen=True)
class AptPackages:
    """Programs of distribution packages; their services are not started."""

    packages: tuple[str, ...]

    def obstacle(self) -> str | None:
        if not shutil.which("apt-get"):
            return f"not installed, and there is no apt-get for {' '.join(self.packages)}"
        if os.geteuid() != 0:
            return f"not installed: as root, apt-get install {' '.join(self.packages)}"
        return None

    def install(self, program: str) -> None:
        _run(["apt-get", "update"])
        with _no_services():
            install = ["apt-get", "install", "--yes", "--no-install-recommends", *self.packages]
            _run(install, DEBIAN_FRONTEND="noninteractive")


def cache_folder() -> Path:
    """Return the folder that keeps what was installed, made if need be."""
    folder = Path(os.environ.get("EXIA_TEST_BIN") or Path.home() / ".cache" / "exia-test-servers").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stdout.strip().splitlines()[-3:]
        raise ServerMissing(f"{' '.join(command[:2])} failed: {' / '.join(said) or done.returncode}")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the lock of the cache folder: installations of two processes, or of two servers, do not meet."""
    with (cache_folder() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_services() -> Iterator[None]:
    """Tell Debian to start no service of a package that is installed meanwhile."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():  # the owner of the machine has a policy
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
