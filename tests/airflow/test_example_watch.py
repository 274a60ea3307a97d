"""The hand-written loop: a bad stretch leads to one training run, which is accepted, promoted and baked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session

from airflow_provider_exia.hooks.monitor import MonitorHook
from tests.airflow.running import FinishedRun, run_dag, sync

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

EXAMPLES = Path(__file__).parents[2] / "example_dags"
WATCH = "watch.evaluate"


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, DAG]:
    """The two DAGs, with a warehouse of their own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bag = DagBag(EXAMPLES / "example_watch.py")
    assert bag.import_errors == {}
    return dict(bag.dags)


def triggered(dag_id: str) -> dict[str, dict[str, Any]]:
    """Return the conf of each run that a monitor asked for, by run id."""
    with create_session() as session:
        runs = session.query(DagRun).filter(DagRun.dag_id == dag_id, DagRun.run_id.startswith("exia__")).all()
        return {run.run_id: run.conf for run in runs}


def test_the_loop_closes_by_itself(dags: dict[str, DAG], library: ModelLibrary) -> None:
    train, week = dags["example_watch_train"], dags["example_watch_week"]
    sync(train)
    hook = MonitorHook()

    def watched(level: int = 20) -> FinishedRun:
        return run_dag(week, conf={"level": level})

    # A model is there, and a week is as it should be.
    first = run_dag(train)
    good = watched()
    assert first.state == good.state == "success"
    assert library.resolve("example_sales").number == 1
    assert good.tasks["watch.retrain"] == "skipped"
    assert hook.state("example_sales", "squared_error").state == "HEALTHY"

    # Two bad weeks open an episode; evaluated once more there still is one run.
    watched(30)
    bad, again = watched(30), watched(30)
    assert bad.result(WATCH) == {
        "run_id": "exia__example_sales__squared_error__1",
        "monitor": "squared_error",
        "episode": 1,
    }
    assert (again.result(WATCH), again.tasks["watch.retrain"]) == (None, "skipped")
    asked = triggered("example_watch_train")
    assert list(asked) == ["exia__example_sales__squared_error__1"]

    # The training run accepts, is better, and is promoted; the next week bakes it beside the version before.
    trained = run_dag(train, conf=asked["exia__example_sales__squared_error__1"])
    baked = watched(30)
    assert trained.result("promote_if_better.promote") == "example_sales/2"
    assert set(baked.result("watch.score")) == {"example_sales/1", "example_sales/2"}
    newest = hook.state("example_sales", "squared_error")
    assert newest is not None
    assert (newest.state, newest.episode) == ("CANDIDATE", 1)
    assert newest.evidence[-1].previous is not None

    # A second run of the same episode, whoever started it, does not train.
    twice = run_dag(train, conf={"monitor": "squared_error", "episode": 1, "ticket": "another"})
    assert twice.tasks["train"] == "skipped"
    assert len(library.versions("example_sales")) == 2

    # A person promotes a bad version: two weeks later it is gone, with nobody acting.
    model = library.load("example_sales/1")
    library.publish("example_sales", _file_with(model), format="json", work="by hand")
    library.promote("example_sales/3", by="ann", reason="looks fine to me")
    watched(30)
    taken_back = watched(30)
    assert taken_back.state == "success"
    assert library.resolve("example_sales").number == 2
    story = [entry.action for entry in reversed(hook.journal("example_sales", "squared_error").history())]
    assert [action for action in story if action != "heard"] == [
        *("begun", "suspect", "degraded", "accepted", "promoted", "promoted", "rolled back", "recovered"),
    ]


def _file_with(model: Any) -> Path:

    path = Path(tempfile.mkdtemp()) / "model.json"
    path.write_text(json.dumps(model))
    return path
