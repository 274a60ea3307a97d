"""Operators of a monitor: record a metric, evaluate, trigger the training run, accept the episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import TaskInstanceState
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from airflow_provider_exia.assets import announce_move
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.operators.monitor_base import MonitorOperator
from airflow_provider_exia.task_identity import by_of, event_time, task_actor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.evaluation import AliasPosition, RollbackOutcome, RunState
    from airflow_provider_exia.monitoring.policy import Policy


class MetricRecordOperator(MonitorOperator):
    """Record a value that was measured elsewhere, as a point of a monitor.

    :param metric: what was measured (templated)
    :param value: the value (templated); what is no finite number is kept as a gap, never taken for healthy
    :param samples: number of labelled samples behind it (templated)
    :param measured_at: event time as ISO text (templated); default: the run's
    :param reference: the version it was measured on (templated); default: the alias's version now
    :returns: the value, or None for a gap
    """

    template_fields: Sequence[str] = ("model", "monitor", "metric", "value", "samples", "measured_at", "reference")

    def __init__(
        self,
        *,
        metric: str,
        value: Any,
        samples: int | str = 0,
        measured_at: str | None = None,
        reference: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metric = metric
        self.value = value
        self.samples = samples
        self.measured_at = measured_at
        self.reference = reference

    def execute(self, context: Context) -> float | None:
        """Record."""
        from airflow_provider_exia.monitoring.points import Point, usable_value

        version = self.library.resolve(self.reference or f"{self.model}@{self.alias}")
        point = Point(
            model=self.model,
            monitor=self.monitor,
            metric=self.metric,
            version=version.number,
            event_time=datetime.fromisoformat(self.measured_at) if self.measured_at else event_time(context),
            samples=int(self.samples),
            value=usable_value(self.value),
            source=f"{context['ti'].dag_id}.{context['ti'].task_id}",
        )
        self.hook.points.record(point)
        self.log.info("%s of %s at %s: %s", self.metric, version.reference, point.event_time.isoformat(), point.value)
        return point.value


class MonitorEvaluateOperator(MonitorOperator):
    """Decide what a monitor's points mean: the only task that decides.

    It follows moves of the alias, ends episodes whose run has died, takes back a promotion that breaches its bake, and
    opens an episode when the policy says so. It triggers nothing: an episode without a run is handed on.

    Behind a task that failed it evaluates all the same, and then fails too, unless there is open work to hand on.

    :param policy: the literal of the DAG
    :param retrain: dag_id of the training DAG (templated)
    :param shadow: decide and record, never act
    :returns: ``{"run_id", "monitor", "episode"}`` of an episode without a run, or None; with None a
        :class:`RetrainOperator` directly behind it is skipped without a worker
    """

    announces = True
    template_fields: Sequence[str] = ("model", "monitor", "retrain")

    def __init__(self, *, policy: Policy, retrain: str, shadow: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.policy = policy
        self.retrain = retrain
        self.shadow = shadow

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Evaluate."""
        from airflow_provider_exia.monitoring.evaluation import Evaluator

        evaluation = Evaluator(
            journal=self.journal,
            points=self.hook.points,
            policy=self.policy,
            surroundings=TaskSurroundings(self, context),
            event_time=event_time(context),
            by=by_of(context),
            shadow=self.shadow,
        ).run()
        entry, work = evaluation.entry, evaluation.open_work
        self.log.info(
            "%s (episode %d, entry %d): %s", entry.state, entry.episode, entry.sequence, entry.reason or entry.action
        )
        if entry.blind_since is not None:
            self.log.warning("blind since %s: no fresh point", entry.blind_since.isoformat())
        if work is None:
            self._refuse_failed_upstream(context)
            self._skip_idle(context)
            return None
        return {"run_id": work.run_id, "monitor": work.monitor, "episode": work.episode}

    def _refuse_failed_upstream(self, context: Context) -> None:
        """Fail after a failure: a run's state is that of its last tasks, and a failed scoring must not end green."""
        if not self.upstream_task_ids:
            return
        instance: Any = context["ti"]
        states = instance.get_task_states(
            dag_id=instance.dag_id,
            task_ids=sorted(self.upstream_task_ids),
            run_ids=[instance.run_id],
            map_index=None if instance.map_index == -1 else instance.map_index,
        )
        failed = sorted(
            task_id
            for task_id, state in states.get(instance.run_id, {}).items()
            if state in (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)
        )
        if failed:
            raise AirflowFailException(
                f"the monitor was evaluated, but without a new point: {', '.join(failed)} failed or could not run"
            )

    def _skip_idle(self, context: Context) -> None:
        """Let Airflow skip the task that would trigger, without starting a worker for it."""
        is_mapped = context["ti"].map_index not in (None, -1)
        if is_mapped or not self.downstream_task_ids:
            return  # other mapped evaluations may have work for what comes next
        idle = [task.task_id for task in self.get_direct_relatives() if isinstance(task, RetrainOperator)]
        if idle:
            raise DownstreamTasksSkipped(tasks=idle)  # type: ignore[no-untyped-call]  # Airflow gives it no types


