"""Once a week: delete what nobody can want again, then look whether everything that is left is whole.

A version's files go when it was retired three days ago or longer; nothing that is in use is touched.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import dag

from airflow_provider_exia.operators.model_housekeeping import ModelCollectGarbageOperator, ModelVerifyOperator


@dag(schedule="@weekly", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["exia", "example"])
def example_housekeeping() -> None:
    """Collect garbage, then verify; verify also when garbage collection met a damaged document."""
    collect = ModelCollectGarbageOperator(task_id="collect_garbage", delete=True, grace="72h")
    collect >> ModelVerifyOperator(task_id="verify", trigger_rule="all_done")


example_housekeeping()
