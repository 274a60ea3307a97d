"""What actors do around a monitor: the real operators' own code, over the simulated stores and the simulated Airflow.

The evaluation, training, triggering and promoting are called as they stand in the package, on objects that have what
they use: making a real operator and task instance for each of a million runs would take hours and decide nothing else.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from airflow_provider_exia.assets import MODEL_EVENTS
from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.model_library.exceptions import ModelLibraryError
from airflow_provider_exia.monitoring import requests
from airflow_provider_exia.monitoring.evaluation import Evaluator
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.operators.model import ModelPromoteOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from airflow_provider_exia.operators.monitor import RetrainOperator, TaskSurroundings
from airflow_provider_exia.operators.monitor_base import position_of
from airflow_provider_exia.storage.documents import StoreRefused, StoreUnavailable, WriteUnknown
from airflow_provider_exia.task_identity import by_of
from tests.simulation.airflow_runs import FAILED, SUCCEEDED, SimulatedRuns, Started
from tests.simulation.operations import CHAMPION, MODEL, Operation, source_file

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.journal import MonitorJournal

MONITOR = "brier"
POLICY = Policy(metric="brier", enter=0.6, exit=0.5, breaches=1, window=1, bake_margin=0.05)
MEASURED = datetime(2024, 1, 1, tzinfo=UTC)
"""Event time of the points, and of every evaluation that is no later one."""
TRAINED = 4
"""The version that a run promotes where it publishes none of its own."""

_log = logging.getLogger("exia.simulation")
_log.setLevel(logging.CRITICAL)
_NOBODY_LISTENS = {MODEL_EVENTS: SimpleNamespace(add=lambda _asset, extra: None)}  # called by that name


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate(Operation):
    """One evaluation, and the task after it that triggers what the evaluation hands on.

    :param event_time: of the evaluation
    """

    kind: ClassVar[str] = "evaluate"
    event_time: datetime = MEASURED

    def run(self, library: ModelLibrary) -> Hashable:
        """Evaluate, then trigger."""
        work = evaluate(library, self.event_time)
        if work is None:
            return "nothing to trigger"
        return _trigger(library, work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Operation):
    """The task that triggers, once more for an episode that was handed on before: cleared, or slow."""

    kind: ClassVar[str] = "trigger"

    def run(self, library: ModelLibrary) -> Hashable:
        """Trigger."""
        return _trigger(library, {"run_id": run_id_of(1), "monitor": MONITOR, "episode": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRun(Operation):
    """A training run, from the moment at which its row exists: accept, train, publish, gate, promote.

    :param number: the how manieth run under its id
    :param ending: ``promoted``, ``refused`` by the gate, ``failed`` after training, or ``lost`` before its first task
    :param publishes: whether it publishes a version of its own; else it promotes one that is there
    :param retries: whether Airflow starts its task again after a death; else it marks the run as failed
    """

    kind: ClassVar[str] = "retrain run"
    number: int = 1
    episode: int = 1
    ending: str = "promoted"
    publishes: bool = False
    retries: bool = True

    def run(self, library: ModelLibrary) -> Hashable:
        """Wait for the row, then do what the tasks of the DAG do."""
        runs = runs_of(library)
        started = runs.begin(run_id_of(self.episode), self.number)
        end = partial(runs.end, started.run_id, started.number)
        if self.ending == "lost":
            end(FAILED)
            return "lost"
        try:
            self._train_and_promote(library, runs, started)
        except AirflowSkipException:
            end(SUCCEEDED)
            return "skipped"
        except (ModelLibraryError, StoreUnavailable, StoreRefused, _TrainingFailed) as error:
            end(FAILED)
            return f"failed: {type(error).__name__}"
        end(SUCCEEDED)
        return "promoted"

    def run_again(self, library: ModelLibrary) -> Hashable:
        """Start the task again, or let Airflow find that nobody is at it any more."""
        if self.retries:
            return self.run(library)
        runs = runs_of(library)
        runs.end(run_id_of(self.episode), self.number, FAILED)
        return "killed"

    def _train_and_promote(self, library: ModelLibrary, runs: SimulatedRuns, started: Started) -> None:
        context = _context_of_run(library, started)
        hook = _hook(library)
        desk = partial(_Desk, library=library, hook=hook, exia_conn_id="exia_default", allow_pickle=False)
        train = desk(ModelTrainOperator, model=MODEL, format="json")
        train._function = lambda: partial(_train, runs, started)
        train._training_context = lambda _context, _episode: None
        train._lineage = lambda _context, _training, _function: None
        train._publish = lambda _trained, _training, work, *_rest: self._publish(library, work)
        number = int(train.execute(context).partition("/")[2])
        if self.ending == "failed":
            raise _TrainingFailed
        decision = SimpleNamespace(
            id=f"{MODEL}:gate",
            model=MODEL,
            challenger=number,
            alias=CHAMPION,
            since=library.alias(MODEL, CHAMPION).since,  # the gate reads its champion when it begins
            judgement=SimpleNamespace(verdict="refused" if self.ending == "refused" else "better"),
            describe=lambda: "as simulated",
        )
        hook.decisions = SimpleNamespace(get=lambda _id: decision)
        promote = desk(ModelPromoteOperator, alias=CHAMPION, reason="simulated")
        promote.decision, promote.reference = decision.id, f"{MODEL}/{number}"
        promote.execute(context)

    def _publish(self, library: ModelLibrary, work: str) -> Any:
        if not self.publishes:
            reference = f"{MODEL}/{TRAINED}"
            return SimpleNamespace(model=MODEL, number=TRAINED, reference=reference, digest="", metrics={})
        return library.publish(MODEL, source_file(f"trained-{self.number}"), format="json", work=work)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRun(Operation):
    """Somebody deletes the row of the training run, as soon as there is one; its processes may go on."""

    kind: ClassVar[str] = "delete run"

    def run(self, library: ModelLibrary) -> Hashable:
        """Delete it."""
        runs_of(library).delete(run_id_of(1))
        return "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Operation):
    """A person asks something of the monitor, once; returns the sequence of the entry, or None if that is not known."""

    ask: ClassVar[str]

    def run(self, library: ModelLibrary) -> Hashable:
        """Ask."""
        ask: Callable[..., MonitorEntry] = getattr(requests, self.ask)
        try:
            return ask(journal_of(library), by=_caller(library), reason="asked").sequence
        except WriteUnknown:
            return None

    def run_again(self, library: ModelLibrary) -> Hashable:  # nothing is asked twice
        """Give up: the connection is gone, and a person looks at the history before asking again."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Request):
    """Halt the monitor."""

    kind: ClassVar[str] = "stop"
    ask: ClassVar[str] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Request):
    """Let it go on."""

    kind: ClassVar[str] = "resume"
    ask: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainNow(Request):
    """Ask for a training run."""

    kind: ClassVar[str] = "retrain now"
    ask: ClassVar[str] = "retrain_now"


