"""Publishing and resolving, ours beside MLflow's: ``make bench NAME=registry``.

"Published" is a version and its file of 1 KB, stored for good. For MLflow that is a run, ``log_artifact`` and
``create_model_version``. 16 threads of one process publish; then one of them asks for an alias's version. Each round
has fresh stores, and the sides take turns in it. The last line is ``registry: <embedded / MLflow embedded> x``.

Durability is each side's own and not weaker on ours: both SQLite files sync every commit (``synchronous = FULL``; ours
with a write-ahead log, MLflow's with its default, a rollback journal), both use the same PostgreSQL with its defaults,
and the files lie in a folder. We sync each file and its folder before a version counts as published; MLflow copies it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.registry.mlflow_setup import mlflow_python, mlflow_server, mlflow_version
from tests.servers.session import private

if TYPE_CHECKING:
    from tests.servers.server import DocumentServer

PROJECT = Path(__file__).parents[2]
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "40",  # with the default, 16 threads wait for each other until they time out
}


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    :param name: what it is called there
    :param module: the side
    :param python: what runs it
    :param stores: makes fresh stores in a folder, and gives what the side is told about them
    """

    name: str
    module: str
    python: Path
    stores: Callable[[Path], Any]


@dataclass(frozen=True)
class Figures:
    """What was measured of one contender in one round."""

    per_second: float
    resolve: float


def measure(contender: Contender, folder: Path, *, writers: int, publications: int) -> Figures:
    folder.mkdir()
    with contender.stores(folder) as stores:
        task = {"folder": str(folder), "stores": stores, "writers": writers, "publications": publications}
        answer = subprocess.run(
            [contender.python, "-m", f"bench.registry.{contender.module}", json.dumps(task)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **MLFLOW_SETTINGS},
            stdout=subprocess.PIPE,
            check=True,
        )
    return Figures(**json.loads(answer.stdout.splitlines()[-1]))


def contenders(postgres: DocumentServer, mongo: DocumentServer) -> list[Contender]:
    theirs, ours = mlflow_python(PROJECT / ".bench" / "mlflow"), Path(sys.executable)

    @contextmanager
    def our_stores(folder: Path, documents: str) -> Iterator[dict[str, str]]:
        yield {"documents": documents, "blobs": f"file://{folder}/blobs"}

    @contextmanager
    def their_stores(folder: Path, database: str) -> Iterator[dict[str, str]]:
        yield {"tracking": database, "artifacts": f"{folder}/artifacts"}

    @contextmanager
    def their_server(folder: Path) -> Iterator[dict[str, str]]:
        with mlflow_server(theirs, folder, postgres.fresh_documents_url()) as url:
            yield {"tracking": url}

    return [
        Contender("ours, SQLite", "exia_side", ours, lambda at: our_stores(at, f"sqlite:///{at}/library.db")),
        Contender("MLflow, SQLite", "mlflow_side", theirs, lambda at: their_stores(at, f"sqlite:///{at}/mlflow.db")),
        Contender("ours, PostgreSQL", "exia_side", ours, lambda at: our_stores(at, postgres.fresh_documents_url())),
        Contender(
            "MLflow, PostgreSQL", "mlflow_side", theirs, lambda at: their_stores(at, postgres.fresh_documents_url())
        ),
        Contender("MLflow's server, PostgreSQL", "mlflow_side", theirs, their_server),
        Contender("ours, Mongo wire server", "exia_side", ours, lambda at: our_stores(at, mongo.fresh_documents_url())),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--publications", type=int, default=25, help="of each writer")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    # Folders stay until the end: for half a minute after many files were removed, ext4 makes new ones more slowly.
    with (
        private("postgres") as postgres,
        private("mongo") as mongo,
        tempfile.TemporaryDirectory(prefix="exia-bench-") as folder,
    ):
        rows = contenders(cast("DocumentServer", postgres), cast("DocumentServer", mongo))
        found: dict[str, list[Figures]] = {row.name: [] for row in rows}
        for number in range(arguments.rounds):
            for row in rows if number % 2 == 0 else reversed(rows):
                at = Path(folder) / f"{number}-{rows.index(row)}"
                figures = measure(row, at, writers=arguments.writers, publications=arguments.publications)
                found[row.name].append(figures)
                sys.stderr.write(f"round {number + 1}, {row.name}: {figures.per_second:.0f}/s\n")
        versions = (
            f"MLflow {mlflow_version(rows[1].python)}, PostgreSQL {postgres.version}, {mongo.name} {mongo.version}"
        )
    print_table(found, f"{versions}; {arguments.writers} writers, medians of {arguments.rounds}")


def print_table(found: dict[str, list[Figures]], title: str) -> None:
    median = {
        name: Figures(
            statistics.median(round_.per_second for round_ in rounds),
            statistics.median(round_.resolve for round_ in rounds),
        )
        for name, rounds in found.items()
    }
    print(title)
    print(f"{'':28} {'publications/s':>14} {'(least - most)':>16} {'resolve p50':>12}")
    for name, rounds in found.items():
        all_of = sorted(round_.per_second for round_ in rounds)
        spread = f"({all_of[0]:.0f} - {all_of[-1]:.0f})"
        print(f"{name:28} {median[name].per_second:14.0f} {spread:>16} {median[name].resolve:9.2f} ms")
    for ours, theirs in (
        ("ours, PostgreSQL", "MLflow, PostgreSQL"),
        ("ours, PostgreSQL", "MLflow's server, PostgreSQL"),
        ("ours, SQLite", "MLflow, SQLite"),
    ):
        faster = median[ours].per_second / median[theirs].per_second
        share = median[ours].resolve / median[theirs].resolve
        print(f"{ours} / {theirs}: {faster:.1f} x the publications, {share:.2f} x the time to resolve")
    print(f"registry: {faster:.1f} x")


if __name__ == "__main__":
    main()
