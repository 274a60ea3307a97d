"""What both sides of the registry bench do, in plain Python: the other side has an environment of its own."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

CALLS = 300


class Side(Protocol):
    """A registry as its users hold it."""

    def publish(self, source: Path, work: str) -> None:
        """Store a version and its file for good."""

    def point_alias(self) -> None:
        """Let an alias name a version that is there."""

    def resolve(self) -> None:
        """Ask which version the alias names."""


def write_sources(folder: Path, writers: int, publications: int) -> list[list[Path]]:
    """Write one file of 1 KB for each publication of each writer, and one to warm up with."""
    sources = []
    for writer in range(writers):
        files = []
        for number in range(publications + 1):
            file = folder / f"{writer}-{number}" / "model.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({"name": f"{writer}-{number}"}).ljust(1024))
            files.append(file)
        sources.append(files)
    return sources


def publications_per_second(side: Side, sources: list[list[Path]]) -> float:
    """Publish from as many threads as there are lists, each warmed by its first file."""
    failures: list[BaseException] = []
    begun: list[float] = []
    ready = threading.Barrier(len(sources), action=lambda: begun.append(time.perf_counter()))

    def write(files: list[Path]) -> None:
        try:
            side.publish(files[0], files[0].parent.name)
            ready.wait()
            for file in files[1:]:
                side.publish(file, file.parent.name)
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)
            ready.abort()

    threads = [threading.Thread(target=write, args=(files,)) for files in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(len(files) - 1 for files in sources) / (time.perf_counter() - begun[0])


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median of many calls."""
    call()
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def run(open_side: Callable[[Any, Path], Side]) -> None:
    """Measure one side as the JSON text in the arguments says, and print the figures as JSON."""
    task = json.loads(sys.argv[1])
    folder = Path(task["folder"])
    side = open_side(task["stores"], folder)
    sources = write_sources(folder / "sources", task["writers"], task["publications"])
    per_second = publications_per_second(side, sources)
    side.point_alias()
    sys.stdout.write(json.dumps({"per_second": per_second, "resolve": milliseconds(side.resolve)}) + "\n")
