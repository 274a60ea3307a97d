"""Run a DAG to its end in this process, and look at what became of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dagbundle import DagBundleModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session

if TYPE_CHECKING:
    from airflow.sdk import DAG

_BUNDLE = "tests"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A DAG run that has ended.

    :param state: ``success`` or ``failed``
    :param tasks: name of each task instance, as in ``train`` or ``predict[3]``, to its state
    :param xcoms: (task, key) to what was handed on, as JSON values
    """

    run_id: str
    state: str
    started_at: datetime
    ended_at: datetime
    tasks: Mapping[str, str]
    xcoms: Mapping[tuple[str, str], Any]

    def result(self, task: str) -> Any:
        """Return what a task handed on, or None."""
        return self.xcoms.get((task, "return_value"))


def run_dag(dag: DAG, conf: dict[str, Any] | None = None) -> FinishedRun:
    """Run a DAG once; needs the fixture ``metadata_database``."""
    sync(dag)
    run_id = dag.test(logical_date=None, run_conf=conf).run_id
    with create_session() as session:
        where = {"dag_id": dag.dag_id, "run_id": run_id}
        tasks = session.query(TaskInstance).filter_by(**where).all()
        xcoms = session.query(XComModel).filter_by(**where).all()
        run = tasks[0].dag_run
        return FinishedRun(
            run_id=run_id,
            state=str(run.state),
            started_at=run.start_date,
            ended_at=run.end_date,
            tasks={_name(task): str(task.state) for task in tasks},
            xcoms={(_name(xcom), xcom.key): XComModel.deserialize_value(xcom) for xcom in xcoms},
        )


def sync(dag: DAG) -> None:
    """Let Airflow know a DAG, as its DAG processor does."""
    with create_session() as session:
        session.merge(DagBundleModel(name=_BUNDLE))
    bag = DagBag(os.devnull, collect_dags=False)
    bag.bag_dag(dag)
    errors = sync_bag_to_db(bag, _BUNDLE, None)
    assert not errors, errors
    assert bag.import_errors == {}


def serialized(dag: DAG) -> dict[str, Any]:
    """Return what Airflow keeps of a DAG."""
    return DagSerialization.to_dict(dag)


def _name(row: Any) -> str:
    return row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"
