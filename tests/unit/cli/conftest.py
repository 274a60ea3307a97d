"""A real library on SQLite and a folder, and the command line that works on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import pytest
from click.testing import CliRunner, Result

from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import Lineage, Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Run(Protocol):
    """Runs ``exia`` with these words in this process."""

    def __call__(self, *words: str) -> Result: ...


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An Airflow home whose name is awkward in a URL."""
    folder = tmp_path / "my home #1"
    folder.mkdir()
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("EXIA_DOCUMENTS", "EXIA_BLOBS", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    monkeypatch.setenv("LOGNAME", "ada")
    return lambda *words: CliRunner().invoke(exia, list(words))


@pytest.fixture
def library(home: Path) -> Iterator[ModelLibrary]:
    """The embedded library of ``home``."""
    documents, blobs = embedded_locations(home)
    with open_library(documents, blobs=blobs, by="test") as opened:
        yield opened


@pytest.fixture
def published(library: ModelLibrary, tmp_path: Path) -> ModelLibrary:
    """The library with three versions of ``flight_delay``; number 2 is champion, number 1 was."""
    holdout = tmp_path / "holdout.csv"
    holdout.write_bytes(b"day,late\n" * 300)
    for number in (1, 2, 3):
        model = tmp_path / "model.json"
        model.write_text(f'{{"weight": {number}}}')
        library.publish(
            "flight_delay",
            [SourceFile(source=model), SourceFile(source=holdout, role=Role.HOLDOUT)],
            format="json",
            metrics={"brier": 1 / (number + 3)},
            work=f"run {number}",
            input_schema={"carrier": "category", "hour": "int64"},
            lineage=Lineage(
                as_of=datetime(2013, 2, 1, tzinfo=UTC),
                data_digest="d" * 64,
                parameters={"depth": 5, "rate": 0.1},
                training_blocks=("2013-01-01", "2013-01-02", "2013-01-03", "2013-01-04"),
                code_version="9f3c",
            ),
        )
    library.promote("flight_delay/1", reason="first champion")
    library.promote("flight_delay/2", reason="better by 0.0021")
    return library
