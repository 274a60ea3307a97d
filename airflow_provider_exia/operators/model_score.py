"""Score the live version on labelled data, and its predecessor beside it while a promotion is watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_exia.functions import Function, load_function
from airflow_provider_exia.operators.monitor_base import MonitorOperator
from airflow_provider_exia.operators.scoring import call_score
from airflow_provider_exia.task_identity import event_time

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.monitoring.policy import Policy


class ModelScoreOperator(MonitorOperator):
    """Measure the live version and record the mean loss as a point of the monitor.

    While a promotion is baked, the version before it is measured on the same data.

    :param score: ``score(model, data) -> Scores``, or ``"package.module:function"``; None instead of scores says that
        nothing is labelled yet, and skips this task
    :param data: path or URI of labelled data (templated)
    :param policy: names the metric; with direction ``higher`` the point is the negative of the mean loss
    :returns: version reference to value
    """

    template_fields: Sequence[str] = ("model", "monitor", "data")

    def __init__(self, *, score: Function, data: Any, policy: Policy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score = score
        self.data = data
        self.policy = policy

    def execute(self, context: Context) -> dict[str, float]:
        """Score and record."""
        from airflow_provider_exia.monitoring.points import Point
        from airflow_provider_exia.monitoring.score_plan import versions_to_score

        numbers = versions_to_score(self.journal.newest(), self.position())
        if not numbers:
            raise AirflowSkipException(f"{self.model!r} has no {self.alias} yet: there is nothing to score")
        function = load_function(self.score, purpose="score")
        values: dict[str, float] = {}
        for number in numbers:
            reference = f"{self.model}/{number}"
            scores = call_score(function, self.library.load(reference), self.data, may_have_no_labels=True)
            if scores is None:
                raise AirflowSkipException(
                    f"score() found no labelled rows in {self.data}: there is no point to record"
                )
            value = -scores.mean if self.policy.direction == "higher" else scores.mean
            self.hook.points.record(
                Point(
                    model=self.model,
                    monitor=self.monitor,
                    metric=self.policy.metric,
                    version=number,
                    event_time=event_time(context),
                    samples=len(scores.loss),
                    value=value,
                )
            )
            values[reference] = value
            self.log.info("%s of %s: %.4f (%d rows)", self.policy.metric, reference, value, len(scores.loss))
        return values
