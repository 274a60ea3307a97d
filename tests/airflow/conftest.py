"""DAGs run in this process by ``dag.test()``, on a metadata database that was made once and copied for each run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import AIRFLOW_HOME

TEMPLATES = Path(__file__).parents[2] / ".airflow-test"


@pytest.fixture(scope="session")
def metadata_database() -> Path:
    """Airflow's metadata database, in the Airflow home of this test run."""
    database = AIRFLOW_HOME / "airflow.db"
    if not database.exists():
        shutil.copyfile(_template(), database)
    return database


def _template() -> Path:
    """Return an empty metadata database of the installed Airflow; making it takes some six seconds."""
    folder = TEMPLATES / f"template-{version('apache-airflow-core')}"
    folder.mkdir(parents=True, exist_ok=True)
    template = folder / "airflow.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            home = folder / f"home-{os.getpid()}"
            subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=os.environ | {"AIRFLOW_HOME": str(home)},
                check=True,
                capture_output=True,
            )
            (home / "airflow.db").rename(template)
            shutil.rmtree(home)
    return template
