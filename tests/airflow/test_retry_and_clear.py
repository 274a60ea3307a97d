"""On a real scheduler: a retry trains nothing that is published already, a cleared task trains anew, and a lost
scheduler costs time but neither a version nor a decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.monitoring.decisions import DecisionLog

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import Version

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG_ID = "guess_under_fault"
DAG_FILE = '''
    """Trains a guess; the run's conf says what goes wrong in the first try."""

    from __future__ import annotations

    import json
    import os
    import time
    from datetime import timedelta
    from pathlib import Path

    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import BaseOperator, dag, get_current_context, task
    from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better
    from airflow_provider_exia.task_identity import work_key


    class DefersOnce(BaseOperator):
        """Waits in the triggerer; says what its work key was before and after."""

        def execute(self, context):
            if not context["dag_run"].conf.get("defer"):
                return None
            self.defer(
                trigger=TimeDeltaTrigger(timedelta(milliseconds=200)),
                method_name="resume",
                kwargs={"before": work_key(context, "anything")},
            )

        def resume(self, context, event, before):
            return {"before": before, "after": work_key(context, "anything")}


    def score(model, data):
        rows = json.loads(Path(data).read_text())
        return Scores(loss=[abs(y - model["guess"]) for y in rows], block=list(range(len(rows))))


    @dag(schedule=None, default_args={"retries": 2})
    def guess_under_fault():
        @task.exia_train(model="{{ dag_run.conf['model'] }}", format="json")
        def train(context: TrainingContext, _waited):
            airflow = get_current_context()
            instance, run = airflow["ti"], airflow["dag_run"]
            folder = Path(run.conf["folder"])
            with (folder / "calls").open("a") as calls:
                calls.write(f"try {instance.try_number}\\n")
            if run.conf.get("crash") and instance.try_number == 1:
                os.environ["EXIA_CRASH_POINT"] = run.conf["crash"]
            if run.conf.get("wait"):
                deadline = time.monotonic() + 120
                while not (folder / "go").exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
            # A task that outlived its scheduler and its successor write at the same time: each its own file.
            holdout = folder / f"holdout-{os.getpid()}.json"
            holdout.write_text(json.dumps([float(10 + number % 3) for number in range(8)]))
            return TrainedModel(
                {"guess": run.conf.get("guess", 11.0)},
                holdout=holdout,
                parameters={
                    "try_number": instance.try_number,
                    "max_tries": instance.max_tries,
                    "clear_number": run.clear_number,
                },
            )

        waited = DefersOnce(task_id="waited")
        policy = Policy(metric="error", min_gain=0.1, draws=200)
        promote_if_better(train(waited.output), score=score, policy=policy)


    guess_under_fault()
