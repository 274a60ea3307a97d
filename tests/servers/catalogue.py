"""Every server there is. The next one is a module and a line here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.consul import Consul, OpenConsul
from tests.servers.finding import ServerMissing
from tests.servers.mariadb import Mariadb
from tests.servers.minio import Minio
from tests.servers.mongo import Mongo
from tests.servers.postgres import Postgres
from tests.servers.seaweedfs import Seaweedfs

if TYPE_CHECKING:
    from tests.servers.server import Server

_ALL = (Mongo, Postgres, Mariadb, Minio, Seaweedfs, Consul, OpenConsul)
KINDS: dict[str, type[Server]] = {kind.key: kind for kind in _ALL}


def make(key: str) -> Server:
    """Return a server that is not started: at the address in ``EXIA_TEST_<KEY>_URL``, or a process of our own."""
    return KINDS[key](os.environ.get(f"EXIA_TEST_{key.upper()}_URL") or None)


def known_to_install(key: str) -> bool:
    """Return whether a missing program of this server is a fault of the machine's set-up, and no surprise."""
    return KINDS[key].program.installer.obstacle() is None


class Servers:
    """The servers of one test session: each started once, when it is first asked for, and told of at the end."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}
        self._ran: dict[str, str] = {}
        self._missing: dict[str, ServerMissing] = {}

    def shared(self, key: str) -> Server:
        """Return the session's server of a kind, running.

        :raises ServerMissing: it is not here and cannot be installed
        """
        if key not in self._running:
            self._running[key] = self._start(make(key))
        return self._running[key]

    @contextmanager
    def private(self, key: str, variant: type[Server] | None = None) -> Iterator[Server]:
        """Give a running server that nobody else uses: it may be killed and started again.

        :param variant: a kind of its own, of the same program
        :raises ServerMissing: it is not here and cannot be installed
        """
        server = self._start((variant or KINDS[key])())
        try:
            yield server
        finally:
            server.close()

    def install(self, key: str) -> None:
        """Install a server's program if need be; what hinders it is told when the server is asked for."""
        if not make(key).given:
            try:
                KINDS[key].program.path()
            except ServerMissing as error:
                self._missing[key] = error

    def report(self) -> list[str]:
        """Return a line for every server that ran and for every one that did not."""
        ran = [f"real server: {what}" for what in sorted(set(self._ran.values()))]
        return ran + [f"skipped server: {KINDS[key].name}: {self._missing[key]}" for key in sorted(self._missing)]

    def close(self) -> None:
        """Stop what runs and remove its data."""
        while self._running:
            self._running.popitem()[1].close()

    def _start(self, server: Server) -> Server:
        key = server.key
        if key in self._missing:  # an installation that failed is not tried for every test
            raise self._missing[key]
        try:
            server.start()
        except ServerMissing as error:
            self._missing[key] = error
            raise
        self._ran[key] = f"{server.name} {server.version}"
        return server
