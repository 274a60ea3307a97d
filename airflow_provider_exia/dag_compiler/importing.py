"""Generated files are imported by the installed Airflow in a process of their own before they are put in place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_exia.dag_compiler.exceptions import ImportCheckFailed

TIMEOUT_SECONDS = 120.0
_SECONDS_PER_FILE = 2.0
_LOG_LINES = 15
_KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What Airflow found in one file.

    :param dags: ids of the DAGs that it could load and serialize
    :param unbuilt: name of a guarded function to what it raised
    :param errors: why the file, or a DAG of it, cannot be used
    """

    dags: tuple[str, ...]
    unbuilt: Mapping[str, str]
    errors: tuple[str, ...]


def import_files(
    files: Mapping[str, str], *, timeout: float = TIMEOUT_SECONDS, python_path: str = ""
) -> dict[str, Imported]:
    """Let the installed Airflow import DAG files, in a process without network, database or anybody's settings.

    :param files: file name to text
    :param timeout: seconds for all of them, beside a little for each
    :param python_path: folders that the files may import from, as in ``PYTHONPATH``
    :returns: file name to what was found
    :raises ImportCheckFailed: Airflow did not start, or did not end in time
    """
    with tempfile.TemporaryDirectory(prefix="exia-compile-") as scratch:
        folder, home, result = (Path(scratch) / name for name in ("dags", "home", "result.json"))
        folder.mkdir()
        home.mkdir()
        for name, text in files.items():
            (folder / name).write_bytes(text.encode())
        log = _run([str(folder), str(result)], home, timeout + _SECONDS_PER_FILE * len(files), python_path)
        if not result.exists():
            raise ImportCheckFailed(f"the files could not be tried out, since Airflow did not start:{log}")
        found = json.loads(result.read_text())
    return {
        name: Imported(dags=tuple(facts["dags"]), unbuilt=facts["unbuilt"], errors=tuple(facts["errors"]))
        for name, facts in found.items()
    }


def _run(arguments: list[str], home: Path, timeout: float, python_path: str) -> str:
    command = [sys.executable, "-P", "-m", "airflow_provider_exia.compiled.import_check", *arguments]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": arguments[0],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": python_path,
    }
    try:
        done = subprocess.run(  # noqa: S603 - this Python and a module of this package
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ImportCheckFailed(
            f"Airflow did not end importing the files within {timeout:.0f} s: is the machine very busy?"
        ) from error
    lines = (done.stdout + done.stderr).splitlines()[-_LOG_LINES:]
    return "".join(f"\n    {line}" for line in lines)
