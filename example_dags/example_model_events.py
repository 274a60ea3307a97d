"""What happens to a model starts a DAG: here, whenever another version becomes champion.

The first DAG publishes a model and lets ``champion`` name it; any other DAG of this package's operators that moves the
alias would do. The second one wakes up by the asset event, and asks the library what is true now: an event is a hint.
"""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task

from airflow_provider_exia.assets import model_asset
from airflow_provider_exia.operators.model import ModelPromoteOperator, ModelReadOperator, ModelWriteOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "example_prices"
CHAMPION = model_asset(MODEL, alias="champion")


@dag(schedule=None, tags=["exia", "example"])
def example_model_release() -> None:
    """Publish a model and make it champion."""

    @task
    def compute() -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump({"bread": 3.2, "milk": 1.1}, file)
        return file.name

    published = ModelWriteOperator(task_id="publish", model=MODEL, file=compute(), format="json")
    ModelPromoteOperator(task_id="promote", reference=published.output, reason="an example")


@dag(schedule=CHAMPION, catchup=False, tags=["exia", "example"])
def example_model_released() -> None:
    """Refresh what depends on the champion."""
    now = ModelReadOperator(task_id="now", reference=f"{MODEL}@champion")

    @task
    def refresh(reference: str, triggering_asset_events: Mapping[Any, Any] | None = None) -> dict[str, Any]:
        told = [event.extra for event in (triggering_asset_events or {}).get(CHAMPION, [])]
        return {"champion": reference, "told": told}

    refresh(now.output)


example_model_release()
example_model_released()
