"""One task evaluates a fleet: a broken monitor stops no other, open work is handed on, and all is reported."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.loop import Policy, sweep
from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL
from airflow_provider_exia.monitoring.points import Point
from airflow_provider_exia.operators.monitor import RetrainOperator
from airflow_provider_exia.operators.monitor_sweep import (
    MonitorSweepOperator,
    SomeMonitorsBroken,
    SweepReportOperator,
)
from airflow_provider_exia.storage.documents import StoreUnavailable
from tests.unit.operators.conftest import NOON, TaskInstance, context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

POLICY = Policy(metric="loss", enter=0.2, breaches=1, window=1)
MODELS = ("apples", "pears", "plums")


class Instance(TaskInstance):
    """Asks Airflow for runs that it does not have."""

    def get_dr_count(self, **_: Any) -> int:
        return 0


@pytest.fixture
def hook(library: ModelLibrary) -> MonitorHook:  # makes the connection
    return MonitorHook()


def fleet(**values: Any) -> list[dict[str, Any]]:
    return [{"model": model, "policy": POLICY, "retrain": f"{model}_train"} | values for model in MODELS]


def measure(hook: MonitorHook, model: str, value: float) -> None:
    at = NOON - timedelta(hours=1)
    hook.points.record(Point(model=model, monitor="loss", metric="loss", event_time=at, value=value))


def run(monitors: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    context = context_of("sweep")
    instance = Instance(task_id="sweep")
    cast("dict[str, Any]", context)["ti"] = instance
    work = MonitorSweepOperator(task_id="sweep", monitors=monitors).execute(context)
    return work, instance.pushed["errors"]


def test_all_are_evaluated_and_episodes_without_a_run_are_handed_on(hook: MonitorHook) -> None:
    for model, value in zip(MODELS, (0.1, 0.3, 0.4), strict=True):
        measure(hook, model, value)

    work, errors = run(fleet())

    assert errors == {}
    assert work == [
        {"work": {"run_id": f"exia__{model}__loss__1", "monitor": "loss", "episode": 1}, "retrain": f"{model}_train"}
        for model in ("pears", "plums")
    ]
    assert [hook.state(model, "loss").state for model in MODELS] == ["HEALTHY", "DEGRADED", "DEGRADED"]


def test_what_is_handed_on_are_the_arguments_of_the_operator_that_triggers(hook: MonitorHook) -> None:
    measure(hook, "pears", 0.3)
    (arguments,), _ = run(fleet())

    retrain = RetrainOperator(task_id="retrain", **arguments)

    assert (retrain.work["episode"], retrain.retrain) == (1, "pears_train")


def test_a_broken_monitor_stops_no_other_and_is_reported(hook: MonitorHook) -> None:
    for model in MODELS:
        measure(hook, model, 0.3)
    damaged = {"model": "pears", "monitor": "loss", "sequence": 1, "event_time": "2026"}
    hook.library.resources.documents.insert(MONITOR_JOURNAL, damaged)

    work, errors = run(fleet())

    assert [one["retrain"] for one in work] == ["apples_train", "plums_train"]
    assert list(errors) == ["pears/loss"]
    with pytest.raises(
        SomeMonitorsBroken, match="1 monitors could not be evaluated, all others were: pears/loss: Dama"
    ):
        SweepReportOperator(task_id="report", errors=errors).execute(context_of("report"))


def test_an_error_of_any_kind_stops_no_other(hook: MonitorHook, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(hook, "plums", 0.3)
    calls = itertools.count()
    whole = MonitorSweepOperator._evaluate

    def broken_at_first(self: MonitorSweepOperator, *arguments: Any) -> Any:
        if next(calls) == 0:
            raise ZeroDivisionError("of somebody's library")
        return whole(self, *arguments)

    monkeypatch.setattr(MonitorSweepOperator, "_evaluate", broken_at_first)
    work, errors = run(fleet())

    assert errors == {"apples/loss": "ZeroDivisionError: of somebody's library"}
    assert [one["retrain"] for one in work] == ["plums_train"]


def test_a_store_that_cannot_be_used_ends_the_task_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def unavailable(*_: Any) -> None:
        next(calls)
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(MonitorSweepOperator, "_evaluate", unavailable)
    with pytest.raises(StoreUnavailable):
        run(fleet())

    assert next(calls) == 1


def test_shadow_and_another_alias_are_those_of_each_monitor(hook: MonitorHook) -> None:
    measure(hook, "apples", 0.3)

    work, errors = run(fleet(shadow=True, alias="canary"))

    assert (work, errors) == ([], {})
    assert "ENDED" in [entry.state for entry in hook.journal("apples", "loss").history()]


def test_nothing_broken_is_nothing_to_report() -> None:
    operator = SweepReportOperator(task_id="report", errors={})

    returned = cast("object", operator.execute(context_of("report")))  # type: ignore[func-returns-value]  # no error

    assert returned is None


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"model": "pears", "policy": POLICY}, "number 2 is .*expected a dict of 'model', 'policy'"),
        ({"model": "pears", "policy": POLICY, "retrain": "t", "alais": "x"}, "number 2 is .*expected a dict"),
        ({"model": "pears", "policy": {"metric": "loss"}, "retrain": "t"}, "number 2 is .*expected a dict"),
        ("pears", "number 2 is 'pears': expected a dict"),
        ({"model": "pears", "policy": Policy(metric="loss"), "retrain": "t"}, "'enter' is missing"),
        ({"model": "Pears!", "policy": POLICY, "retrain": "t"}, "Pears!"),
        ({"model": "pears", "policy": POLICY, "retrain": "t", "monitor": "A b"}, "is no monitor name"),
        ({"model": "apples", "policy": POLICY, "retrain": "t"}, "apples/loss more than once"),
    ],
)
def test_a_fleet_that_makes_no_sense_is_refused_when_the_dag_is_read(wrong: Any, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        MonitorSweepOperator(task_id="sweep", monitors=[fleet()[0], wrong])


def test_the_group_evaluates_triggers_what_is_open_and_reports() -> None:
    with DAG("fleet", schedule=None) as dag:
        sweep(fleet(), exia_conn_id="other")

    evaluate, retrain, report = (dag.get_task(f"sweep.{name}") for name in ("evaluate", "retrain", "report"))
    assert isinstance(evaluate, MonitorSweepOperator)
    assert isinstance(retrain, MappedOperator)
    assert retrain.operator_class is RetrainOperator
    assert isinstance(report, SweepReportOperator)
    assert evaluate.downstream_task_ids == {"sweep.retrain", "sweep.report"}
    assert {evaluate.exia_conn_id, report.exia_conn_id, retrain.partial_kwargs["exia_conn_id"]} == {"other"}
