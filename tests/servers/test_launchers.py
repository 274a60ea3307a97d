"""Real servers start, tell their version, keep their data through kill -9, and are never left behind."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
from pymongo import MongoClient, WriteConcern
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.servers.catalogue import KINDS, make
from tests.servers.consul import Consul
from tests.servers.finding import ROOT
from tests.servers.mongo import Mongo
from tests.servers.s3 import S3Server
from tests.servers.session import fresh_blobs_url, fresh_documents_url, private, shared
from tests.servers.sql import SqlServer

if TYPE_CHECKING:
    from tests.servers.server import Server

EVERY = [pytest.param(key, marks=pytest.mark.servers(key)) for key in sorted(KINDS)]
DOCUMENTS = [pytest.param(key, marks=pytest.mark.servers(key)) for key in ("mariadb", "mongo", "postgres")]
ASK = "from tests.servers.catalogue import KINDS\n"
BLOBS = [pytest.param(key, marks=pytest.mark.servers(key)) for key in ("minio", "seaweedfs")]


@pytest.fixture
def server(key: str) -> Iterator[Server]:
    """A server of this test's own."""
    with private(key) as started:
        yield started


def write(server: Server) -> None:
    """Store something; return when it is acknowledged."""
    if isinstance(server, Mongo):
        client: MongoClient[dict[str, Any]] = MongoClient(server.url)
        with client:
            client.db.get_collection("kept", write_concern=WriteConcern("majority", j=True)).insert_one({"_id": 7})
    elif isinstance(server, SqlServer):
        with create_engine(server.url, poolclass=NullPool).begin() as connection:
            connection.execute(text("CREATE TABLE kept (number INT)"))
            connection.execute(text("INSERT INTO kept VALUES (7)"))
    elif isinstance(server, Consul):
        assert server.request("PUT", "kv/kept", data="7").json() is True
    elif isinstance(server, S3Server):
        client_of_s3 = server.client()
        client_of_s3.make_bucket("kept")
        client_of_s3.put_object("kept", "number", io.BytesIO(b"7"), 1)


def read(server: Server) -> int:
    """Return what :func:`write` stored."""
    if isinstance(server, Mongo):
        client: MongoClient[dict[str, Any]] = MongoClient(server.url)
        with client:
            return int(client.db.kept.find_one()["_id"])
    if isinstance(server, SqlServer):
        return int(server.query("SELECT number FROM kept"))
    if isinstance(server, Consul):
        return int(server.request("GET", "kv/kept?raw").text)
    assert isinstance(server, S3Server)
    with server.client().get_object("kept", "number") as answer:
        return int(answer.read())


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a server's folder: every server does."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("key", EVERY)
def test_a_server_tells_its_name_and_version(key: str) -> None:
    server = shared(key)

    assert server.name
    assert any(character.isdigit() for character in server.version)


@pytest.mark.parametrize("key", EVERY)
def test_what_was_acknowledged_outlives_kill_9(server: Server) -> None:
    write(server)
    port, folder = server.port, server.folder

    server.kill()

    assert not is_open(port)
    assert processes_in(folder) == []
    server.start()
    assert (server.port, server.folder) == (port, folder)
    assert read(server) == 7


@pytest.mark.parametrize("key", EVERY)
def test_a_closed_server_leaves_no_process_and_no_data(server: Server) -> None:
    port, folder = server.port, server.folder
    assert processes_in(folder)

    server.close()

    assert processes_in(folder) == []
    assert not folder.exists()
    assert not is_open(port)


@pytest.mark.parametrize("key", [param for param in EVERY if param.values[0] in ("minio", "mongo", "postgres")])
def test_a_server_does_not_outlive_a_killed_asker(key: str) -> None:
    shared(key)  # or it is skipped, with the reason
    asker = subprocess.Popen(
        [sys.executable, "-c", f"{ASK}with KINDS[{key!r}]() as server: print(server.folder, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with asker:
        assert asker.stdout is not None
        folder = Path(asker.stdout.readline().strip())
        running = processes_in(folder)
        assert running

        asker.send_signal(signal.SIGKILL)

        _, alive = psutil.wait_procs(running, timeout=20)
        assert alive == []
        deadline = time.monotonic() + 20  # the guard's last act
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not folder.exists()


@pytest.mark.parametrize("key", DOCUMENTS)
def test_every_fresh_database_is_another_one(key: str) -> None:
    first, second = urlsplit(fresh_documents_url(key)), urlsplit(fresh_documents_url(key))

    assert first.netloc == second.netloc
    assert len(first.path) > 1
    assert first.path != second.path


@pytest.mark.parametrize("key", BLOBS)
def test_every_fresh_place_for_blobs_is_another_one(key: str) -> None:
    first, second = urlsplit(fresh_blobs_url(key)), urlsplit(fresh_blobs_url(key))

    assert first.netloc == second.netloc
    assert first.path != second.path
    server = shared(key)
    assert isinstance(server, S3Server)
    assert server.client().bucket_exists(first.path.split("/")[1])


@pytest.mark.servers("mongo")
def test_a_server_at_a_given_address_is_used_and_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    with private("mongo") as somebodys:
        monkeypatch.setenv("EXIA_TEST_MONGO_URL", somebodys.url)
        given = make("mongo").start()

        given.close()

        assert given.url == somebodys.url
        assert given.version == somebodys.version
        assert not given.running
        write(somebodys)


def test_a_server_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "secantusd-py"
    program.write_text("#!/bin/sh\necho the disk is upside down >&2; exit 3\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("EXIA_TEST_BIN", str(tmp_path))
    server = Mongo()

    with pytest.raises(RuntimeError, match="the disk is upside down"):
        server.start()

    assert not server.running
