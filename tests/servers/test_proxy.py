"""What the fault proxy does to a connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest

from tests.servers.proxy import Proxy

SECONDS = 10.0


class Lines:
    """A server that answers each line with it, and keeps what it has done."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rwb") as stream:
                for line in stream:
                    self.done.append(line.strip())
                    stream.write(line)
                    stream.flush()
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Lines]:
    lines = Lines()
    yield lines
    lines.listener.close()


@pytest.fixture
def proxy(server: Lines) -> Iterator[Proxy]:
    with Proxy(server.port) as started:
        yield started


def connect(proxy: Proxy) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS))


def ask(client: socket.socket, line: bytes) -> bytes:
    """Send a line; return the answer, or nothing when the connection ended."""
    client.sendall(line + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        part = client.recv(4096)
        if not part:
            break
        answer += part
    return answer.strip()


def test_passes_both_ways(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        assert ask(client, b"x" * 300_000) == b"x" * 300_000


def test_refuses_until_told_to_pass_again_on_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        proxy.refuse()
        with pytest.raises(ConnectionError):
            ask(client, b"two")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS)

    proxy.pass_all()

    assert proxy.port == port
    with connect(proxy) as client:
        assert ask(client, b"four") == b"four"


def test_a_black_hole_accepts_and_never_answers(server: Lines, proxy: Proxy) -> None:
    proxy.black_hole()

    with connect(proxy) as client:
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(client, b"one")

    assert server.done == []


def test_resets_after_bytes_of_a_request(server: Lines, proxy: Proxy) -> None:
    proxy.reset_after(6, "request")

    with connect(proxy) as client:
        assert ask(client, b"one") == b"one"
        with pytest.raises(ConnectionError):
            ask(client, b"two-and-more")

    assert server.done[0] == b"one"
    assert b"two-and-more" not in server.done


def test_resets_after_bytes_of_a_reply(server: Lines, proxy: Proxy) -> None:
    proxy.reset_after(2, "reply")

    answer = b"on"
    with connect(proxy) as client, suppress(ConnectionError):  # the reset may overtake the two bytes
        answer = ask(client, b"one")

    assert answer == b"on"

    assert server.done == [b"one"]


def test_delays_replies(proxy: Proxy) -> None:
    proxy.delay(0.2)

    with connect(proxy) as client:
        before = time.monotonic()
        assert ask(client, b"one") == b"one"

    assert time.monotonic() - before >= 0.2


def test_swallows_the_replies_of_the_next_matching_requests_only(server: Lines, proxy: Proxy) -> None:
    proxy.swallow(lambda request: request.startswith(b"put"), count=2)

    for line in (b"put 1", b"put 2"):
        with connect(proxy) as client:
            assert ask(client, b"get") == b"get"
            with pytest.raises(ConnectionError):
                ask(client, line)
    with connect(proxy) as client:
        assert ask(client, b"put 3") == b"put 3"

    assert server.done == [b"get", b"put 1", b"get", b"put 2", b"put 3"]
    assert proxy.swallowed == 2


def test_a_request_in_two_parts_is_done_whole_before_its_reply_is_swallowed(server: Lines, proxy: Proxy) -> None:
    proxy.swallow(lambda request: b"put 1" in request)

    with connect(proxy) as client:
        client.sendall(b"pu")
        with pytest.raises(ConnectionError):
            ask(client, b"t 1 and its body")

    assert server.done == [b"put 1 and its body"]


def test_a_silent_swallow_leaves_the_client_waiting(server: Lines, proxy: Proxy) -> None:
    proxy.swallow(lambda request: request.startswith(b"put"), silent=True)

    with connect(proxy) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(client, b"put 1")

    assert server.done == [b"put 1"]
    assert proxy.swallowed == 1


def test_a_server_that_is_down_is_a_reset(server: Lines, proxy: Proxy) -> None:
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()

    # The reset may come before the client has noticed that it is connected; a refusal would be another thing.
    with pytest.raises((ConnectionResetError, BrokenPipeError)), connect(proxy) as client:
        ask(client, b"one")


def test_a_url_leads_through_the_proxy_and_keeps_the_rest(proxy: Proxy) -> None:
    s3 = urlsplit(proxy.through("s3+http://me:secret@127.0.0.1:9000/bucket/prefix"))
    mongo = proxy.through("mongodb://127.0.0.1:27017/db?w=1")

    assert (s3.username, s3.password, s3.port, s3.path) == ("me", "secret", proxy.port, "/bucket/prefix")
    assert mongo == f"mongodb://127.0.0.1:{proxy.port}/db?w=1&directConnection=true"
