"""One task that evaluates many monitors, for fleets: a task for each would cost far more than its evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.model_library.names import check_model_name
from airflow_provider_exia.monitoring.policy import Policy, check_monitor_name
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.operators.monitor import TaskSurroundings
from airflow_provider_exia.operators.monitor_base import position_of
from airflow_provider_exia.storage.documents import StoreRefused, StoreUnavailable
from airflow_provider_exia.task_identity import by_of, event_time

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.monitoring.evaluation import AliasPosition, Evaluation

_NEEDED = {"model", "policy", "retrain"}
_ALLOWED = _NEEDED | {"monitor", "alias", "shadow"}


class SomeMonitorsBroken(ExiaError):
    """Some monitors could not be evaluated; all others were.

    :param errors: name of each monitor to what went wrong
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        told = "; ".join(f"{name}: {problem}" for name, problem in sorted(self.errors.items()))
        super().__init__(f"{len(self.errors)} monitors could not be evaluated, all others were: {told}")


class MonitorSweepOperator(ExiaOperator):
    """Evaluate many monitors in one task, each as :class:`MonitorEvaluateOperator` does.

    A monitor that cannot be evaluated stops no other: its error is logged and handed on as XCom ``errors``, for
    :class:`SweepReportOperator`. Only a store that cannot be used at all ends the task.

    :param monitors: for each ``{"model", "policy", "retrain"}``, and where they are not the default ``"monitor"`` (the
        policy's metric), ``"alias"`` and ``"shadow"``
    :returns: arguments of a :class:`RetrainOperator` for each episode without a run
    """

    announces = True

    def __init__(self, *, monitors: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.monitors = [_read(number, written) for number, written in enumerate(monitors, 1)]
        names = [monitor.name for monitor in self.monitors]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InvalidInput(f"monitors: {', '.join(twice)} more than once: give them names by 'monitor'")

    @cached_property
    def hook(self) -> MonitorHook:
        """The hook, which opens the library at its first use."""
        return self.make_hook(MonitorHook)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Evaluate all, whatever becomes of one."""
        open_work: list[dict[str, Any]] = []
        errors: dict[str, str] = {}
        for monitor in self.monitors:
            try:
                work = self._evaluate(monitor, context).open_work
            except (StoreUnavailable, StoreRefused):
                raise  # the next monitor's journal lies there too
            except Exception as error:  # one broken monitor stops no other; the report names it
                known = isinstance(error, ExiaError)  # its message says it all
                self.log.error("%s could not be evaluated: %s", monitor.name, error, exc_info=not known)
                errors[monitor.name] = f"{type(error).__name__}: {error}"
                continue
            if work is not None:
                told = {"run_id": work.run_id, "monitor": work.monitor, "episode": work.episode}
                open_work.append({"work": told, "retrain": monitor.retrain})
        self.log.info(
            "%d monitors: %d episodes without a run, %d broken", len(self.monitors), len(open_work), len(errors)
        )
        context["ti"].xcom_push(key="errors", value=errors)
        return open_work

    def _evaluate(self, monitor: _Monitor, context: Context) -> Evaluation:
        from airflow_provider_exia.monitoring.evaluation import Evaluator

        watching = _Watching(self, monitor)
        evaluation = Evaluator(
            journal=self.hook.journal(monitor.model, monitor.monitor),
            points=self.hook.points,
            policy=monitor.policy,
            surroundings=TaskSurroundings(watching, context),
            event_time=event_time(context),
            by=by_of(context),
            shadow=monitor.shadow,
        ).run()
        entry = evaluation.entry
        if entry.blind_since is not None:
            self.log.warning("%s is blind since %s", monitor.name, entry.blind_since.isoformat())
        return evaluation


class SweepReportOperator(ExiaOperator):
    """Fail when a sweep met a broken monitor, and say which; a task of its own, so that it stops no training run.

    :param errors: what the sweep handed on as XCom ``errors`` (templated)
    :raises SomeMonitorsBroken: there are any
    """

    template_fields: Sequence[str] = ("errors",)

    def __init__(self, *, errors: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.errors = errors

    def execute(self, context: Context) -> None:
        """Say what is broken."""
        if self.errors:
            raise SomeMonitorsBroken(self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Monitor:
    """One monitor of a sweep."""

    model: str
    monitor: str
    policy: Policy
    retrain: str
    alias: str = "champion"
    shadow: bool = False

    @property
    def name(self) -> str:
        return f"{self.model}/{self.monitor}"


class _Watching:
    """One monitor of a sweep, as the surroundings of an evaluation see it."""

    def __init__(self, operator: ExiaOperator, monitor: _Monitor) -> None:
        self.library, self.exia_conn_id = operator.library, operator.exia_conn_id
        self.model, self.alias, self.retrain = monitor.model, monitor.alias, monitor.retrain

    def position(self) -> AliasPosition:
        """Return where the alias stands now."""
        return position_of(self.library, self.model, self.alias)


def _read(number: int, written: Mapping[str, Any]) -> _Monitor:
    keys = set(written) if isinstance(written, Mapping) else set()
    if not keys >= _NEEDED or keys - _ALLOWED or not isinstance(written["policy"], Policy):
        raise InvalidInput(
            f"monitors: number {number} is {written!r}: expected a dict of 'model', 'policy' (a Policy) and 'retrain', "
            "and perhaps 'monitor', 'alias' and 'shadow'"
        )
    policy = written["policy"]
    policy.require_thresholds()
    given = {"monitor": policy.metric, **written}
    return _Monitor(
        **given | {"model": check_model_name(given["model"]), "monitor": check_monitor_name(given["monitor"])}
    )
