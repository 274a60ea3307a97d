"""Run real servers until Ctrl-C, or as long as a command that finds them through Airflow connections.

python -m tests.servers
python -m tests.servers mongo minio consul -- exia demo --connection exia_default --parameters consul_default
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from tests.servers.catalogue import KINDS, make
from tests.servers.consul import Consul
from tests.servers.finding import ServerMissing
from tests.servers.server import BlobServer, DocumentServer, Server

CONNECTION_TYPES = {"mongo": "mongo", "postgres": "postgres", "minio": "minio"}


def main(arguments: list[str]) -> int:
    """Start the named servers, or all of them; return the command's exit code."""
    keys, separator, command = _split(arguments)
    if unknown := set(keys) - set(KINDS):
        sys.exit(f"no server is called {', '.join(sorted(unknown))}: expected some of {', '.join(KINDS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as running:
        running.callback(print, "stopped", flush=True)
        places = _start(keys or list(KINDS), running)
        if missing := set(keys) - set(places):
            sys.exit(f"without {', '.join(sorted(missing))} there is nothing to run on")
        if separator:
            return _run(command, places)
        print(
            *connection_commands(places),
            *_libraries(places),
            "Ctrl-C stops them and removes their data.",
            sep="\n",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not leave half of them
    return 0


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    place = arguments.index("--")
    return arguments[:place], True, arguments[place + 1 :]


def _start(keys: list[str], running: ExitStack) -> dict[str, str]:
    places: dict[str, str] = {}
    for key in keys:
        server = make(key)
        try:
            running.enter_context(server)
        except ServerMissing as error:
            print(f"skipped: {server.name}: {error}", flush=True)
            continue
        places[key] = place_of(server)
        print(f"{server.name} {server.version}: {places[key]}", flush=True)
    return places


def _run(command: list[str], places: dict[str, str]) -> int:
    """Run a command; a signal is for it, and the servers stay up until it has ended."""
    variables = {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in _connections(places)}
    child = subprocess.Popen(command, env=os.environ | variables)
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends its Ctrl-C to the command too
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return child.wait()


def place_of(server: Server) -> str:
    """Return the URL of an unused library's half on a server, or of a Consul with its token."""
    if isinstance(server, DocumentServer):
        return server.fresh_documents_url()
    if isinstance(server, Consul):
        return server.url_with_token
    return server.fresh_blobs_url() if isinstance(server, BlobServer) else server.url


def connection_commands(places: dict[str, str]) -> list[str]:
    """Return the commands that make the Airflow connections, the one of the library last."""
    return [
        f"airflow connections add {conn_id} --conn-json {shlex.quote(json.dumps(fields))}"
        for conn_id, fields in _connections(places)
    ]


def _connections(places: dict[str, str]) -> list[tuple[str, dict[str, object]]]:
    """Return id and fields of the connections to the servers, and of one to a library on them, if there can be one."""
    found = [("consul_default", _agent_fields(places["consul"]))] if "consul" in places else []
    found += [(f"exia_{key}", _fields(kind, places[key])) for key, kind in CONNECTION_TYPES.items() if key in places]
    if "mongo" in places and "minio" in places:
        _, bucket, *folders = PurePosixPath(urlsplit(places["minio"]).path).parts
        extra = {"documents": "exia_mongo", "blobs": "exia_minio", "bucket": bucket}
        if folders:
            extra["prefix"] = "/".join([*folders, "models"])  # so that connection and URLs are the same library
        found.append(("exia_default", {"conn_type": "exia", "extra": extra}))
    return found


def _fields(kind: str, place: str) -> dict[str, object]:
    parts = urlsplit(place)
    found: dict[str, object] = {"conn_type": kind, "host": parts.hostname, "port": parts.port}
    if parts.username:
        found |= {"login": unquote(parts.username), "password": unquote(parts.password or "")}
    if kind == "minio":
        found["extra"] = {"secure": parts.scheme.endswith("https")}
    else:
        found["schema"] = parts.path[1:]
    return found


def _agent_fields(place: str) -> dict[str, object]:
    parts = urlsplit(place)
    return {"conn_type": "consul", "host": parts.hostname, "port": parts.port, "password": parts.username}


def _libraries(places: dict[str, str]) -> list[str]:
    blobs = next((place for key, place in places.items() if issubclass(KINDS[key], BlobServer)), None)
    documents = [place for key, place in places.items() if issubclass(KINDS[key], DocumentServer)]
    if blobs is None:
        return []
    # Garbage collection of one library would delete the files of another in the same folder.
    folders = (blobs, *(f"{blobs}/{number}" for number in range(2, len(documents) + 1)))
    return [f"open_library({place!r}, blobs={folder!r})" for place, folder in zip(documents, folders, strict=True)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
