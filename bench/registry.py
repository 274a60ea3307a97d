"""How fast the embedded model library is: ``make bench NAME=registry``.

Every publication is three synced commits and one synced file; the figure depends on the disk more than on anything.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airflow_provider_exia.model_library.library import ModelLibrary, open_library

PROCESSES = 8
PUBLICATIONS = 25
CALLS = 300
MODEL = "delay"


def library_in(folder: Path) -> ModelLibrary:
    return open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="bench")


def publish_many(folder: Path, name: str, count: int) -> tuple[float, float]:
    """Publish ``count`` versions of 10 kB; return the moments of begin and end."""
    source = folder / f"{name}.json"
    with library_in(folder) as library:
        begun = time.monotonic()
        for number in range(count):
            source.write_text(json.dumps({"name": f"{name}-{number}", "weights": [0.12345] * 1200}))
            library.publish(MODEL, source, format="json", metrics={"brier": 0.17}, work=f"{name}-{number}")
        return begun, time.monotonic()


def publications_per_second(processes: int) -> float:
    """Publish from several processes into one fresh library."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, context.Pool(processes) as pool:
        folder = Path(name)
        publish_many(folder, "first", 1)  # makes the tables
        pool.starmap(publish_many, [(folder, f"warm-{number}", 1) for number in range(processes)], chunksize=1)
        count = PUBLICATIONS * PROCESSES // processes
        jobs = [(folder, f"process-{number}", count) for number in range(processes)]
        spans = pool.starmap(publish_many, jobs, chunksize=1)
        seconds = max(end for _, end in spans) - min(begun for begun, _ in spans)
        return processes * count / seconds


def milliseconds(call: Callable[[int], object]) -> list[float]:
    """Return how long each of many calls took, sorted."""
    call(0)
    taken = []
    for number in range(CALLS):
        begun = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)


def calls_per_kind() -> dict[str, list[float]]:
    """Measure the single calls on a library of 200 versions and 100 moves."""
    with tempfile.TemporaryDirectory() as name, library_in(Path(name)) as library:
        publish_many(Path(name), "only", PROCESSES * PUBLICATIONS)
        for number in range(1, 101):
            library.promote(f"{MODEL}/{number}")
        return {
            "resolve by alias": milliseconds(lambda _: library.resolve(f"{MODEL}@champion")),
            "load json": milliseconds(lambda _: library.load(f"{MODEL}@champion")),
            "promote": milliseconds(lambda number: library.promote(f"{MODEL}/{number % 200 + 1}")),
        }


def main() -> None:
    one, many = publications_per_second(1), publications_per_second(PROCESSES)
    rows = [
        ("publish, 1 process", f"{one:.0f} publishes/s"),
        (f"publish, {PROCESSES} processes", f"{many:.0f} publishes/s"),
    ]
    for name, taken in calls_per_kind().items():
        p95 = taken[int(len(taken) * 0.95)]
        rows.append((name, f"p50 {statistics.median(taken):.2f} ms, p95 {p95:.2f} ms"))
    for name, figure in rows:
        sys.stdout.write(f"{name:<22} {figure}\n")
    sys.stdout.write(f"registry: {many:.0f} publishes/s\n")


if __name__ == "__main__":
    main()
