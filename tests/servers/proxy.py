"""A TCP proxy that does to a connection what networks do, when a test says so."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

Direction = Literal["request", "reply"]
Predicate = Callable[[bytes], bool]
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass
class _Swallowing:
    matches: Predicate
    remaining: int
    silent: bool


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    request: bytearray = field(default_factory=bytearray)  # the beginning of what came since the last reply
    swallowed_by: _Swallowing | None = None
    counted: bool = False
    passed: dict[Direction, int] = field(default_factory=lambda: {"request": 0, "reply": 0})

    def reset(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
            end.close()


class Proxy:
    """Stands before a server on 127.0.0.1; what it does is changed while it runs and holds at once.

    One request at a time on a connection, as HTTP/1.1, MongoDB's and the SQL servers' clients do it.
    """

    def __init__(self, target: int) -> None:
        self._target = ("127.0.0.1", target)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[_Connection] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.swallowed = 0
        """Replies that never reached their client."""
        self._black_hole = False
        self._delay = 0.0
        self._limits: dict[Direction, int] = {}
        self._swallowing: _Swallowing | None = None

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self.refuse()

    def through(self, url: str) -> str:
        """Return a URL of the server changed so that it leads through this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        changed = parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}")
        if parts.scheme.startswith("mongodb"):  # else the client goes on to the address that the server names itself
            changed = changed._replace(query="&".join(filter(None, (parts.query, "directConnection=true"))))
        return changed.geturl()

    def pass_all(self) -> None:
        """Forward everything."""
        self._clear()
        if self._listener is None:
            self._listen()

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self.reset_all()

    def reset_all(self) -> None:
        """Reset every connection; new ones are served."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.reset()

    def black_hole(self) -> None:
        """Accept connections and read from them; forward and answer nothing."""
        self._black_hole = True

    def delay(self, seconds: float) -> None:
        """Hold every part of a reply back for some time."""
        self._delay = seconds

    def reset_after(self, count: int, direction: Direction) -> None:
        """Let a connection, counted from now, pass that many bytes in a direction and then reset it."""
        with self._lock:
            for connection in self._connections:
                connection.passed[direction] = 0
            self._limits[direction] = count

    def swallow(self, matches: Predicate, count: int = 1, *, silent: bool = False) -> None:
        """Let the server do each of the next matching requests, and drop its reply.

        :param matches: is given the beginning of a request, as far as it has come
        :param count: how many requests
        :param silent: leave the client waiting, where otherwise its connection is reset
        """
        with self._lock:
            self._swallowing = _Swallowing(matches, count, silent)

    def _clear(self) -> None:
        with self._lock:
            self._black_hole = False
            self._delay = 0.0
            self._limits = {}
            self._swallowing = None

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = listener.accept()
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:  # the server is down: so is the way to it
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        server.settimeout(None)
        connection = _Connection(client, server)
        with self._lock:
            self._connections.add(connection)
        for pump in (self._requests, self._replies):
            threading.Thread(target=pump, args=(connection,), daemon=True).start()

    def _requests(self, connection: _Connection) -> None:
        def take(data: bytes) -> None:
            with self._lock:
                connection.request += data[: _CHUNK - len(connection.request)]
                rule = self._swallowing
                if rule and rule.remaining and not connection.swallowed_by and rule.matches(bytes(connection.request)):
                    rule.remaining -= 1
                    connection.swallowed_by = rule
            connection.server.sendall(data)

        self._pump(connection, "request", connection.client, take)

    def _replies(self, connection: _Connection) -> None:
        def take(data: bytes) -> None:
            with self._lock:
                connection.request.clear()
                rule = connection.swallowed_by
                if rule and not connection.counted:
                    connection.counted = True
                    self.swallowed += 1
            if rule is None:
                self._closing.wait(self._delay)
                connection.client.sendall(data)
            elif not rule.silent:  # a reply has begun, so the server has done the request
                connection.reset()

        self._pump(connection, "reply", connection.server, take)

    def _pump(
        self, connection: _Connection, direction: Direction, source: socket.socket, take: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):  # one of the two has gone
            while data := source.recv(_CHUNK):
                if self._black_hole:
                    continue
                limit = self._limits.get(direction)
                if limit is not None and connection.passed[direction] + len(data) >= limit:
                    take(data[: limit - connection.passed[direction]])
                    break
                connection.passed[direction] += len(data)
                take(data)
        with self._lock:
            self._connections.discard(connection)
        connection.reset()
