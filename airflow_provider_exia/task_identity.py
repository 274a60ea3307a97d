"""What a task is called in the library: its work key, its run's scope, and who acts.

Who acts is an :class:`Actor`: a DAG or a person, a difference that no text can make up. The functions read Airflow's
task context and import nothing of Airflow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from airflow_provider_exia.clock import to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who moves an alias.

    :param kind: a DAG, through one of its tasks, or a person
    :param name: ``dag_id`` or login
    :param by: how journals name the actor
    :param automatic: whether a monitor does it by itself, as at the end of a bake that went badly
    """

    kind: Literal["dag", "person"]
    name: str
    by: str
    automatic: bool = False


def person(login: str) -> Actor:
    """Return a person as an actor, whatever the login looks like."""
    return Actor(kind="person", name=login, by=login)


def login_name() -> str:
    """Return the login of who runs this process."""
    import getpass  # it loads the terminal, which no DAG file needs

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def task_actor(context: Mapping[str, Any], *, automatic: bool = False) -> Actor:
    """Return the DAG of a task as an actor.

    :param context: Airflow's task context
    :param automatic: whether a monitor does it by itself
    """
    return Actor(kind="dag", name=context["ti"].dag_id, by=by_of(context), automatic=automatic)


def work_key(context: Mapping[str, Any], artifact: str) -> str:
    """Return what makes a retry of this task the same work, and a cleared task new work.

    A retry changes none of the parts; clearing a task, a run or a mapped index changes the run's clear number and start
    and the task's maximum of tries; a run that was deleted and made again has another start.

    :param artifact: tells apart the pieces of work of one task
    """
    instance, run = context["ti"], context["dag_run"]
    parts = [
        instance.dag_id,
        instance.run_id,
        instance.task_id,
        instance.map_index,
        artifact,
        _text(run.start_date),
        run.clear_number,
        instance.max_tries,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def run_scope(context: Mapping[str, Any]) -> str:
    """Return what names this DAG run for ever, cleared or not, and no other run that is given its id later."""
    run = context["dag_run"]
    parts = [run.dag_id, run.run_id, _text(run.run_after)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def by_of(context: Mapping[str, Any]) -> str:
    """Return who acts, for journals: ``dag/run/task`` and the map index of a mapped task."""
    instance = context["ti"]
    mapped = "" if instance.map_index in (None, -1) else f"[{instance.map_index}]"
    return f"{instance.dag_id}/{instance.run_id}/{instance.task_id}{mapped}"


def run_facts(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the lineage keeps of the run that published a version."""
    instance = context["ti"]
    return {
        "dag_id": instance.dag_id,
        "run_id": instance.run_id,
        "task_id": instance.task_id,
        "map_index": instance.map_index,
    }


def event_time(context: Mapping[str, Any]) -> datetime:
    """Return the event time of a run: the end of its data interval, else when it was meant to run."""
    run = context["dag_run"]
    moment: datetime = getattr(run, "data_interval_end", None) or run.run_after
    # Airflow's moments are pendulum's, which do not do all arithmetic that a plain datetime does.
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)
