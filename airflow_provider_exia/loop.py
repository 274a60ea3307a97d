"""What authors of DAGs import: the policy, what their functions are given and return, and ``promote_if_better``.

Airflow is imported only where a DAG is made, so that train, predict and score functions stay free of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.model_library.training import TrainedModel, TrainingContext
from airflow_provider_exia.monitoring.policy import Policy, check_monitor_name
from airflow_provider_exia.monitoring.scores import Scores

if TYPE_CHECKING:
    from airflow.sdk import TaskGroup

    from airflow_provider_exia.functions import Function

__all__ = ["Policy", "Scores", "TrainedModel", "TrainingContext", "promote_if_better", "sweep", "watch"]


def promote_if_better(
    challenger: Any,
    *,
    score: Function,
    policy: Policy,
    alias: str = "champion",
    exia_conn_id: str = "exia_default",
    trusted_types: Collection[str] = (),
    allow_pickle: bool = False,
    group_id: str = "promote_if_better",
) -> TaskGroup:
    """Judge a newly trained version against the champion and promote it only if it is better.

    A group of two ordinary tasks, ``gate`` and ``promote``; when the gate refuses, ``promote`` is skipped with the
    numbers as its reason. After a mapped training task or task group both are mapped too.

    :param challenger: what the training task returns
    :param score: ``score(model, data) -> Scores``, or ``"package.module:function"``
    :param policy: minimum gain, confidence and limits
    :param alias: the alias that the challenger wants
    :param exia_conn_id: a connection of the type ``exia``
    :param trusted_types: types that a model file may hold beyond its library's own list and the connection's
    :param allow_pickle: read pickle and joblib files too, which run code, where a configured key has signed the version
    :param group_id: of the task group
    :returns: the task group
    """
    from airflow.sdk import TaskGroup

    from airflow_provider_exia.operators.model import ModelPromoteOperator
    from airflow_provider_exia.operators.model_gate import ModelGateOperator

    shared: dict[str, Any] = {"exia_conn_id": exia_conn_id, "alias": alias}
    scoring: dict[str, Any] = {
        "score": score,
        "policy": policy,
        "trusted_types": tuple(sorted(trusted_types)),
        "allow_pickle": allow_pickle,
    }
    with TaskGroup(group_id=group_id, add_suffix_on_collision=True) as group:
        if _is_one_for_each(challenger, group):
            gate = ModelGateOperator.partial(task_id="gate", **scoring, **shared).expand(challenger=challenger)
            ModelPromoteOperator.partial(task_id="promote", **shared).expand(decision=gate.output)
        else:
            single = ModelGateOperator(task_id="gate", challenger=challenger, **scoring, **shared)
            decision: Any = single.output  # stands for the text that it will be at run time
            ModelPromoteOperator(task_id="promote", decision=decision, **shared)
    return group


def watch(
    model: str,
    *,
    score: Function,
    data: Any,
    policy: Policy,
    retrain: str,
    alias: str = "champion",
    monitor: str | None = None,
    shadow: bool = False,
    exia_conn_id: str = "exia_default",
    trusted_types: Collection[str] = (),
    allow_pickle: bool = False,
    group_id: str = "watch",
) -> TaskGroup:
    """Watch a model: score it, decide what the scores mean, and trigger a training run when it is bad.

    A group of three ordinary tasks, ``score``, ``evaluate`` and ``retrain``. At most one run trains for each stretch of
    bad scores; every promotion is watched beside its predecessor and taken back when it is worse. ``evaluate`` runs
    also when ``score`` was skipped or failed.

    :param model: the model's name
    :param score: ``score(model, data) -> Scores``, or ``"package.module:function"``
    :param data: path or URI of labelled data: what an earlier task returns
    :param policy: what counts as bad, for how long, and how often to act
    :param retrain: dag_id of the training DAG
    :param alias: the alias that is watched
    :param monitor: the monitor's name; default: the policy's metric
    :param shadow: decide and record, never act
    :param exia_conn_id: a connection of the type ``exia``
    :param trusted_types: types that a model file may hold beyond its library's own list and the connection's
    :param allow_pickle: read pickle and joblib files too, which run code, where a configured key has signed the version
    :param group_id: of the task group
    :returns: the task group
    """
    from airflow.sdk import TaskGroup

    from airflow_provider_exia.model_library.names import check_model_name
    from airflow_provider_exia.operators.model_score import ModelScoreOperator
    from airflow_provider_exia.operators.monitor import MonitorEvaluateOperator, RetrainOperator

    policy.require_thresholds()
    watched: dict[str, Any] = {
        "model": check_model_name(model),
        "monitor": check_monitor_name(policy.metric if monitor is None else monitor),
        "alias": alias,
        "policy": policy,
        "exia_conn_id": exia_conn_id,
    }
    with TaskGroup(group_id=group_id, add_suffix_on_collision=True) as group:
        scored = ModelScoreOperator(
            task_id="score",
            score=score,
            data=data,
            trusted_types=tuple(sorted(trusted_types)),
            allow_pickle=allow_pickle,
            **watched,
        )
        # Where nothing could be scored, the evaluation has all the more to say: silence is an alarm.
        evaluated = MonitorEvaluateOperator(
            task_id="evaluate", retrain=retrain, shadow=shadow, trigger_rule="all_done", **watched
        )
        triggered = RetrainOperator(
            task_id="retrain", work=evaluated.output, retrain=retrain, exia_conn_id=exia_conn_id
        )
        scored >> evaluated >> triggered
    return group


def sweep(
    monitors: Sequence[Mapping[str, Any]], *, exia_conn_id: str = "exia_default", group_id: str = "sweep"
) -> TaskGroup:
    """Evaluate the monitors of a whole fleet in one task, and trigger the training runs of those that are bad.

    A group of three ordinary tasks: ``evaluate``, ``retrain`` (mapped over the episodes that wait for a run) and
    ``report``, which fails when a monitor could not be evaluated; the others are not held up by it.

    :param monitors: for each ``{"model": ..., "policy": ..., "retrain": ...}``, see :class:`MonitorSweepOperator`
    :param exia_conn_id: a connection of the type ``exia``
    :param group_id: of the task group
    :returns: the task group
    """
    from airflow.sdk import TaskGroup, XComArg

    from airflow_provider_exia.operators.monitor import RetrainOperator
    from airflow_provider_exia.operators.monitor_sweep import MonitorSweepOperator, SweepReportOperator

    with TaskGroup(group_id=group_id, add_suffix_on_collision=True) as group:
        evaluated = MonitorSweepOperator(task_id="evaluate", monitors=monitors, exia_conn_id=exia_conn_id)
        RetrainOperator.partial(task_id="retrain", exia_conn_id=exia_conn_id).expand_kwargs(evaluated.output)
        SweepReportOperator(task_id="report", errors=XComArg(evaluated, key="errors"), exia_conn_id=exia_conn_id)
    return group


def _is_one_for_each(value: Any, group: TaskGroup) -> bool:
    """Say whether a value stands, inside ``group``, for one value of each of several mapped tasks."""
    from airflow.sdk import XComArg
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    if not isinstance(value, XComArg):
        return False
    operator = getattr(value, "operator", None)  # what map() and its like make has none
    if operator is None or isinstance(operator, MappedOperator):
        return True
    mapped = operator.get_closest_mapped_task_group()
    around: TaskGroup | None = group
    while mapped is not None and around is not None:
        if around.group_id == mapped.group_id:  # by id: what knows its parent knows it by a proxy
            return False
        around = around.parent_group
    return mapped is not None
