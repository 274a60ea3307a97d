"""What the processes of the fault tests do, and what must hold in the stores whatever happened to them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.model_library import collecting
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import Role, State, Version
from airflow_provider_exia.storage.blobs import sha256_of

MODEL = "delay"


def library_in(folder: Path) -> ModelLibrary:
    """Open the library of a test."""
    return open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="test")


def publish(folder: Path, work: str) -> Version:
    """Publish a version of two files; the same work has the same bytes."""
    sources = folder / "sources"
    sources.mkdir(exist_ok=True)
    model, rows = sources / f"{work}.json", sources / f"{work}.bin"
    if not model.exists():  # never written while another process reads them
        _write_once(model, json.dumps({"work": work}).encode())
    if not rows.exists():
        _write_once(rows, work.encode() * 100)
    files = [SourceFile(source=model, path="model.json"), SourceFile(source=rows, path="rows.bin", role=Role.HOLDOUT)]
    with library_in(folder) as library:
        return library.publish(MODEL, files, format="json", work=work)


def promote(folder: Path, version: int, token: str, expected: int | None = None) -> int:
    """Promote a version; return the sequence of the move."""
    with library_in(folder) as library:
        return library.promote(f"{MODEL}/{version}", token=token, expected=expected).sequence


def rollback(folder: Path, token: str) -> int:
    """Roll back; return the sequence of the move."""
    with library_in(folder) as library:
        return library.rollback(MODEL, token=token).sequence


def retire(folder: Path, version: int, token: str) -> int:
    """Retire a version; return the sequence of the entry."""
    with library_in(folder) as library:
        return library.retire(f"{MODEL}/{version}", token=token).sequence


class FastClock(SystemClock):
    """A clock that is 100 hours ahead: for its owner every grace time is over."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=100)


def collect(folder: Path) -> int:
    """Make a pass with a clock that is far ahead; return how many blobs and uploads went."""
    with library_in(folder) as library:
        library.resources = replace(library.resources, clock=FastClock())
        report = library.collect(MODEL, delete=True)
        uploads = collecting.abort_uploads(library.resources, delete=True)
        return len(report.deleted) + len(uploads.aborted)


def publish_and_promote(folder: Path, work: str) -> int:
    """Do what a training task does at its end; a repetition does nothing twice."""
    return promote(folder, publish(folder, work).number, f"{work} promote")


def check_stores(library: ModelLibrary) -> None:
    """Check over the whole store what the protocol promises after any crash (its invariants I1 to I3 and I5)."""
    versions = library.versions(MODEL)
    assert all(count == 1 for count in Counter(version.number for version in versions).values())
    assert all(count == 1 for count in Counter((version.work, version.digest) for version in versions).values())
    for version in versions:
        if version.state is State.READY:
            assert_blobs_match(library, version)
    entries = library.history(MODEL)[::-1]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert all(count == 1 for count in Counter(entry.token for entry in entries).values())
    ready = {version.number for version in versions if version.state is State.READY}
    for state in library.aliases(MODEL).values():
        assert set(state.stack) <= ready - library.retired(MODEL)


def assert_blobs_match(library: ModelLibrary, version: Version) -> None:
    """Check that the store holds exactly the version's files under its own keys."""
    for file in version.files:
        with library.resources.blobs.open(blob_key(library.resources.prefix, version, file.path)) as stream:
            assert sha256_of(stream) == (file.sha256, file.size)


def _write_once(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.rename(path)
