"""Publishing and loading 1 GiB on MinIO, beside minio-py alone: ``make bench NAME=blobs``.

Ours is the whole operation: ``publish`` (the file hashed, put, verified, made READY) and ``fetch`` (streamed, hashed,
written). Raw is ``fput_object``, which over plain HTTP hashes each part for its signature, and ``get_object`` streamed
to a file: once with the SHA-256 of what came, as a careful reader writes it, and once without, which verifies nothing.
All are on one server and take turns, the file is in the page cache for all, and what is read first after the writes is
read once more, unmeasured. ``python -m bench.blobs [--mebibytes 1024] [--rounds 12]``; the last line is ``blobs: <the
slower of the two, as a share of raw with its SHA-256> x``. The table also says what each cost this process and the
server in CPU time, of which two cores have two seconds in each.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import psutil
from minio import Minio

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.storage.blobs import CHUNK_BYTES
from tests.servers.session import private

if TYPE_CHECKING:
    from tests.servers.s3 import S3Server

MODEL = "large"
WARM_MEBIBYTES = 8
RAW_PUT, PUBLISH = "raw put", "publish"
RAW_GET, BLIND_GET, LOAD = "raw get", "raw get, no SHA-256", "load"


@dataclass(frozen=True)
class Cost:
    """What a call took: seconds by the clock, and of CPU time in this process and in the server."""

    seconds: float
    here: float
    server: float


def cost_of(call: Callable[[], object]) -> Cost:
    os.sync()  # nobody pays for what another left to be written
    begun, here, server = time.perf_counter(), time.process_time(), server_cpu_seconds()
    call()
    return Cost(time.perf_counter() - begun, time.process_time() - here, server_cpu_seconds() - server)


def server_cpu_seconds() -> float:
    """Return the CPU time of all processes that this one started: the server and what guards it."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(each.user + each.system for each in times)


def rotated(names: Iterable[str], by: int) -> list[str]:
    order = deque(names)
    order.rotate(by)
    return list(order)


def write_random(path: Path, mebibytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1024 * 1024))
    return path


def library_at(folder: Path, url: str) -> ModelLibrary:
    return open_library(f"sqlite:///{folder}/library.db", blobs=url, by="bench")


def publish(library: ModelLibrary, source: Path, work: str) -> str:
    return library.publish(MODEL, source, format="raw", work=work).reference


def read_raw(client: Minio, bucket: str, target: Path, *, hashed: bool) -> None:
    answer, digest = client.get_object(bucket, "raw"), hashlib.sha256()
    try:
        with target.open("wb") as file:
            for chunk in answer.stream(CHUNK_BYTES):
                if hashed:
                    digest.update(chunk)
                file.write(chunk)
    finally:
        answer.close()
        answer.release_conn()


def peak_kibibytes() -> int:
    """Return the most memory that this process had; ``ru_maxrss`` would tell that of the process which started it."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def memory_growth(folder: Path, url: str, source: Path) -> float:
    """Return by how many MiB this process grew at most, after a small model had warmed it, by a large one."""
    library = library_at(folder, url)
    small = write_random(folder / "small.bin", WARM_MEBIBYTES)
    library.fetch(publish(library, small, "memory-small"), folder / "memory")
    before = peak_kibibytes()
    library.fetch(publish(library, source, "memory-large"), folder / "memory")
    return (peak_kibibytes() - before) / 1024


def measure(server: S3Server, folder: Path, *, mebibytes: int, rounds: int) -> float:
    url, client = server.fresh_blobs_url(), server.client()
    raw = Minio(server.address, credentials=server.credentials, secure=server.secure)
    bucket = urlsplit(server.fresh_blobs_url()).path.strip("/")
    source = write_random(folder / "source.bin", mebibytes)
    library = library_at(folder, url)
    publish(library, write_random(folder / "first.bin", 1), "first")  # makes the tables and asks the server
    writes: dict[str, Callable[[int], object]] = {
        RAW_PUT: lambda _round: raw.fput_object(bucket, "raw", str(source)),
        PUBLISH: lambda round_: publish(library, source, f"round-{round_}"),
    }
    reads: dict[str, Callable[[int], object]] = {
        RAW_GET: lambda _round: read_raw(raw, bucket, folder / "raw.bin", hashed=True),
        BLIND_GET: lambda _round: read_raw(raw, bucket, folder / "raw.bin", hashed=False),
        LOAD: lambda _round: library.fetch(f"{MODEL}@latest", folder / "fetched"),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in (*writes, *reads)}
    for number in range(rounds):
        for name in rotated(writes, number):
            costs[name].append(cost_of(partial(writes[name], number)))
        for place, name in enumerate([BLIND_GET, *rotated(reads, number)]):
            cost = cost_of(partial(reads[name], number))
            if place > 0:
                costs[name].append(cost)
            for left in (folder / "raw.bin", *(folder / "fetched").glob("*")):
                left.unlink(missing_ok=True)
        for found in client.list_objects(urlsplit(url).path.strip("/"), recursive=True):
            if f"/{source.name}" in (found.object_name or "") and number < rounds - 1:
                client.remove_object(found.bucket_name, found.object_name or "")  # room on the disk
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        growth = pool.apply(memory_growth, (folder, url, source))
    medians = {name: statistics.median(cost.seconds for cost in each) for name, each in costs.items()}
    print(f"{server.name} {server.version}, {mebibytes} MiB, {rounds} rounds, seconds:")
    print(f"{'medians':20} {'clock':>6} {'CPU here':>9} {'CPU server':>11}   clock of each round")
    for name, each in costs.items():
        here, there = statistics.median(cost.here for cost in each), statistics.median(cost.server for cost in each)
        rounds_ = " ".join(f"{cost.seconds:.2f}" for cost in each)
        print(f"{name:20} {medians[name]:6.2f} {here:9.2f} {there:11.2f}   {rounds_}")
    print(f"memory growth of publishing and loading: {growth:.0f} MiB")
    print(f"load, as a share of raw without its SHA-256: {medians[BLIND_GET] / medians[LOAD]:.2f} x")
    return min(medians[RAW_PUT] / medians[PUBLISH], medians[RAW_GET] / medians[LOAD])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    with private("minio") as server, tempfile.TemporaryDirectory(prefix="exia-bench-") as folder:
        ratio = measure(cast("S3Server", server), Path(folder), mebibytes=arguments.mebibytes, rounds=arguments.rounds)
    print(f"blobs: {ratio:.2f} x")


if __name__ == "__main__":
    main()
