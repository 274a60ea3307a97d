"""A real Airflow starts in a folder, runs DAGs, survives the loss of its scheduler, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from airflow_provider_exia.demo.airflow_processes import AirflowProcessFailed, RunningAirflow, running_airflow
from airflow_provider_exia.demo.rest import DagRunFailed

pytestmark = pytest.mark.airflow

DAG_FILE = """
    from __future__ import annotations

    import sys
    import time

    from airflow.sdk import dag, get_current_context, task


    @dag(schedule=None)
    def two_steps():
        @task
        def first():
            conf = get_current_context()["dag_run"].conf
            time.sleep(conf.get("sleep", 0))
            if conf.get("fail"):
                raise ValueError("this was asked for")
            return {"preloaded": "colorsys" in sys.modules}

        @task
        def second(value):
            return value

        second(first())


    two_steps()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one DAG file."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    (folder / "dags" / "two_steps.py").write_text(dedent(DAG_FILE))
    return folder


@pytest.fixture(scope="module")
def airflow(folder: Path) -> Iterator[RunningAirflow]:
    """A real Airflow; after the last test nothing of it is left."""
    began = datetime.now(UTC)
    with running_airflow(folder / "home", dags_folder=folder / "dags", preload=["colorsys"]) as airflow:
        airflow.client.wait_for_dag("two_steps", parsed_after=began)
        members = airflow.members()
        yield airflow
    assert [member for member in members if member.is_running()] == []
    assert processes_of(folder) == []


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder, however they came to be."""
    return [process for process in psutil.process_iter() if str(folder) in environment_of(process)]


def environment_of(process: psutil.Process) -> str:
    try:
        return process.environ().get("AIRFLOW_HOME", "")
    except psutil.Error:
        return ""


def wait_for_task(airflow: RunningAirflow, run_id: str, state: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if [run for run in airflow.client.task_runs("two_steps", run_id) if run.state == state]:
            return
        time.sleep(0.1)
    pytest.fail(f"no task of run {run_id} became {state} within 60 s")


def test_a_run_hands_on_values_and_finds_preloaded_modules(airflow: RunningAirflow) -> None:
    airflow.client.run("two_steps", run_id="plain")

    assert airflow.client.xcom("two_steps", "plain", "second") == {"preloaded": True}
    assert airflow.client.xcom("two_steps", "plain", "second", key="other") is None
    assert {run.name: run.state for run in airflow.client.task_runs("two_steps", "plain")} == {
        "first": "success",
        "second": "success",
    }


def test_asking_twice_for_one_run_makes_one_run(airflow: RunningAirflow) -> None:
    made = [airflow.client.trigger("two_steps", run_id="asked-twice") for _ in range(2)]

    assert made == [True, False]
    assert airflow.client.wait("two_steps", "asked-twice") == "success"


def test_a_failed_run_names_its_task_and_shows_the_end_of_its_log(airflow: RunningAirflow) -> None:
    with pytest.raises(DagRunFailed, match="ValueError: this was asked for") as caught:
        airflow.client.run("two_steps", run_id="failing", conf={"fail": True})

    assert caught.value.task == "first"
    assert "run 'failing' of DAG 'two_steps'" in str(caught.value)


@pytest.mark.parametrize("tasks_too", [True, False], ids=["with-its-tasks", "without-its-tasks"])
def test_a_run_outlives_the_loss_of_the_scheduler(airflow: RunningAirflow, tasks_too: bool) -> None:
    run_id = f"lost-{tasks_too}"
    airflow.client.trigger("two_steps", run_id=run_id, conf={"sleep": 3})
    wait_for_task(airflow, run_id, "running")

    airflow.kill_scheduler(tasks_too=tasks_too)
    airflow.start_scheduler()

    assert airflow.client.wait("two_steps", run_id) == "success"
    tries = {run.name: run.try_number for run in airflow.client.task_runs("two_steps", run_id)}
    assert tries == {"first": 2, "second": 1}


def test_everything_listens_on_the_loopback_only(airflow: RunningAirflow) -> None:
    listening = [
        connection.laddr.ip
        for member in airflow.members()
        for connection in member.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert set(listening) == {"127.0.0.1"}


def test_a_process_that_fails_is_named_with_the_end_of_its_log(folder: Path, tmp_path: Path) -> None:
    options = {"database.sql_alchemy_conn": "sqlite:///relative.db"}

    with (
        pytest.raises(AirflowProcessFailed, match="(?s)db ended with code 1.*relative path"),
        running_airflow(tmp_path / "home", dags_folder=folder / "dags", options=options),
    ):
        pytest.fail("an Airflow without a database has started")

    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_start_that_is_broken_off_leaves_no_process(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    program = f"""
        import signal
        from pathlib import Path
        from airflow_provider_exia.demo.airflow_processes import running_airflow

        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell has put the tests behind it
        with running_airflow(Path({str(tmp_path)!r}), dags_folder=Path({str(folder / "dags")!r}), progress=print):
            signal.pause()  # the start may have come to its end before the signal comes
    """
    command = [sys.executable, "-u", "-c", dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as driver:
        try:
            for line in driver.stdout or ():
                if line.startswith("starting"):
                    break
            while len(processes_of(tmp_path)) < 4:
                time.sleep(0.05)

            driver.send_signal(number)

            assert driver.wait(60) != 0
            assert processes_of(tmp_path) == []
        finally:
            driver.kill()
