"""A reaction of one's own: wait in the triggerer until a monitor is in trouble, then write down what it says.

The monitor is the one of ``example_watch.py``. The sensor reads only; what happens next is any task.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_exia.sensors.monitor import MetricThresholdSensor


@dag(schedule="@daily", catchup=False, max_active_runs=1, tags=["exia", "example"])
def example_alarm() -> None:
    """Tell somebody when a model is bad, was taken back, or needs a person."""
    trouble = MetricThresholdSensor(
        task_id="trouble",
        model="example_sales",
        monitor="squared_error",
        states=("DEGRADED", "ROLLED_BACK", "HALTED"),
        poke_interval=30,
        timeout=24 * 3600,
        soft_fail=True,  # a day without trouble is no failure
    )

    @task
    def tell(what: str) -> str:
        return f"Please look at it: {what}"  # send it where your team reads

    tell(trouble.output)


example_alarm()
