"""One transport for each agent in a process, however many hooks, sensors and triggers ask it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from airflow_provider_exia.consul.transport import ConsulTransport

if TYPE_CHECKING:
    from airflow_provider_exia.consul.address import ConsulAddress

_transports: dict[ConsulAddress, ConsulTransport] = {}
_lock = threading.Lock()


def transport_to(address: ConsulAddress) -> ConsulTransport:
    """Return this process's transport to an agent."""
    with _lock:
        if address not in _transports:
            _transports[address] = ConsulTransport(address)
        return _transports[address]


def _forget() -> None:
    """Let a child of a fork make connections of its own: two processes on one connection read each other's answers."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it at the moment of the fork
    _transports.clear()


os.register_at_fork(after_in_child=_forget)