class Watching(Protocol):
    """What an evaluation inside a task is about: a monitor's operator, or one monitor of a sweep."""

    model: str
    alias: str
    retrain: str
    exia_conn_id: str

    @property
    def library(self) -> ModelLibrary:
        """The model library."""

    def position(self) -> AliasPosition:
        """Return where the alias stands now."""


class TaskSurroundings:
    """The alias and the training runs, as an evaluation sees them from inside a task."""

    def __init__(self, operator: Watching, context: Context) -> None:
        self._operator = operator
        self._context = context

    @property
    def _library(self) -> ModelLibrary:
        return self._operator.library

    def position(self) -> AliasPosition:
        """Return where the alias stands now."""
        return self._operator.position()

    def run_state(self, run_id: str) -> RunState:
        """Ask Airflow what became of a training run."""
        from airflow_provider_exia.monitoring.evaluation import RunState

        instance: Any = self._context["ti"]
        dag_id = self._operator.retrain
        if instance.get_dr_count(dag_id=dag_id, run_ids=[run_id]) == 0:
            return RunState.ABSENT
        if instance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["success"]):
            return RunState.SUCCEEDED
        if instance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["failed"]):
            return RunState.FAILED
        return RunState.ACTIVE

    def roll_back(self, *, expected: int, token: str, reason: str) -> tuple[RollbackOutcome, int]:
        """Take back exactly the promotion that was watched."""
        from airflow_provider_exia.model_library.exceptions import AliasMoved, NothingToRollBackTo
        from airflow_provider_exia.monitoring.evaluation import RollbackOutcome

        operator = self._operator
        try:
            entry = self._library.rollback(
                operator.model,
                alias=operator.alias,
                expected=expected,
                by=task_actor(self._context, automatic=True),
                reason=reason,
                token=token,
            )
        except AliasMoved:
            return RollbackOutcome.MOVED, 0
        except NothingToRollBackTo:
            return RollbackOutcome.NOTHING_OLDER, 0
        version = self._library.resolve(f"{entry.model}/{entry.version}")
        announce_move(self._context, operator.exia_conn_id, entry, version)
        return RollbackOutcome.DONE, entry.sequence


class RetrainOperator(ExiaOperator):
    """Trigger the training run of an open episode: the only task that triggers.

    The run's id is computed from the episode, so "already exists" is success. Every trigger carries a new ticket, which
    the training run shows when it accepts the episode. Airflow ends this task with the trigger.

    :param work: what the evaluation returned (templated); None skips this task
    :param retrain: dag_id of the training DAG (templated)
    """

    template_fields: Sequence[str] = ("work", "retrain")

    def __init__(self, *, work: Any, retrain: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.work = work
        self.retrain = retrain

    def execute(self, context: Context) -> None:
        """Trigger, or skip."""
        from airflow_provider_exia.monitoring.acceptance import RetrainRequest

        if not self.work:
            raise AirflowSkipException("no episode is waiting for a training run")
        if not isinstance(self.work, Mapping) or not {"run_id", "monitor", "episode"} <= set(self.work):
            raise InvalidInput(f"RetrainOperator: work is {self.work!r}, expected what MonitorEvaluateOperator returns")
        request = RetrainRequest(
            monitor=str(self.work["monitor"]),
            episode=int(self.work["episode"]),
            ticket=self.library.resources.new_token(),
        )
        self.log.info("triggering %s of %s for episode %d", self.work["run_id"], self.retrain, request.episode)
        raise DagRunTriggerException(
            trigger_dag_id=self.retrain,
            dag_run_id=str(self.work["run_id"]),
            conf=request.as_conf(),
            logical_date=None,
            reset_dag_run=False,
            skip_when_already_exists=True,
            wait_for_completion=False,
            allowed_states=[],
            failed_states=[],
            poke_interval=60,
            deferrable=False,
        )


class RetrainAcceptOperator(ExiaOperator):
    """Accept the episode that asked for this run, as a task of its own where costly steps come before training.

    The training task accepts by itself; this does the same earlier. A run outside any episode passes.

    :param model: the model's name (templated)
    :returns: the run's event time as ISO text, for ``extract(as_of)``
    """

    template_fields: Sequence[str] = ("model",)

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: Context) -> str:
        """Accept, or skip the run."""
        from airflow_provider_exia.operators.acceptance import accept_episode

        accepted = accept_episode(self.hook, self.model, context)
        return (accepted.event_time if accepted else event_time(context)).isoformat()
