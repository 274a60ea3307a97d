"""What docs/operations.md says about backups, done as an operator does it: with each store's own tools."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_provider_exia.storage.opening import open_blobs
from tests.servers import session

if TYPE_CHECKING:
    from tests.faults.places import Place

ORDER = ("monitor_journal", "model_journal", "pins", "annotations", "decisions", "versions", "points", "counters")
"""What names something comes before what it names, and the counters come last."""


def dump_documents(place: Place, folder: Path) -> Path:
    """Dump a document store while others write to it."""
    if place.documents.startswith("mongodb"):
        return dump_mongo(place.documents, folder / "dump", ORDER)
    if place.embedded:
        source, dump = place.documents.removeprefix("sqlite:///"), folder / "dump.db"
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(dump)) as there:
            here.backup(there)
        return dump
    with (folder / "dump.sql").open("wb") as dump_file:
        _postgres("pg_dump", place.documents, "--no-owner", stdout=dump_file)
    return folder / "dump.sql"


def restore_documents(dump: Path, url: str) -> None:
    """Put a dump into a database that nobody has used."""
    if url.startswith("mongodb"):
        restore_mongo(dump, url)
    elif url.startswith("sqlite"):
        shutil.copyfile(dump, url.removeprefix("sqlite:///"))
    else:
        _postgres("psql", url, "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(dump))


def dump_mongo(url: str, folder: Path, names: Sequence[str]) -> Path:
    """Dump collections one after the other, as mongodump does on a stand-alone server."""
    import bson
    from pymongo import MongoClient

    folder.mkdir(exist_ok=True)
    with MongoClient[dict[str, Any]](url) as client:
        for name in (*names, "schema"):
            kept = client.get_default_database()[f"exia_{name}"].find()
            (folder / f"exia_{name}.bson").write_bytes(b"".join(bson.encode(document) for document in kept))
    return folder


def restore_mongo(folder: Path, url: str) -> None:
    """Put collections into a database; its indexes are made by the first use."""
    import bson
    from pymongo import MongoClient

    with MongoClient[dict[str, Any]](url) as client:
        for file in folder.glob("*.bson"):
            if documents := bson.decode_all(file.read_bytes()):
                client.get_default_database()[file.stem].insert_many(documents)


def copy_blobs(source: str, target: str, folder: Path) -> None:
    """Copy every blob into a place that nobody has used, as mc mirror does."""
    with closing(open_blobs(source)) as here, closing(open_blobs(target)) as there:
        for blob in here.list("models/"):
            with here.open(blob.key) as stream, (folder / "one").open("wb") as one:
                shutil.copyfileobj(stream, one)
            there.put(blob.key, folder / "one")


def elsewhere(place: Place, folder: Path) -> Place:
    """Return an unused place of the same kind."""
    if place.embedded:
        return replace(place, documents=f"sqlite:///{folder}/restored.db", blobs=f"file://{folder}/restored-blobs")
    kinds = ("mongo" if place.documents.startswith("mongodb") else "postgres", "minio")
    return replace(place, documents=session.fresh_documents_url(kinds[0]), blobs=session.fresh_blobs_url(kinds[1]))


def _postgres(tool: str, url: str, *arguments: str, stdout: Any = None) -> None:
    from tests.servers.postgres import Postgres

    parts = urlsplit(url)
    where = ["--host", str(parts.hostname), "--port", str(parts.port), "--username", unquote(parts.username or "")]
    program = Postgres.program.path().with_name(tool)
    environment = os.environ | {"PGPASSWORD": unquote(parts.password or "")}
    subprocess.run(
        [str(program), *where, "--dbname", parts.path[1:], *arguments], check=True, env=environment, stdout=stdout
    )
