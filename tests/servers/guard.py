"""Runs one server and does not let it outlive whoever asked for it.

usage: guard.py FOLDER COMMAND...

The asker holds the other end of standard input. A line there is the name of a signal for the server (``TERM``). When
the asker is gone, however it ended, the pipe closes: the server is killed and its folder removed. That works for a
killed asker, in any thread and on macOS, where Linux' own signal for it does not. The guard is gone only when the
server and all its children are.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def main(folder: str, *command: str) -> int:
    if sys.platform == "linux":  # orphans of the server become our children, so that they too are waited for
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True)
    abandoned = threading.Event()
    threading.Thread(target=_obey, args=(server.pid, abandoned), daemon=True).start()
    code = _wait_for_all(server.pid)
    if abandoned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _obey(server: int, abandoned: threading.Event) -> None:
    with os.fdopen(0) as asker:
        for line in asker:
            _send(server, f"SIG{line.strip()}")
    abandoned.set()
    _send(server, "SIGKILL")


def _send(server: int, name: str) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(server, signal.Signals[name])


def _wait_for_all(server: int) -> int:
    """Return the server's exit code (negative: the signal) once no process of it is left."""
    code = 0
    while True:
        try:
            process, status = os.wait()
        except ChildProcessError:
            return code
        if process == server:
            code = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    ended = main(*sys.argv[1:])
    os._exit(ended if ended >= 0 else 128 - ended)  # not sys.exit: the thread above waits inside a read
