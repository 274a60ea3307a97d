"""Start a real Airflow in a folder of its own, and leave no process of it behind.

with running_airflow(home, dags_folder=dags) as airflow:
    airflow.client.run("flight_delay_train", run_id="week-04", conf={"week": 4})
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil  # type: ignore[import-untyped]  # published without types

from airflow_provider_exia.demo.airflow_settings import USERNAME, AirflowSettings
from airflow_provider_exia.demo.rest import LOG_LINES, AirflowClient
from airflow_provider_exia.exceptions import ExiaError

START_SECONDS = 180.0
STOP_SECONDS = 15.0
"""How long a process may take to end by itself before it is killed."""

KILL_SECONDS = 10.0

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # Without the flag both serve their logs to every network that the machine is on.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

HEARTBEATS: Mapping[str, str] = {
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
"""Which part of Airflow's health report speaks of which process."""


class AirflowProcessFailed(ExiaError):
    """A process of Airflow ended by itself, did not start in time, or cannot be stopped."""


class AirflowProcess:
    """One command of Airflow, in a session of its own, with everything that it starts.

    :param name: Airflow's word for it
    :param arguments: of the ``airflow`` command
    :param environment: the whole environment
    :param log: file that its output is added to
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.started_at = datetime.now(UTC)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._leader = subprocess.Popen(  # noqa: S603 - this Python and Airflow's own command
                [sys.executable, "-m", "airflow", *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Id of the process, of its group and of its session."""
        return self._leader.pid

    def members(self) -> list[psutil.Process]:
        """Return the processes alive in the session, and those that they started."""
        # Airflow puts each task into a group of its own, so the group alone would miss the tasks.
        session = [process for process in psutil.process_iter() if _session_of(process) == self.pid]
        started = [child for process in session for child in _children_of(process)]
        return [process for process in {*session, *started} if _is_alive(process)]

    def check(self) -> None:
        """Look whether the process still runs.

        :raises AirflowProcessFailed: it has ended; the message holds the end of its log
        """
        code = self._leader.poll()
        if code is not None:
            raise AirflowProcessFailed(f"Airflow's {self.name} ended with code {code}; the end of {self._log_end()}")

    def finish(self, timeout_seconds: float) -> None:
        """Wait until the process has ended by itself, with success.

        :raises AirflowProcessFailed: it failed, or took longer
        """
        try:
            code = self._leader.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AirflowProcessFailed(
                f"Airflow's {self.name} has not ended after {timeout_seconds:.0f} s; the end of {self._log_end()}"
            ) from None
        if code:
            raise AirflowProcessFailed(f"Airflow's {self.name} ended with code {code}; the end of {self._log_end()}")

    def ask_to_stop(self) -> None:
        """Ask the process to end by itself."""
        if self._leader.poll() is None:
            self._leader.terminate()

    def wait_until_stopped(self, deadline: float) -> None:
        """Wait for the process to end by itself, up to a moment of the monotonic clock."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._leader.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """Kill what is left of the process and of everything that it started, and wait until it is gone.

        :raises AirflowProcessFailed: something outlived being killed
        """
        deadline = time.monotonic() + KILL_SECONDS
        while members := self.members():
            if time.monotonic() > deadline:
                raise AirflowProcessFailed(
                    f"{len(members)} processes of Airflow's {self.name} do not end: "
                    f"look at the processes {sorted(member.pid for member in members)}"
                )
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            self._leader.poll()
            time.sleep(0.02)
        self._leader.wait()

    def kill_group(self) -> None:
        """Kill the process and its workers, but not the tasks, which Airflow puts into groups of their own."""
        os.killpg(self.pid, signal.SIGKILL)
        self._leader.wait()

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return f"{self.log}:" + "".join(f"\n    {line}" for line in lines)


class RunningAirflow:
    """An Airflow that has been started.

    :param settings: how it is set up
    """

    def __init__(self, settings: AirflowSettings) -> None:
        self.settings = settings
        self.client = AirflowClient(
            settings.url, username=USERNAME, password=settings.secrets.password, check=self.check
        )
        self._running: dict[str, AirflowProcess] = {}
        self._killed: list[AirflowProcess] = []

    @property
    def url(self) -> str:
        """Address of the pages; log in as ``admin`` with ``settings.secrets.password``."""
        return self.settings.url

    def check(self) -> None:
        """Look whether every process still runs.

        :raises AirflowProcessFailed: one has ended by itself
        """
        for process in self._running.values():
            process.check()

    def members(self) -> list[psutil.Process]:
        """Return every process alive that belongs to this Airflow."""
        return [member for process in [*self._running.values(), *self._killed] for member in process.members()]

    def migrate(self) -> None:
        """Make the metadata database, or bring it up to date.

        :raises AirflowProcessFailed: it did not work
        """
        process = self._spawn("db", ("db", "migrate"))
        process.finish(START_SECONDS)
        self._running.pop("db").kill()

    def start(self, *names: str) -> None:
        """Start processes and wait until each has answered or given a sign of life.

        :param names: keys of :data:`COMMANDS`
        :raises AirflowProcessFailed: one ended, or gave no sign of life in time
        """
        for name in names:
            self._spawn(name, COMMANDS[name])
        deadline = time.monotonic() + START_SECONDS
        while silent := self._silent(names):
            if time.monotonic() > deadline:
                raise AirflowProcessFailed(
                    f"no sign of life from {', '.join(silent)} after {START_SECONDS:.0f} s: "
                    f"look at {self.settings.logs / 'processes'}"
                )
            self.check()
            time.sleep(0.1)

    def start_scheduler(self) -> None:
        """Start the scheduler after it was killed.

        :raises AirflowProcessFailed: it gave no sign of life in time
        """
        self.start("scheduler")

    def kill_scheduler(self, *, tasks_too: bool = True) -> None:
        """Kill the scheduler with its workers, as a machine does that loses power.

        :param tasks_too: False leaves the tasks running without anybody to report to, as a kill of the process group
            does
        """
        self.kill("scheduler", tasks_too=tasks_too)

    def kill(self, name: str, *, tasks_too: bool = True) -> None:
        """Kill a process with everything that it started; :meth:`start` starts it again.

        :param name: key of :data:`COMMANDS`
        :param tasks_too: see :meth:`kill_scheduler`
        """
        process = self._running.pop(name)
        self._killed.append(process)
        if tasks_too:
            process.kill()
        else:
            process.kill_group()

    def stop(self) -> None:
        """Stop every process: ask, wait, then kill what is left.

        :raises AirflowProcessFailed: something outlived being killed
        """
        try:
            # The API server last: a worker that ends reports to it, and asks again for long where nobody answers.
            server = [process for name, process in self._running.items() if name == "api-server"]
            others = [process for name, process in self._running.items() if name != "api-server"]
            deadline = time.monotonic() + STOP_SECONDS
            for together in (others, server):
                for process in together:
                    process.ask_to_stop()
                for process in together:
                    process.wait_until_stopped(deadline)
        finally:
            # Reached at once by a second Ctrl-C while waiting.
            self.client.close()
            with contextlib.ExitStack() as every:
                for process in [*self._running.values(), *self._killed]:
                    every.callback(process.kill)

    def _spawn(self, name: str, arguments: Sequence[str]) -> AirflowProcess:
        log = self.settings.logs / "processes" / f"{name}.log"
        process = AirflowProcess(name, arguments, self.settings.environment(name), log)
        self._running[name] = process
        return process

    def _silent(self, names: Sequence[str]) -> list[str]:
        health = self.client.health()
        if health is None:
            return list(names)
        return [name for name in names if name in HEARTBEATS and not self._has_beaten(name, health[HEARTBEATS[name]])]

    def _has_beaten(self, name: str, report: Mapping[str, str | None]) -> bool:
        # A process of an earlier run, or one just killed, still counts as healthy for a while.
        latest = report.get(f"latest_{HEARTBEATS[name]}_heartbeat")
        return latest is not None and datetime.fromisoformat(latest) > self._running[name].started_at


@contextlib.contextmanager
def running_airflow(
    home: Path,
    *,
    dags_folder: Path,
    python_path: Sequence[Path] = (),
    preload: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    connections: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[RunningAirflow]:
    """Run an Airflow of our own as long as the block lasts, and stop all of it at the end, however the block ends.

    :param home: folder that it keeps everything in; made if absent, gone on with if an Airflow ran there before
    :param dags_folder: folder of the DAG files
    :param python_path: folders put in front of the import path
    :param preload: modules that the scheduler imports before it forks its workers
    :param options: further Airflow options, ``{"section.key": "value"}``
    :param connections: id to JSON
    :param progress: called with a sentence at each step of the start
    :raises AirflowProcessFailed: a process did not start; the message holds the end of its log
    """
    settings = AirflowSettings(
        home=home.resolve(),
        dags_folder=dags_folder.resolve(),
        python_path=[folder.resolve() for folder in python_path],
        preload=preload,
        options=options or {},
        connections=connections or {},
    )
    airflow = RunningAirflow(settings)
    with _ended_by_a_signal_as_by_an_error():
        try:
            settings.write_files()
            progress("making the metadata database")
            airflow.migrate()
            progress(f"starting {', '.join(COMMANDS)}")
            airflow.start(*COMMANDS)
            yield airflow
        finally:
            airflow.stop()


@contextlib.contextmanager
def _ended_by_a_signal_as_by_an_error() -> Iterator[None]:
    # A plain SIGTERM or SIGHUP would end us without our clean-up. Only the main thread may handle signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _exit_by_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_by_signal(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
