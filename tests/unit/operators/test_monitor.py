"""The operators of a monitor: what they ask Airflow, what they hand on, and what they refuse."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.monitoring.acceptance import read_request
from airflow_provider_exia.monitoring.evaluation import RunState
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.operators.monitor import (
    MetricRecordOperator,
    MonitorEvaluateOperator,
    RetrainAcceptOperator,
    RetrainOperator,
    TaskSurroundings,
)
from tests.unit.operators.conftest import NOON, TaskInstance, context_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_exia.model_library.library import ModelLibrary

POLICY = Policy(metric="loss", enter=0.2, breaches=1, window=1, max_age="2d", bake="2d")
WORK = {"run_id": "exia__delay__loss__1", "monitor": "loss", "episode": 1}


class Instance(TaskInstance):
    """Answers as Airflow does when it is asked for runs."""

    runs: dict[str, str]
    upstream: dict[str, str] = {}  # replaced, never changed

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int | None) -> Any:
        assert (dag_id, run_ids, map_index) == (self.dag_id, [self.run_id], None)
        return {self.run_id: {name: self.upstream[name] for name in task_ids if name in self.upstream}}

    def get_dr_count(self, *, dag_id: str, run_ids: Sequence[str], states: Sequence[str] | None = None) -> int:
        assert dag_id == "delay_train"
        return sum(run in self.runs and (states is None or self.runs[run] in states) for run in run_ids)


def context_with(runs: dict[str, str] | None = None, conf: dict[str, Any] | None = None) -> Context:
    context = context_of("evaluate")
    instance = Instance(task_id="evaluate")
    instance.runs = runs or {}
    values = cast("dict[str, Any]", context)
    values["ti"] = instance
    values["dag_run"].conf = conf
    return context


@pytest.fixture
def published(library: ModelLibrary, tmp_path: Path) -> ModelLibrary:
    """Two versions of a model, the first of them live."""
    for number in (1, 2):
        (tmp_path / "model.json").write_text(f'{{"number": {number}}}')
        library.publish("delay", tmp_path / "model.json", format="json")
    library.promote("delay/1")
    return library


def record(value: Any, **values: Any) -> float | None:
    operator = MetricRecordOperator(
        task_id="record", model="delay", monitor="loss", metric="loss", value=value, **values
    )
    return operator.execute(context_of("record"))


def evaluate(runs: dict[str, str] | None = None) -> dict[str, Any] | None:
    operator = MonitorEvaluateOperator(
        task_id="evaluate", model="delay", monitor="loss", policy=POLICY, retrain="delay_train"
    )
    return operator.execute(context_with(runs))


def test_a_value_is_recorded_for_the_live_version_and_the_time_of_the_run(published: ModelLibrary) -> None:
    assert record("0.5", samples="70") == 0.5

    (point,) = MonitorHook().points.since("delay", "loss", None)
    assert (point.version, point.event_time, point.samples, point.source) == (1, NOON, 70, "delay.record")


def test_a_value_may_be_about_another_version_and_time(published: ModelLibrary) -> None:
    record(0.5, measured_at="2026-02-01T00:00:00+01:00", reference="delay/2")

    (point,) = MonitorHook().points.since("delay", "loss", None)
    assert (point.version, point.event_time.isoformat()) == (2, "2026-01-31T23:00:00+00:00")


@pytest.mark.parametrize("value", [math.nan, "nan", None, "", "n/a"])
def test_what_is_no_number_is_recorded_as_a_gap(published: ModelLibrary, value: Any) -> None:
    assert record(value) is None

    assert [point.value for point in MonitorHook().points.since("delay", "loss", None)] == [None]


def test_an_evaluation_hands_on_an_episode_until_its_run_is_there(published: ModelLibrary) -> None:
    record(0.5)

    assert evaluate() == WORK
    assert evaluate() == WORK
    assert evaluate({WORK["run_id"]: "queued"}) is None


@pytest.mark.parametrize(
    ("airflow", "expected"),
    [
        (None, RunState.ABSENT),
        ("queued", RunState.ACTIVE),
        ("running", RunState.ACTIVE),
        ("success", RunState.SUCCEEDED),
        ("failed", RunState.FAILED),
    ],
)
def test_the_state_of_a_run_is_what_airflow_says(airflow: str | None, expected: RunState) -> None:
    operator = MonitorEvaluateOperator(
        task_id="evaluate", model="delay", monitor="loss", policy=POLICY, retrain="delay_train"
    )
    context = context_with({"run": airflow} if airflow else {})

    assert TaskSurroundings(operator, context).run_state("run") is expected


def test_a_breach_rolls_the_alias_back_with_its_reason(published: ModelLibrary) -> None:
    evaluate()
    published.promote("delay/2", by="ann")
    for reference, value in (("delay/2", 0.5), ("delay/1", 0.1)):
        record(value, reference=reference)

    evaluate()

    newest = published.history("delay")[0]
    assert (newest.action, newest.version, newest.expected) == ("rollback", 1, 2)
    assert newest.token == "auto:loss:2"
    assert newest.reason.startswith("worse than the version before it by more than 0 on at least 1")
    assert newest.by == "delay/week-9/evaluate"


def test_the_alias_is_read_with_the_kind_and_the_reason_of_its_last_move(published: ModelLibrary) -> None:
    operator = MonitorEvaluateOperator(
        task_id="evaluate", model="delay", monitor="loss", policy=POLICY, retrain="delay_train"
    )
    published.promote("delay/2", reason="better")
    promoted = operator.position()
    published.rollback("delay", reason="worse")
    back = operator.position()

    assert (promoted.since, promoted.promoted, promoted.stack, promoted.reason) == (2, True, (2, 1), "better")
    assert (back.since, back.promoted, back.stack, back.reason) == (3, False, (1,), "worse")


def test_an_alias_that_was_never_moved_has_a_position_too(library: ModelLibrary) -> None:
    operator = MonitorEvaluateOperator(
        task_id="evaluate", model="delay", monitor="loss", policy=POLICY, retrain="delay_train"
    )

    position = operator.position()

    assert (position.since, position.promoted, position.stack) == (0, False, ())


def test_a_trigger_names_the_run_and_carries_a_new_ticket_each_time(library: ModelLibrary) -> None:
    tickets = []
    for _ in range(2):
        with pytest.raises(DagRunTriggerException) as triggered:
            RetrainOperator(task_id="retrain", work=WORK, retrain="delay_train").execute(context_of("retrain"))
        asked = triggered.value
        request = read_request(asked.conf)
        assert request is not None
        assert (asked.trigger_dag_id, asked.dag_run_id, asked.logical_date) == ("delay_train", WORK["run_id"], None)
        assert (asked.skip_when_already_exists, asked.reset_dag_run) == (True, False)
        assert (request.monitor, request.episode) == ("loss", 1)
        tickets.append(request.ticket)

    assert tickets[0] != tickets[1]


def test_without_an_episode_nothing_is_triggered() -> None:
    with pytest.raises(AirflowSkipException, match="no episode is waiting for a training run"):
        RetrainOperator(task_id="retrain", work=None, retrain="delay_train").execute(context_of("retrain"))


@pytest.mark.parametrize("work", ["exia__delay__loss__1", {"run_id": "x"}, [WORK]])
def test_what_no_evaluation_handed_on_triggers_nothing(work: Any) -> None:
    with pytest.raises(InvalidInput, match="expected what MonitorEvaluateOperator returns"):
        RetrainOperator(task_id="retrain", work=work, retrain="delay_train").execute(context_of("retrain"))


def test_accepting_gives_the_event_time_of_the_episode(published: ModelLibrary) -> None:
    record(0.5)
    evaluate()
    conf = {"monitor": "loss", "episode": 1, "ticket": "mine"}
    accept = RetrainAcceptOperator(task_id="accept", model="delay")

    assert accept.execute(context_with(conf=conf)) == NOON.isoformat()
    assert accept.execute(context_with(conf=conf)) == NOON.isoformat()  # a retry
    with pytest.raises(AirflowSkipException, match="episode 1 of monitor 'loss' of 'delay' is not open for this run"):
        accept.execute(context_with(conf=conf | {"ticket": "another"}))


def test_a_run_outside_any_episode_passes(library: ModelLibrary) -> None:
    assert RetrainAcceptOperator(task_id="accept", model="delay").execute(context_with()) == NOON.isoformat()


def test_event_time_of_an_evaluation_is_that_of_its_run(published: ModelLibrary) -> None:
    record(0.1, measured_at=(NOON + timedelta(hours=1)).isoformat())  # the run's future

    evaluate()

    assert MonitorHook().state("delay", "loss").evidence == ()


@pytest.fixture
def evaluating() -> MonitorEvaluateOperator:
    """An evaluation with a trigger and another task behind it."""
    with DAG(dag_id="delay_watch", schedule=None):
        evaluate = MonitorEvaluateOperator(
            task_id="evaluate", model="delay", monitor="loss", policy=POLICY, retrain="delay_train"
        )
        retrain = RetrainOperator(task_id="retrain", work=None, retrain="delay_train")
        notify = EmptyOperator(task_id="notify")
        EmptyOperator(task_id="score") >> evaluate >> [retrain, notify]
    return evaluate


@pytest.mark.usefixtures("published")
def test_without_work_only_the_task_that_would_trigger_is_skipped(evaluating: MonitorEvaluateOperator) -> None:
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        evaluating.execute(context_with())

    assert skipped.value.tasks == ["retrain"]


def test_behind_a_failed_score_an_evaluation_is_written_down_and_then_fails(
    evaluating: MonitorEvaluateOperator, published: ModelLibrary
) -> None:
    context = context_with()
    cast("Any", context["ti"]).upstream = {"score": "upstream_failed"}

    with pytest.raises(AirflowFailException, match="without a new point: score failed or could not run"):
        evaluating.execute(context)

    entry = MonitorHook().journal("delay", "loss").newest()
    assert entry is not None
    assert entry.watching == published.alias("delay").since


@pytest.mark.usefixtures("published")
def test_a_mapped_evaluation_leaves_the_trigger_to_the_others(evaluating: MonitorEvaluateOperator) -> None:
    context = context_with()
    context["ti"].map_index = 3
    evaluating.upstream_task_ids.clear()

    assert evaluating.execute(context) is None
