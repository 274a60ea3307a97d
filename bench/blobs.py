"""Publishing and loading 1 GiB on MinIO, beside minio-py alone: ``make bench NAME=blobs``.

Ours is the whole operation: ``publish`` (the file hashed, put, verified, made READY) and ``fetch`` (streamed, hashed,
written). Raw is ``fput_object`` and ``get_object`` streamed to a file. Over plain HTTP ``fput_object`` hashes each part
once for its signature, as the server demands; raw reading verifies nothing. They alternate on one server, and the file
is in the page cache for both. ``python -m bench.blobs [--mebibytes 1024] [--rounds 6]``; the last line is ``blobs: <the
slower of the two, as a share of raw> x``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from minio import Minio

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.storage.blobs import CHUNK_BYTES
from tests.servers.session import private

if TYPE_CHECKING:
    from tests.servers.s3 import S3Server

MODEL = "large"
WARM_MEBIBYTES = 8


def seconds(call: Callable[[], object]) -> float:
    os.sync()  # nobody pays for what another left to be written
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def write_random(path: Path, mebibytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1024 * 1024))
    return path


def library_at(folder: Path, url: str) -> ModelLibrary:
    return open_library(f"sqlite:///{folder}/library.db", blobs=url, by="bench")


def publish(library: ModelLibrary, source: Path, work: str) -> str:
    return library.publish(MODEL, source, format="raw", work=work).reference


def read_raw(client: Minio, bucket: str, target: Path) -> None:
    answer = client.get_object(bucket, "raw")
    try:
        with target.open("wb") as file:
            for chunk in answer.stream(CHUNK_BYTES):
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
    taken: dict[str, list[float]] = {"publish": [], "raw put": [], "load": [], "raw get": []}
    for number in range(rounds):
        works = [
            ("raw put", lambda: raw.fput_object(bucket, "raw", str(source))),
            ("publish", lambda number=number: publish(library, source, f"round-{number}")),
        ]
        for name, work in works if number % 2 else reversed(works):
            taken[name].append(seconds(work))
        reads = [
            ("raw get", lambda: read_raw(raw, bucket, folder / "raw.bin")),
            ("load", lambda: library.fetch(f"{MODEL}@latest", folder / "fetched")),
        ]
        for name, work in reads if number % 2 else reversed(reads):
            taken[name].append(seconds(work))
            for left in (folder / "raw.bin", *(folder / "fetched").glob("*")):
                left.unlink(missing_ok=True)
        for found in client.list_objects(urlsplit(url).path.strip("/"), recursive=True):
            if f"/{source.name}" in (found.object_name or "") and number < rounds - 1:
                client.remove_object(found.bucket_name, found.object_name or "")  # room on the disk
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        growth = pool.apply(memory_growth, (folder, url, source))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    print(f"{server.name} {server.version}, {mebibytes} MiB, {rounds} rounds, seconds:")
    for name, values in taken.items():
        print(f"{name:10} median {medians[name]:6.2f}   {' '.join(f'{value:.2f}' for value in values)}")
    print(f"memory growth of publishing and loading: {growth:.0f} MiB")
    return min(medians["raw put"] / medians["publish"], medians["raw get"] / medians["load"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    with private("minio") as server, tempfile.TemporaryDirectory(prefix="exia-bench-") as folder:
        ratio = measure(cast("S3Server", server), Path(folder), mebibytes=arguments.mebibytes, rounds=arguments.rounds)
    print(f"blobs: {ratio:.2f} x")


if __name__ == "__main__":
    main()
