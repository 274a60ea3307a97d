"""Every test run has an Airflow home of its own, so that nothing of it is left and no two runs meet."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

pytest_plugins = ["tests.servers.plugin"]


def _make_airflow_home() -> str:
    """Set up the environment before anything imports Airflow, which reads it once."""
    home = tempfile.mkdtemp(prefix="exia-tests-")
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(home, ignore_errors=True) if os.getpid() == owner else None)
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ["AIRFLOW_HOME"] = home
    return home


AIRFLOW_HOME = Path(_make_airflow_home())


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelLibrary]:
    """An empty library of real stores, which the connection ``exia_default`` names."""
    from airflow_provider_exia.model_library.library import open_library

    documents, blobs = f"sqlite:///{tmp_path}/library.db", f"file://{tmp_path}/blobs"
    connection = {"conn_type": "exia", "extra": {"documents": documents, "blobs": blobs}}
    monkeypatch.setenv("AIRFLOW_CONN_EXIA_DEFAULT", json.dumps(connection))
    with open_library(documents, blobs=blobs, by="the test") as opened:
        yield opened
