"""Settings of a training in Consul: written once, fixed for the run by a snapshot, and named by the model's lineage.

It needs a connection ``consul_default`` of the type ``consul``. Then ``exia parameters history example/rates/vat``
shows who set what, and ``exia show example_vat`` the snapshot that the model was made with.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_exia.loop import TrainedModel, TrainingContext
from airflow_provider_exia.operators.model import ModelPromoteOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from airflow_provider_exia.operators.parameters import (
    ParameterReadOperator,
    ParameterSnapshotOperator,
    ParameterWriteOperator,
)

PREFIX = "example/rates"


def train(context: TrainingContext) -> TrainedModel:
    """Make a model of what the snapshot holds: a retry finds the same, whatever was changed meanwhile."""
    return TrainedModel({"vat": context.parameters["vat"], "rounded_to": context.parameters["digits"]})


@dag(schedule=None, tags=["exia", "example"])
def example_parameters() -> None:
    """Write settings, train with a snapshot of them, read one back."""
    settings = ParameterWriteOperator(
        task_id="settings", values={f"{PREFIX}/vat": 0.19, f"{PREFIX}/digits": 2}, reason="the example's own"
    )
    snapshot = ParameterSnapshotOperator(task_id="snapshot", prefix=PREFIX, needed=["vat", "digits"])
    trained = ModelTrainOperator(
        task_id="train", model="example_vat", format="json", train=train, snapshot=snapshot.output
    )
    promoted = ModelPromoteOperator(task_id="promote", reference=trained.output)
    read = ParameterReadOperator(task_id="read", name=f"{PREFIX}/vat")
    settings >> snapshot
    promoted >> read


example_parameters()
