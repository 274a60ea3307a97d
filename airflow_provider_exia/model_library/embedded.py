"""Where the library lies when nobody configured one: below ``$AIRFLOW_HOME/exia``, for hook and command line alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def airflow_home(environment: Mapping[str, str]) -> Path:
    """Return Airflow's folder as Airflow itself would name it, without importing Airflow.

    :param environment: the variables of the process
    """
    return Path(os.path.expanduser(os.path.expandvars(environment.get("AIRFLOW_HOME") or "~/airflow")))


def embedded_locations(airflow_home: Path) -> tuple[str, str]:
    """Return the URLs of the embedded document store and blob store; nothing is made.

    :param airflow_home: Airflow's folder
    :returns: what :func:`~airflow_provider_exia.model_library.library.open_library` takes as documents and as blobs
    """
    folder = airflow_home.absolute() / "exia"
    # Quoted is only what must be: SQLAlchemy unquotes a SQLite path from 2.1 on, and 2.0 takes it as it stands.
    database = str(folder / "library.db").replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{database}", (folder / "blobs").as_uri()