'''


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    """A real Airflow with the DAG."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    (folder / "dags" / "guess_under_fault.py").write_text(dedent(DAG_FILE))
    began = datetime.now(UTC)
    with running_airflow(folder / "home", dags_folder=folder / "dags") as airflow:
        airflow.client.wait_for_dag(DAG_ID, parsed_after=began)
        yield airflow


@pytest.fixture(scope="module")
def library(airflow: RunningAirflow) -> Iterator[ModelLibrary]:
    """The library that its tasks use, below its home."""
    documents, blobs = embedded_locations(airflow.settings.home)
    with open_library(documents, blobs=blobs, by="the test") as library:
        yield library


@pytest.fixture
def conf(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """What each run is told: a model and a folder of the test's own."""
    return {"model": request.node.name.partition("[")[0][:60], "folder": str(tmp_path)}


def calls_of(conf: dict[str, Any]) -> list[str]:
    """Return how often the training function was called, as it says."""
    return Path(conf["folder"], "calls").read_text().splitlines()


def tries_of(airflow: RunningAirflow, run_id: str) -> dict[str, tuple[str | None, int]]:
    return {task.name: (task.state, task.try_number) for task in airflow.client.task_runs(DAG_ID, run_id)}


def the_version(library: ModelLibrary, conf: dict[str, Any]) -> Version:
    (version,) = library.versions(conf["model"])
    return version


def wait_until(what: str, condition: Callable[[], bool], timeout_seconds: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(0.05)


def clear(airflow: RunningAirflow, run_id: str, task_id: str) -> None:
    """Clear a task and what follows it, as a person does in the UI."""
    body = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [task_id],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    answer = airflow.client._send("POST", f"/api/v2/dags/{DAG_ID}/clearTaskInstances", body, None)
    assert answer is not None
    assert answer.is_success, answer.text
    assert {entry["task_id"] for entry in answer.json()["task_instances"]} >= {task_id}


@pytest.mark.parametrize("point", ["publish.pending-written", "publish.blob-written", "publish.blobs-verified"])
def test_a_task_killed_while_it_publishes_leaves_one_version(
    airflow: RunningAirflow, library: ModelLibrary, conf: dict[str, Any], point: str
) -> None:
    conf |= {"crash": point, "model": f"killed_at_{point.partition('.')[2].replace('-', '_')}"}

    airflow.client.run(DAG_ID, run_id=point, conf=conf)

    assert tries_of(airflow, point)["train"] == ("success", 2)
    assert calls_of(conf) == ["try 1", "try 2"]
    assert the_version(library, conf).state == "READY"
    assert library.load(the_version(library, conf)) == {"guess": 11.0}


def test_a_retry_after_publishing_trains_nothing(
    airflow: RunningAirflow, library: ModelLibrary, conf: dict[str, Any]
) -> None:
    conf |= {"crash": "publish.ready-written"}

    airflow.client.run(DAG_ID, run_id="published", conf=conf)

    assert tries_of(airflow, "published")["train"] == ("success", 2)
    assert calls_of(conf) == ["try 1"]
    assert the_version(library, conf).reference == airflow.client.xcom(DAG_ID, "published", "train")
    assert library.alias(conf["model"]).live == the_version(library, conf).number


def test_a_cleared_task_trains_anew(airflow: RunningAirflow, library: ModelLibrary, conf: dict[str, Any]) -> None:
    airflow.client.run(DAG_ID, run_id="cleared", conf=conf)

    clear(airflow, "cleared", "train")
    assert airflow.client.wait(DAG_ID, "cleared") == "success"

    second, first = library.versions(conf["model"])
    assert calls_of(conf) == ["try 1", "try 2"]
    assert [version.state for version in (first, second)] == ["READY", "READY"]
    assert first.work != second.work
    assert first.lineage.parameters == {"try_number": 1, "max_tries": 2, "clear_number": 0}
    assert second.lineage.parameters == {"try_number": 2, "max_tries": 3, "clear_number": 1}
    # The same model again is no better than itself.
    assert tries_of(airflow, "cleared")["promote_if_better.promote"][0] == "skipped"
    assert library.alias(conf["model"]).live == first.number


def test_a_deferral_changes_no_work_key(airflow: RunningAirflow, library: ModelLibrary, conf: dict[str, Any]) -> None:
    conf |= {"defer": True, "crash": "publish.ready-written"}

    airflow.client.run(DAG_ID, run_id="deferred", conf=conf)

    keys = airflow.client.xcom(DAG_ID, "deferred", "waited")
    assert keys["before"] == keys["after"]
    assert calls_of(conf) == ["try 1"]
    assert the_version(library, conf).state == "READY"


@pytest.mark.parametrize("tasks_too", [True, False], ids=["with-its-tasks", "without-its-tasks"])
def test_the_loss_of_the_scheduler_costs_neither_a_version_nor_a_decision(
    airflow: RunningAirflow, library: ModelLibrary, conf: dict[str, Any], tasks_too: bool
) -> None:
    conf |= {"model": f"scheduler_lost_{tasks_too}".lower(), "wait": True}
    undisturbed = {**conf, "model": f"{conf['model']}_not", "wait": False}
    for settings in (conf, undisturbed):
        # A champion that is worse: the decision is one of numbers.
        first = {**settings, "guess": 4.0, "wait": False}
        airflow.client.run(DAG_ID, run_id=f"first-{settings['model']}", conf=first)
    airflow.client.run(DAG_ID, run_id=f"undisturbed-{tasks_too}", conf=undisturbed)
    Path(conf["folder"], "calls").unlink()
    run_id = f"disturbed-{tasks_too}"
    airflow.client.trigger(DAG_ID, run_id=run_id, conf=conf)
    wait_until("training has begun", Path(conf["folder"], "calls").exists)

    airflow.kill_scheduler(tasks_too=tasks_too)
    airflow.start_scheduler()
    wait_until("training has begun again", lambda: calls_of(conf) == ["try 1", "try 2"])
    Path(conf["folder"], "go").touch()

    assert airflow.client.wait(DAG_ID, run_id) == "success"
    assert tries_of(airflow, run_id)["train"] == ("success", 2)
    assert [version.state for version in library.versions(conf["model"])] == ["READY", "READY"]
    decisions = DecisionLog(library.resources.documents)
    decided = [decisions.of_model(settings["model"])[0] for settings in (conf, undisturbed)]
    assert decided[0].judgement == decided[1].judgement
    assert decided[0].judgement.verdict == "accepted"
    assert library.alias(conf["model"]).stack == (2, 1)
