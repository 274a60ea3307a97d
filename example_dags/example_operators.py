"""The same library by plain operators: write a file, promote it, read it back, roll back."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_exia.operators.model import (
    ModelPromoteOperator,
    ModelReadOperator,
    ModelRollbackOperator,
    ModelWriteOperator,
)

with DAG(
    dag_id="example_operators",
    schedule=None,
    tags=["exia", "example"],
    params={"file": Param("model.json", type="string", description="path of a JSON file that is the model")},
) as example_operators:
    write = ModelWriteOperator(
        task_id="write", model="example_rules", file="{{ params.file }}", format="json", metrics={"auc": 0.9}
    )
    promote = ModelPromoteOperator(
        task_id="promote", reference="{{ ti.xcom_pull(task_ids='write') }}", reason="a file from elsewhere"
    )
    read = ModelReadOperator(task_id="read", reference="example_rules@champion", folder="/tmp/example_rules")  # noqa: S108 - a folder that every machine has
    write >> promote >> read

with DAG(dag_id="example_rollback", schedule=None, tags=["exia", "example"]) as example_rollback:
    ModelRollbackOperator(task_id="rollback", model="example_rules", reason="the new one is worse")
