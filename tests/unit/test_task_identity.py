"""What a retry must keep, a cleared task must change, and a run must never change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest

from airflow_provider_exia.task_identity import by_of, event_time, run_facts, run_scope, work_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

INSTANCE: dict[str, Any] = {
    "dag_id": "delay",
    "run_id": "week-9",
    "task_id": "train",
    "map_index": -1,
    "max_tries": 2,
    "try_number": 1,
    "id": "0197-a",
}
RUN: dict[str, Any] = {
    "dag_id": "delay",
    "run_id": "week-9",
    "start_date": NOON,
    "run_after": NOON,
    "clear_number": 0,
    "data_interval_end": None,
}


def context(**changes: Any) -> dict[str, Any]:
    """Give Airflow's context; a change applies wherever the field is."""
    return {
        "ti": SimpleNamespace(**{name: changes.get(name, value) for name, value in INSTANCE.items()}),
        "dag_run": SimpleNamespace(**{name: changes.get(name, value) for name, value in RUN.items()}),
    }


def test_a_retry_is_the_same_work() -> None:
    assert work_key(context(try_number=2, id="0197-b"), "delay") == work_key(context(), "delay")


@pytest.mark.parametrize(
    "change",
    [
        {"dag_id": "other"},
        {"run_id": "week-10"},
        {"task_id": "retrain"},
        {"map_index": 0},
        {"clear_number": 1},
        {"max_tries": 4},
        {"start_date": NOON + timedelta(microseconds=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_task_or_a_cleared_one_is_other_work(change: dict[str, Any]) -> None:
    assert work_key(context(**change), "delay") != work_key(context(), "delay")


def test_the_pieces_of_one_task_are_told_apart() -> None:
    assert work_key(context(), "delay") != work_key(context(), "cancelled")


def test_the_parts_of_a_work_key_do_not_run_into_each_other() -> None:
    assert work_key(context(dag_id="a", run_id="bc"), "d") != work_key(context(dag_id="ab", run_id="c"), "d")


@pytest.mark.parametrize("moment", [pendulum.instance(NOON), NOON.astimezone(timezone(timedelta(hours=2)))])
def test_one_start_is_one_start_however_it_is_written(moment: datetime) -> None:
    assert work_key(context(start_date=moment), "delay") == work_key(context(), "delay")
    assert run_scope(context(run_after=moment)) == run_scope(context())


def test_a_run_that_has_not_started_has_a_work_key() -> None:
    assert work_key(context(start_date=None), "delay") != work_key(context(), "delay")


def test_all_tasks_of_a_run_share_its_scope_also_when_cleared() -> None:
    other_task = context(task_id="predict", map_index=7, try_number=2, max_tries=4, clear_number=1, start_date=None)

    assert run_scope(other_task) == run_scope(context())


@pytest.mark.parametrize(
    "change", [{"dag_id": "other"}, {"run_id": "week-10"}, {"run_after": NOON + timedelta(seconds=1)}]
)
def test_another_run_has_another_scope_also_under_the_same_id(change: dict[str, Any]) -> None:
    assert run_scope(context(**change)) != run_scope(context())


@pytest.mark.parametrize(
    ("map_index", "expected"), [(-1, "delay/week-9/train"), (None, "delay/week-9/train"), (0, "delay/week-9/train[0]")]
)
def test_who_acts_is_written_as_a_path(map_index: int | None, expected: str) -> None:
    assert by_of(context(map_index=map_index)) == expected


def test_the_lineage_keeps_where_the_version_was_made() -> None:
    assert run_facts(context(map_index=3)) == {
        "dag_id": "delay",
        "run_id": "week-9",
        "task_id": "train",
        "map_index": 3,
    }


def test_the_event_time_is_the_end_of_the_data_interval_before_the_moment_it_ran() -> None:
    end = pendulum.datetime(2026, 2, 22)

    moment = event_time(context(data_interval_end=end))

    assert moment == end
    assert type(moment) is datetime
    assert moment.tzinfo is UTC


def test_the_event_time_of_a_run_without_an_interval_is_when_it_was_meant_to_run() -> None:
    assert event_time(context(start_date=NOON + timedelta(days=1))) == NOON
