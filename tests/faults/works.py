"""What the processes of the fault tests do."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.model_library import collecting
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import JournalEntry, Role, Version

if TYPE_CHECKING:
    from tests.faults.places import Place

MODEL = "delay"


@dataclass(frozen=True)
class FastClock(SystemClock):
    """A clock that is far ahead: for its owner every grace time is over.

    What a collector writes into the journal moves the journal's time on, so the next one has to be ahead of that.

    :param times: how often 100 hours
    """

    times: int = 1

    def now(self) -> datetime:
        return super().now() + self.times * timedelta(hours=100)


def publish(place: Place, work: str, size: int = 0) -> Version:
    """Publish a version of two files; the same work has the same bytes.

    :param size: of the larger one; 0: a few hundred bytes
    """
    files = source_files(place.folder, work, size)
    with place.open() as library:
        return library.publish(MODEL, files, format="json", work=work)


def source_files(folder: Path, work: str, size: int = 0) -> list[SourceFile]:
    """Return the files of a piece of work, written once."""
    sources = folder / "sources"
    sources.mkdir(exist_ok=True)
    model, rows = sources / f"{work}.json", sources / f"{work}.bin"
    if not model.exists():  # never written while another process reads them
        _write_once(model, json.dumps({"work": work}).encode())
    if not rows.exists():
        text = work.encode()
        _write_once(rows, text * (max(size, 100 * len(text)) // len(text)))
    return [SourceFile(source=model, path="model.json"), SourceFile(source=rows, path="rows.bin", role=Role.HOLDOUT)]


def promote(place: Place, version: int, token: str, expected: int | None = None) -> JournalEntry:
    """Promote a version."""
    with place.open() as library:
        return library.promote(f"{MODEL}/{version}", token=token, expected=expected)


def rollback(place: Place, token: str) -> JournalEntry:
    """Roll back."""
    with place.open() as library:
        return library.rollback(MODEL, token=token)


def retire(place: Place, version: int, token: str) -> JournalEntry:
    """Retire a version."""
    with place.open() as library:
        return library.retire(f"{MODEL}/{version}", token=token)


def collect(place: Place, times: int = 1) -> int:
    """Make a pass with a clock that is far ahead; return how many blobs and uploads went."""
    with replace(place, clock=FastClock(times)).open() as library:
        report = library.collect(MODEL, delete=True)
        uploads = collecting.abort_uploads(library.resources, delete=True)
        return len(report.deleted) + len(uploads.aborted)


def publish_and_promote(place: Place, work: str) -> JournalEntry:
    """Do what a training task does at its end; a repetition does nothing twice."""
    return promote(place, publish(place, work).number, f"{work} promote")


def _write_once(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.rename(path)
