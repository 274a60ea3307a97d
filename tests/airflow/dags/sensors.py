"""DAGs of the tests of the sensor: it waits in each of its ways, and gives up in each of them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag

from airflow_provider_exia.sensors.monitor import MetricThresholdSensor

# A sensor that is due again before the scheduler saw its last look end is taken by Airflow for one that was killed.
WAYS: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke", "poke_interval": 0.5},
    "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": 5},
    "deferred": {"deferrable": True, "poke_interval": 0.5},
}


def wait(task_id: str, **settings: Any) -> MetricThresholdSensor:
    watched = {"model": "{{ dag_run.conf['model'] }}", "monitor": "error"}
    return MetricThresholdSensor(task_id=task_id, retries=2, **watched, **settings)


@dag(schedule=None)
def waits() -> None:
    for name, way in WAYS.items():
        wait(f"state_{name}", states=("HALTED",), timeout=120, **way)
        wait(f"value_{name}", at_least=9.0, timeout=120, **way)


@dag(schedule=None)
def waits_deferred() -> None:
    wait("state_deferred", states=("HALTED",), timeout=120, **WAYS["deferred"])


@dag(schedule=None)
def gives_up() -> None:
    for name, way in WAYS.items():
        wait(f"state_{name}", states=("CANDIDATE",), timeout=2, **way)


waits()
waits_deferred()
gives_up()
