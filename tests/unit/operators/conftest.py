"""Operators are called as the task runner calls them, with a context of plain values and a library of real stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

if TYPE_CHECKING:
    from airflow.sdk import Context

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(kw_only=True)
class TaskInstance:
    """The fields of a task instance that operators read."""

    dag_id: str = "delay"
    run_id: str = "week-9"
    task_id: str = "task"
    map_index: int = -1
    max_tries: int = 2
    try_number: int = 1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context_of(task_id: str = "task", *, clear_number: int = 0, run_id: str = "week-9", **values: Any) -> Context:
    """Give a task's context."""
    run = SimpleNamespace(
        dag_id="delay",
        run_id=run_id,
        start_date=NOON,
        run_after=NOON,
        clear_number=clear_number,
        data_interval_end=None,
        conf={},
    )
    instance = TaskInstance(task_id=task_id, run_id=run_id, **values)
    return cast("Context", {"ti": instance, "dag_run": run, "outlet_events": OutletEventAccessors()})


def events_in(context: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the URI and the extra of each asset event that a task has announced."""
    accessors = context["outlet_events"]
    return [(event.dest_asset_key.uri, event.extra) for key in accessors for event in accessors[key].asset_alias_events]


@pytest.fixture
def context() -> Context:
    """The context of the first try of a task."""
    return context_of()