class _Desk:
    """What stands for an operator's instance; what is not set here is the operator's own code.

    :param operator: the class
    :param attributes: of the instance
    """

    def __init__(self, operator: type, **attributes: Any) -> None:
        vars(self).update(attributes, log=_log, _operator=operator)

    def __getattr__(self, name: str) -> Any:
        return partial(_own_code(self._operator, name), self)


@cache
def _own_code(operator: type, name: str) -> Callable[..., Any]:
    """Return a method without the wrapper that lets only Airflow call ``execute``."""
    function: Callable[..., Any] = inspect.unwrap(getattr(operator, name))
    return function


class _TrainingFailed(Exception):
    """The training function raised."""


def run_id_of(episode: int) -> str:
    """Return the run id that an episode's run must have."""
    return f"exia__{MODEL}__{MONITOR}__{episode}"


def runs_of(library: ModelLibrary) -> SimulatedRuns:
    """Return the run table, as the user of a library sees it."""
    documents: Any = library.resources.documents
    return SimulatedRuns(documents)


def journal_of(library: ModelLibrary) -> MonitorJournal:
    """Return the journal of the one monitor."""
    return _hook(library).journal(MODEL, MONITOR)


def evaluate(library: ModelLibrary, event_time: datetime) -> Mapping[str, Any] | None:
    """Do what the task ``evaluate`` does about the monitor; return what it hands on.

    Not the operator's whole ``execute``: the rest of that is about the tasks beside it.
    """
    instance = SimpleNamespace(
        dag_id="score", run_id=_caller(library), task_id="evaluate", map_index=-1, get_dr_count=runs_of(library).count
    )
    context: Any = {"ti": instance, "outlet_events": _NOBODY_LISTENS}
    watching: Any = SimpleNamespace(
        library=library,
        exia_conn_id="exia_default",
        model=MODEL,
        alias=CHAMPION,
        retrain="train",
        position=lambda: position_of(library, MODEL, CHAMPION),
    )
    evaluation = Evaluator(
        journal=journal_of(library),
        points=_hook(library).points,
        policy=POLICY,
        surroundings=TaskSurroundings(watching, context),
        event_time=event_time,
        by=by_of(context),
    ).run()
    work = evaluation.open_work
    return None if work is None else {"run_id": work.run_id, "monitor": work.monitor, "episode": work.episode}


def _trigger(library: ModelLibrary, work: Mapping[str, Any]) -> str:
    """Do what the task ``retrain`` does, and what Airflow then does for it."""
    try:
        _Desk(RetrainOperator, work=work, retrain="train", library=library).execute({})
    except DagRunTriggerException as trigger:
        with suppress(WriteUnknown):  # nothing is read back: the next evaluation looks whether there is a run
            runs_of(library).create(trigger.dag_run_id, trigger.conf or {})
    return "triggered"


def _train(runs: SimulatedRuns, started: Started, _training: object) -> None:
    runs.train(started)


def _context_of_run(library: ModelLibrary, started: Started) -> Mapping[str, Any]:
    instance = SimpleNamespace(
        dag_id="train", run_id=started.run_id, task_id=_caller(library), map_index=-1, max_tries=3
    )
    start = datetime(2024, 1, 1, 0, 0, started.number, tzinfo=UTC)
    run = SimpleNamespace(conf=dict(started.conf), start_date=start, clear_number=0)
    return {"ti": instance, "dag_run": run, "outlet_events": _NOBODY_LISTENS}


def _hook(library: ModelLibrary) -> Any:
    """Return a hook that has its library already."""
    hook: Any = MonitorHook.__new__(MonitorHook)
    hook.library = library
    return hook


def _caller(library: ModelLibrary) -> str:
    documents: Any = library.resources.documents
    caller: str = documents.caller
    return caller
