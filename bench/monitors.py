"""How fast one task evaluates the monitors of a fleet: ``make bench NAME=monitors``.

1,000 models with ten points each on SQLite, one journal damaged. Every entry is one synced commit, so the figure
depends on the disk; evaluating again with nothing new writes nothing. Setting the fleet up takes most of the time.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.hooks.monitor import MonitorHook

MONITORS = 1000
POINTS = 10
BROKEN = "model_0500"
START = datetime(2026, 1, 5, tzinfo=UTC)


def prepare_airflow(folder: Path) -> None:
    """Give this process an Airflow home of its own, before anything imports Airflow."""
    os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
    connection = {"documents": f"sqlite:///{folder}/library.db", "blobs": f"file://{folder}/blobs"}
    os.environ["AIRFLOW_CONN_EXIA_DEFAULT"] = json.dumps({"conn_type": "exia", "extra": connection})
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "CRITICAL"


def names() -> list[str]:
    return [f"model_{number:04d}" for number in range(MONITORS)]


def publish_champions(hook: MonitorHook, folder: Path) -> None:
    """Give every model a live version."""
    source = folder / "model.json"
    for model in names():
        source.write_text(json.dumps({"model": model}))
        hook.library.publish(model, source, format="json")
        hook.library.promote(f"{model}/1")


def record_points(hook: MonitorHook) -> None:
    """Record ten hourly points for each; every tenth model is bad."""
    from airflow_provider_exia.monitoring.points import Point

    for number, model in enumerate(names()):
        for hour in range(1, POINTS + 1):
            value = 0.3 if number % 10 == 0 else 0.1 + hour / 1000
            at = START + timedelta(hours=hour)
            hook.points.record(
                Point(model=model, monitor="loss", metric="loss", event_time=at, version=1, samples=100, value=value)
            )


def break_one(hook: MonitorHook) -> None:
    """Let somebody else have written into one journal."""
    from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL

    damaged = {"model": BROKEN, "monitor": "loss", "sequence": 1, "event_time": "2026", "surprise": True}
    hook.library.resources.documents.insert(MONITOR_JOURNAL, damaged)


class TaskInstance(SimpleNamespace):
    """What the task asks Airflow for: no training run exists yet."""

    pushed: dict[str, Any]

    def get_dr_count(self, **_: Any) -> int:
        return 0

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        prepare_airflow(Path(name))
        from airflow_provider_exia.hooks.monitor import MonitorHook
        from airflow_provider_exia.monitoring.policy import Policy
        from airflow_provider_exia.operators.monitor_sweep import MonitorSweepOperator

        policy = Policy(metric="loss", enter=0.2, exit=0.18, max_age="1d")
        hook = MonitorHook()
        publish_champions(hook, Path(name))
        begun = time.perf_counter()
        record_points(hook)
        break_one(hook)
        recorded = time.perf_counter() - begun
        monitors = [{"model": model, "policy": policy, "retrain": f"{model}_train"} for model in names()]
        operator = MonitorSweepOperator(task_id="sweep", monitors=monitors)
        instance = TaskInstance(dag_id="fleet", run_id="hour-10", task_id="sweep", map_index=-1, pushed={})
        run = SimpleNamespace(data_interval_end=START + timedelta(hours=POINTS))
        context = cast("Context", {"ti": instance, "dag_run": run})
        seconds = []
        for _ in range(2):
            begun = time.perf_counter()
            open_work = operator.execute(context)
            seconds.append(time.perf_counter() - begun)
        states = Counter(
            entry.state.value for model in names() if model != BROKEN and (entry := hook.state(model, "loss"))
        )
        entries = sum(entry.sequence for model in names() if model != BROKEN and (entry := hook.state(model, "loss")))
        rows = [
            ("record 10,000 points", f"{recorded:.1f} s"),
            (f"evaluate {MONITORS:,} monitors", f"{seconds[0]:.1f} s, {entries:,} entries"),
            ("evaluate them again", f"{seconds[1]:.1f} s, nothing new"),
            ("states", ", ".join(f"{count} {state}" for state, count in sorted(states.items()))),
            ("handed on to be trained", f"{len(open_work)}"),
            ("broken, and reported", ", ".join(instance.pushed["errors"])),
        ]
        for label, figure in rows:
            sys.stdout.write(f"{label:<24} {figure}\n")
        sys.stdout.write(f"monitors: {seconds[0]:.1f} s\n")


if __name__ == "__main__":
    main()
