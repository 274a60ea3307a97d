"""What all launchers share: the life of one server process."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from tests.servers.finding import Program

GUARD = Path(__file__).with_name("guard.py")
USER, PASSWORD = "exia", "exiasecret"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02


class Server(ABC):
    """One server: a process of our own with private data, or one that somebody runs at a given address.

    :param given: the address of a server that runs already; it is never started, stopped or killed
    """

    key: ClassVar[str]
    """What tests and the variable ``EXIA_TEST_<KEY>_URL`` call it."""
    program: ClassVar[Program]
    ports_needed: ClassVar[int] = 1
    end_signal: ClassVar[str] = "TERM"
    not_yet: ClassVar[tuple[type[Exception], ...]]
    """What a request raises while the server is starting."""

    name: str
    """What ran, said exactly."""
    version = ""
    """What the running server answered."""

    def __init__(self, given: str | None = None) -> None:
        self.given = given
        self._guard: subprocess.Popen[str] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return what starts it in the foreground on ``self.port`` with its data in ``self.folder``."""

    @abstractmethod
    def ask(self) -> str:
        """Make a real request; return the version that the answer names.

        :raises Exception: one of ``not_yet`` while the server is not ready
        """

    @property
    @abstractmethod
    def url(self) -> str:
        """The server's address, with its password."""

    @abstractmethod
    def prepare(self) -> None:
        """Fill the new folder with what the server wants to find there."""

    @cached_property
    def folder(self) -> Path:
        """The server's own folder: data, configuration, log."""
        return Path(tempfile.mkdtemp(prefix=f"exia-{self.key}-"))

    @cached_property
    def ports(self) -> list[int]:
        """Free ports, the same ones after every restart."""
        return free_ports(self.ports_needed)

    @property
    def port(self) -> int:
        """The port that clients use."""
        return self.ports[0]

    @property
    def running(self) -> bool:
        """Whether a process of ours runs."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Self:
        """Start it, on the same data and ports when it ran before, and wait until it answers.

        :raises ServerMissing: its program is not here and cannot be installed
        :raises RuntimeError: it ended, or did not answer in time; with the end of its log
        """
        if self.given:
            self.version = self.ask()
            return self
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.program.path()  # missing: say so before anything is made
        new = "folder" not in vars(self)
        try:
            if new:
                self.prepare()
            self._guard = self._run(self.command())
            self._await_answer()
        except BaseException:  # Ctrl-C too: nothing stays behind
            if new:
                self.close()
            else:
                self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in order and wait until no process of it is left; its data stay for the next start."""
        self._end(self.end_signal, STOP_SECONDS)

    def kill(self) -> None:
        """End it as ``kill -9`` does and wait until no process of it is left; its data stay for the next start."""
        self._end("KILL", STOP_SECONDS)

    def close(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        if "folder" in vars(self):
            shutil.rmtree(vars(self).pop("folder"), ignore_errors=True)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log(self) -> str:
        """Return the last lines of what it wrote."""
        path = self.folder / "log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-20:])

    def _run(self, command: list[str]) -> subprocess.Popen[str]:
        # A session of its own: the Ctrl-C of a terminal is for the asker, who then stops the server.
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-S", str(GUARD), str(self.folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, **self.environment()},
            )

    def environment(self) -> dict[str, str]:
        """Return what it reads from the environment: nothing of the user's home."""
        return {"HOME": str(self.folder)}

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            reason: Exception | None = None
            try:
                self.version = self.ask()
            except self.not_yet as error:
                reason = error
            if not self.running:  # whoever answered on that port was somebody else
                raise RuntimeError(f"{self.name} ended: {self.log()}") from reason
            if reason is None:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not answer in {START_SECONDS:g} s: {self.log()}") from reason
            time.sleep(POLL_SECONDS)

    def _end(self, signal_name: str, seconds: float) -> None:
        guard = self._guard
        if guard is None:
            return
        assert guard.stdin is not None
        for name in (signal_name, "KILL"):
            with suppress(BrokenPipeError):  # it has ended by itself
                guard.stdin.write(f"{name}\n")
                guard.stdin.flush()
            try:
                guard.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        with suppress(BrokenPipeError):
            guard.stdin.close()
        guard.wait(seconds)
        self._guard = None


class DocumentServer(Server):
    """A server of documents."""

    @abstractmethod
    def fresh_documents_url(self) -> str:
        """Return the URL, for ``open_documents``, of a database that nobody has used."""


class BlobServer(Server):
    """A server of blobs."""

    @abstractmethod
    def fresh_blobs_url(self) -> str:
        """Return the URL, for ``open_blobs``, of a place that nobody has used."""


def fresh_name() -> str:
    """Return a name for a database or bucket that nobody has used."""
    return f"exia{uuid.uuid4().hex[:12]}"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on.

    They lie below those that the system gives to clients, so that none is taken between a kill and the restart.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
