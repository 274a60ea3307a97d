"""The installed command as a process: what it imports, its streams, and connections of a real Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_exia.model_library.embedded import embedded_locations

EXIA = Path(sys.executable).with_name("exia")
HEAVY = {"airflow", "pydantic", "rich", "sqlalchemy"}


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "EXIA", "_AIR"))}
    return {**inherited, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}


def run_process(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EXIA, *words], env=environment, capture_output=True, text=True, check=False, timeout=120)


def imported_by(environment: dict[str, str], *words: str) -> set[str]:
    """Return the top-level modules that a command imports."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))\n"
        "from airflow_provider_exia.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words", [("--help",), ("promote", "--help"), ("monitor", "--help"), ("--version",), ("modles",)]
)
def test_help_imports_nothing_heavy(environment: dict[str, str], words: tuple[str, ...]) -> None:
    modules = imported_by(environment, *words)

    assert "click" in modules
    assert modules & HEAVY == set()


@pytest.mark.usefixtures("published")
def test_looking_at_a_library_imports_no_airflow(environment: dict[str, str]) -> None:
    modules = imported_by(environment, "models")

    assert modules & HEAVY == HEAVY - {"airflow"}


@pytest.mark.usefixtures("published")
def test_streams_and_exit_codes_of_the_installed_command(environment: dict[str, str]) -> None:
    found = run_process(environment, "show", "flight_delay", "--json")
    missing = run_process(environment, "show", "flight_delay/9", "--json")

    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["reference"] == "flight_delay/2"
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "exia: no version flight_delay/9; 'exia versions flight_delay' lists those there\n"


@pytest.mark.usefixtures("published")
def test_a_reader_that_leaves_early_causes_no_noise(environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as stdout:
        ended = subprocess.run(
            [EXIA, "history", "flight_delay"],
            env=environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )

    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.airflow
@pytest.mark.usefixtures("published")
def test_a_connection_of_the_environment_names_a_library(environment: dict[str, str], home: Path) -> None:
    documents, blobs = embedded_locations(home)
    connection = {"conn_type": "exia", "extra": {"documents": documents, "blobs": blobs}}

    ended = run_process(
        {**environment, "AIRFLOW_CONN_MINE": json.dumps(connection)}, "models", "--connection", "mine", "--json"
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)[0]["model"] == "flight_delay"


@pytest.mark.airflow
@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_a_connection_made_in_the_ui_names_a_library(environment: dict[str, str], home: Path) -> None:
    documents, blobs = embedded_locations(home)
    airflow = EXIA.with_name("airflow")
    extra = json.dumps({"documents": documents, "blobs": blobs})
    for words in (["db", "migrate"], ["connections", "add", "mine", "--conn-type", "exia", "--conn-extra", extra]):
        subprocess.run([airflow, *words], env=environment, capture_output=True, check=True, timeout=240)

    found = run_process(environment, "--connection", "mine", "versions", "flight_delay", "--json")
    missing = run_process(environment, "--connection", "nope", "models")

    assert [version["number"] for version in json.loads(found.stdout)] == [3, 2, 1]
    assert missing.returncode == 1
    assert missing.stderr.startswith("exia: connection 'nope' does not exist")
