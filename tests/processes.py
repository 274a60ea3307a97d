"""Real processes for tests.

They come from a clean server process that runs no thread, so that nothing of the test runner is forked.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from threading import BrokenBarrierError
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(  # whatever the test modules import, once instead of in every process
    [
        "airflow_provider_exia.model_library.library",
        "airflow_provider_exia.storage.local",
        "airflow_provider_exia.storage.mongo",
        "airflow_provider_exia.storage.s3",
        "airflow_provider_exia.storage.sql",
        "hypothesis",
        "minio",
        "psycopg2",
        "pymongo",
        "pytest",
        "pytest.__main__",
        "sqlalchemy.dialects.postgresql.psycopg2",
        "sqlalchemy.dialects.sqlite.pysqlite",
        "tests.contract.conftest",
        "tests.faults.works",
        "tests.processes",
    ]
)
TIMEOUT_SECONDS = 120.0


def at_once(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run ``work(*arguments, index)`` in ``count`` processes that start it at the same moment; return their results."""
    return all_at_once([(work, (*arguments, index)) for index in range(count)])


def all_at_once(works: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
    """Run each work in its own process, all starting at the same moment; return their results in order."""
    barrier = PROCESSES.Barrier(len(works))
    running = []
    for work, arguments in works:
        here, there = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_run, args=(there, barrier, work, arguments))
        process.start()
        there.close()
        running.append((process, here))
    results = [_receive(here) for _, here in running]
    for process, _ in running:
        process.join(TIMEOUT_SECONDS)
    for outcome, value in results:
        assert outcome == "done", value
    return [value for _, value in results]


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``work(*arguments)`` in a process of its own; return its result."""
    return all_at_once([(work, arguments)])[0]


def exit_code(work: Callable[..., Any], *arguments: Any, environment: dict[str, str] | None = None) -> int | None:
    """Run ``work(*arguments)`` in a process with more environment; return how it ended (-9: killed)."""
    return exit_codes([(environment or {}, work, arguments)])[0]


def exit_codes(works: Sequence[tuple[dict[str, str], Callable[..., Any], tuple[Any, ...]]]) -> list[int | None]:
    """Run each work at the same time in its own process with its own environment; return how they ended."""
    running = [PROCESSES.Process(target=_run_with, args=work) for work in works]
    for process in running:
        process.start()
    for process in running:
        process.join(TIMEOUT_SECONDS)
    return [process.exitcode for process in running]


def obey_permissions() -> None:
    """Let this process, if it is root's, be refused where any other user would be: drop all capabilities."""
    if os.geteuid() != 0:
        return
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _receive(here: Connection) -> tuple[str, Any]:
    try:
        if not here.poll(TIMEOUT_SECONDS):
            return "failed", f"no result within {TIMEOUT_SECONDS:g} s"
        outcome: tuple[str, Any] = here.recv()
    except EOFError:
        return "failed", "the process died"
    return outcome


def _run(there: Connection, barrier: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        barrier.wait(TIMEOUT_SECONDS)
        there.send(("done", work(*arguments)))
    except BrokenBarrierError:
        there.send(("failed", "not all processes started"))
    except BaseException:  # whatever it is, the asker hears of it
        there.send(("failed", traceback.format_exc()))


def _run_with(environment: dict[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    work(*arguments)
