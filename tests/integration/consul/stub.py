"""A stand-in for an agent that answers what a real one cannot be made to answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from airflow_provider_exia.consul.address import ConsulAddress


@dataclass(frozen=True)
class Reply:
    """One answer: JSON, unless it is text already."""

    body: Any = None
    status: int = 200
    index: int | None = None


@dataclass
class Stub:
    """Answers every request by a function of its number (from 0) and path, and remembers when which came."""

    reply: Callable[[int, str], Reply]
    port: int = 0
    requests: list[tuple[float, str]] = field(default_factory=list)

    def address(self, **settings: Any) -> ConsulAddress:
        """Return where it is."""
        return ConsulAddress(host="127.0.0.1", port=self.port, **settings)

    def most_in(self, seconds: float) -> int:
        """Return how many requests came at most in so long a time."""
        times = [at for at, _ in self.requests]
        return max(sum(0 <= at - start < seconds for at in times) for start in times)


@contextmanager
def stub(reply: Callable[[int, str], Reply]) -> Iterator[Stub]:
    """Run a stub on a free port."""
    made, lock = Stub(reply), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                number = len(made.requests)
                made.requests.append((time.monotonic(), self.path))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = made.reply(number, self.path)
            body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body.encode())))
            if answer.index is not None:
                self.send_header("X-Consul-Index", str(answer.index))
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
