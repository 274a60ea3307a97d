"""Keep every real server up until Ctrl-C: ``python -m tests.servers``."""

from __future__ import annotations

import json
import shlex
import signal
from contextlib import ExitStack
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from tests.servers.catalogue import KINDS, make
from tests.servers.finding import ServerMissing
from tests.servers.server import BlobServer, DocumentServer, Server

CONNECTION_TYPES = {"mongo": "mongo", "postgres": "postgres", "minio": "minio"}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as running:
        running.callback(print, "stopped", flush=True)
        places: dict[str, str] = {}
        for key in KINDS:
            server = make(key)
            try:
                running.enter_context(server)
            except ServerMissing as error:
                print(f"skipped: {server.name}: {error}", flush=True)
                continue
            places[key] = _place(server)
            print(f"{server.name} {server.version}: {places[key]}", flush=True)
        print(
            *_connections(places),
            *_libraries(places),
            "Ctrl-C stops them and removes their data.",
            sep="\n",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not leave half of them


def _place(server: Server) -> str:
    if isinstance(server, DocumentServer):
        return server.fresh_documents_url()
    # The connection's own prefix, so that connection and URL are the same library.
    return f"{server.fresh_blobs_url()}/models" if isinstance(server, BlobServer) else server.url


def _connections(places: dict[str, str]) -> list[str]:
    """Return the commands that make the Airflow connections, the one of the library last."""
    lines = [_add(key, _connection(kind, places[key])) for key, kind in CONNECTION_TYPES.items() if key in places]
    if "mongo" in places and "minio" in places:
        bucket = PurePosixPath(urlsplit(places["minio"]).path).parts[1]
        extra = {"documents": "exia_mongo", "blobs": "exia_minio", "bucket": bucket}
        lines.append(_add("default", {"conn_type": "exia", "extra": extra}))
    return lines


def _connection(kind: str, place: str) -> dict[str, object]:
    parts = urlsplit(place)
    found: dict[str, object] = {"conn_type": kind, "host": parts.hostname, "port": parts.port}
    if parts.username:
        found |= {"login": unquote(parts.username), "password": unquote(parts.password or "")}
    if kind == "minio":
        found["extra"] = {"secure": parts.scheme.endswith("https")}
    else:
        found["schema"] = parts.path[1:]
    return found


def _add(name: str, connection: dict[str, object]) -> str:
    return f"airflow connections add exia_{name} --conn-json {shlex.quote(json.dumps(connection))}"


def _libraries(places: dict[str, str]) -> list[str]:
    blobs = next((place for key, place in places.items() if issubclass(KINDS[key], BlobServer)), None)
    documents = [place for key, place in places.items() if issubclass(KINDS[key], DocumentServer)]
    return [f"open_library({place!r}, blobs={blobs!r})" for place in documents if blobs]


if __name__ == "__main__":
    main()
