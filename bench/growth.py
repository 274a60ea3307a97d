"""How much slower a library of 100,000 versions is than one of 1,000: ``make bench NAME=growth``.

Both have 100 versions a model, each model with a champion, in SQLite. The documents are written as publishing writes
them, without files: nothing of what is measured reads one. The sizes take turns, call by call, over models all over
the library. The last line is ``growth: <worst ratio of medians> x``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.manifest import digest_of, publication_of
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Role, State, Version
from airflow_provider_exia.storage.codec import to_document

SIZES = (1_000, 100_000)
VERSIONS_A_MODEL = 100
PAGE = 10
"""Of models and of versions: as many models as the small library has."""
WRITERS = 64
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def name_of(model: int) -> str:
    return f"model_{model:05d}"


def version(model: int, number: int) -> Version:
    files = (FileRecord(path="model.skops", role=Role.MODEL, sha256=f"{number:064x}", size=96_300),)
    digest, work = digest_of(files, "skops"), f"run-{number}"
    return Version(
        model=name_of(model),
        number=number,
        publication=publication_of(work, digest),
        work=work,
        digest=digest,
        format="skops",
        files=files,
        state=State.READY,
        metrics={"brier": random.Random(number).random(), "rows": 1e5},  # noqa: S311 - a made-up figure
        created_at=BEGUN,
        ready_at=BEGUN,
    )


def fill(library: ModelLibrary, models: int) -> None:
    """Write the versions; threads share commits, so that it takes a minute and not an hour."""

    def write(model: int) -> None:
        for number in range(1, VERSIONS_A_MODEL + 1):
            library.resources.documents.insert(VERSIONS, to_document(version(model, number)))
        library.promote(f"{name_of(model)}/{VERSIONS_A_MODEL}")

    write(0)
    with ThreadPoolExecutor(WRITERS) as threads:
        for _ in threads.map(write, range(1, models)):
            pass


def calls(library: ModelLibrary, models: int) -> dict[str, Callable[[random.Random], object]]:
    """Return what is measured, each over a model drawn by chance."""

    def drawn(by: random.Random) -> str:
        return name_of(by.randrange(models))

    return {
        "resolve an alias": lambda by: library.resolve(f"{drawn(by)}@champion"),
        f"list {PAGE} models": lambda _: library.models(limit=PAGE),
        f"list {PAGE} versions": lambda by: library.versions(drawn(by), limit=PAGE),
        "select the best": lambda by: library.select(drawn(by), best="brier"),
    }


def measure(libraries: dict[int, ModelLibrary], rounds: int) -> dict[str, dict[int, float]]:
    """Return the median of each call at each size, in milliseconds."""
    sides = {size: calls(library, size // VERSIONS_A_MODEL) for size, library in libraries.items()}
    by = random.Random(1)  # noqa: S311 - draws models
    medians: dict[str, dict[int, float]] = {}
    for name in next(iter(sides.values())):
        taken: dict[int, list[float]] = {size: [] for size in sides}
        for _ in range(rounds):
            for size, side in sides.items():
                begun = time.perf_counter()
                side[name](by)
                taken[size].append((time.perf_counter() - begun) * 1000)
        medians[name] = {size: statistics.median(values) for size, values in taken.items()}
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="exia-bench-") as name:
        libraries = {}
        for size in SIZES:
            folder = Path(name) / str(size)
            libraries[size] = open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="bench")
            begun = time.monotonic()
            fill(libraries[size], size // VERSIONS_A_MODEL)
            print(f"{size:,} versions written in {time.monotonic() - begun:.0f} s")
        medians = measure(libraries, arguments.rounds)
    print(
        f"{'medians of ' + str(arguments.rounds):20} " + "".join(f"{size:>12,}" for size in SIZES) + f"{'growth':>10}"
    )
    growth = {name: by_size[SIZES[1]] / by_size[SIZES[0]] for name, by_size in medians.items()}
    for name, by_size in medians.items():
        print(f"{name:20} " + "".join(f"{by_size[size]:9.3f} ms" for size in SIZES) + f"{growth[name]:8.2f} x")
    print(f"growth: {max(growth.values()):.2f} x")


if __name__ == "__main__":
    main()
