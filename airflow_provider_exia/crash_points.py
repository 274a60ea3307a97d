"""Named instants at which a test may kill the process.

Unarmed they cost one dictionary look-up. A test arms one in the environment of its own subprocess:
``EXIA_CRASH_POINT=publish.blob-written`` kills at the first passage, ``...:3`` at the third.
"""

from __future__ import annotations

import os
import signal

_VARIABLE = "EXIA_CRASH_POINT"
_passages: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if a test armed the point ``name``; otherwise do nothing.

    :param name: ``<operation>.<what has just been done>``
    """
    armed = os.environ.get(_VARIABLE)
    if armed is None:
        return
    armed_name, _, passage = armed.partition(":")
    if armed_name != name:
        return
    _passages[name] = _passages.get(name, 0) + 1
    if _passages[name] == int(passage or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
