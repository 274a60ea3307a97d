"""Every example DAG is read without an error and runs to its end, in the order in which a reader would try them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.model_library.records import State
from tests.airflow.running import run_dag

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

EXAMPLES = Path(__file__).parents[2] / "example_dags"
TESTED = {"example_train", "example_predict", "example_operators", "example_rollback", "example_housekeeping"}
WATCHED = {"example_watch_train", "example_watch_week"}  # tested in test_example_watch.py
ALARM = {"example_alarm"}  # tested in test_example_alarm.py
EVENTS = {"example_model_release", "example_model_released"}  # tested in test_model_events.py
PARAMETERS = {"example_parameters"}  # tested in test_services.py, beside the other that needs Consul
SERVICES = {"example_services"}  # tested in test_services.py
COMPILED = {"example_watched_train", "example_watched_infer"}  # tested in test_compiled_dags.py


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """All example DAGs by id."""
    bag = DagBag(EXAMPLES)
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_every_example_has_a_test_here(dags: dict[str, DAG]) -> None:
    assert set(dags) == TESTED | WATCHED | ALARM | EVENTS | PARAMETERS | SERVICES | COMPILED


def test_a_line_is_trained_promoted_kept_and_used(
    dags: dict[str, DAG], library: ModelLibrary, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run_dag(dags["example_train"])
    second = run_dag(dags["example_train"])
    log = capfd.readouterr().out
    used = run_dag(dags["example_predict"])

    assert first.state == second.state == used.state == "success"
    assert first.result("promote_if_better.promote") == "example_line/1"
    assert second.tasks["promote_if_better.promote"] == "skipped"
    assert "example_line/2 against example_line/1: refused: squared error" in log
    assert used.xcoms["predict", "model_version"] == "example_line/1"
    slope = library.load("example_line/1")["slope"]
    assert json.loads(Path(used.result("predict")).read_text()) == [slope, 2 * slope, 3 * slope]


def test_files_are_written_promoted_read_and_rolled_back(
    dags: dict[str, DAG], library: ModelLibrary, tmp_path: Path
) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"limit": 15}))
    file = {"file": str(tmp_path / "model.json")}

    runs = [run_dag(dags["example_operators"], conf=file) for _ in range(2)]
    back = run_dag(dags["example_rollback"])

    assert [run.result("read") for run in runs] == ["example_rules/1", "example_rules/2"]
    assert back.result("rollback") == "example_rules/1"
    assert [entry.action for entry in library.history("example_rules")] == ["rollback", "promote", "promote"]
    assert json.loads(Path("/tmp/example_rules/model.json").read_text()) == {"limit": 15}


def test_garbage_goes_every_week_and_damage_fails_the_run(
    dags: dict[str, DAG], library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        (tmp_path / "model.json").write_text(json.dumps({"limit": number}))
        library.publish("example_rules", tmp_path / "model.json", format="json")
    library.promote("example_rules/2")
    library.retire("example_rules/1")
    monkeypatch.setattr(SystemClock, "now", lambda _clock: datetime.now(UTC) + timedelta(days=7))

    week = run_dag(dags["example_housekeeping"])
    for blob in list(library.resources.blobs.list("models/")):
        library.resources.blobs.delete(blob.key)
    damaged = run_dag(dags["example_housekeeping"])

    assert week.state == "success"
    assert week.result("collect_garbage")["deleted"] == 1
    assert week.result("verify")["verified"] == 3
    assert library.versions("example_rules")[1].state is State.COLLECTED
    assert (damaged.state, damaged.tasks["verify"]) == ("failed", "failed")
