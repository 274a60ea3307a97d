"""A library on real embedded stores, with a clock and tokens that the test decides."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.records import Version
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.storage.local import LocalBlobs
from airflow_provider_exia.storage.sql import SqlDocuments

START = datetime(2013, 1, 1, tzinfo=UTC)

MakeFile: TypeAlias = Callable[..., Path]
Publish: TypeAlias = Callable[..., Version]


@dataclass
class ManualClock:
    """Time that passes only when told; waiting makes it pass."""

    moment: datetime = START
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def advance(self, duration: timedelta) -> datetime:
        self.moment += duration
        return self.moment


@pytest.fixture
def clock() -> ManualClock:
    """The library's clock."""
    return ManualClock()


@pytest.fixture
def resources(tmp_path: Path, clock: ManualClock) -> Iterator[Resources]:
    """Fresh stores."""
    tokens = itertools.count(1)
    made = Resources(
        documents=SqlDocuments(f"sqlite:///{tmp_path}/library.db"),
        blobs=LocalBlobs(tmp_path / "blobs"),
        new_token=lambda: f"token-{next(tokens)}",
        clock=clock,
        patience=timedelta(seconds=5),
    )
    yield made
    made.documents.close()


@pytest.fixture
def library(resources: Resources) -> ModelLibrary:
    """An empty library."""
    return ModelLibrary(resources, by="ann")


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Make a file: of these bytes, or of this JSON value."""
    folder = tmp_path / "sources"
    folder.mkdir()

    def make(name: str = "model.json", content: Any = None) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return make


@pytest.fixture
def publish(library: ModelLibrary, make_file: MakeFile) -> Publish:
    """Publish a JSON model; each call other bytes unless ``value`` says which."""
    values = itertools.count(1)

    def call(model: str = "delay", value: Any = None, **arguments: Any) -> Version:
        source = make_file(content=next(values) * 1000 if value is None else value)
        return library.publish(model, source, format="json", **arguments)

    return call


@pytest.fixture
def blob_path(tmp_path: Path) -> Callable[[Version], Path]:
    """Where a version's model file lies in the blob store."""

    def path(version: Version, name: str = "model.json") -> Path:
        return tmp_path / "blobs" / "models" / version.model / version.publication / str(version.number) / name

    return path
