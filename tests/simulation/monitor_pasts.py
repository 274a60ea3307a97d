"""What was there before the actors around a monitor begin, made by the package itself; the points say what follows.

All begin with the past of the library: version 2 is live since move 2, version 1 is below it, version 4 was never live.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from airflow_provider_exia.monitoring.acceptance import RetrainRequest, accept
from airflow_provider_exia.monitoring.points import Point, PointLog
from tests.simulation.airflow_runs import FAILED, rows_of
from tests.simulation.monitor_operations import (
    MEASURED,
    MONITOR,
    Stop,
    Trigger,
    evaluate,
    journal_of,
    run_id_of,
    runs_of,
)
from tests.simulation.operations import MODEL, Promote
from tests.simulation.scenarios import library_on, library_past

if TYPE_CHECKING:
    from tests.simulation.stores import Memory


@cache
def healthy() -> Memory:
    """HEALTHY; the live version's point is bad, so the next evaluation opens episode 1. Version 4 would be good."""
    return _begun({1: 0.9, 2: 0.9, 4: 0.3})


@cache
def degraded() -> Memory:
    """DEGRADED(1), and the evaluation died before the trigger."""
    return _degraded(healthy())


@cache
def degraded_and_nothing_better() -> Memory:
    """The same; version 4 is worse than version 2, so a promotion of it breaches its bake."""
    return _degraded(_begun({1: 0.1, 2: 0.9, 4: 1.0}))


@cache
def triggered() -> Memory:
    """DEGRADED(1), and its run has a row."""
    memory = degraded().copy()
    Trigger().run(library_on(memory))
    return memory


@cache
def retraining() -> Memory:
    """RETRAINING(1); the run that accepted was killed in its training and starts again."""
    memory = triggered().copy()
    library = library_on(memory)
    [row] = rows_of(memory, run_id_of(1))
    accept(journal_of(library), RetrainRequest(**row["conf"]), by="the past")
    runs_of(library).train(runs_of(library).begin(run_id_of(1), 1))
    return memory


@cache
def triggered_twice() -> Memory:
    """DEGRADED(1); the row of its run was deleted, and a second run has been triggered."""
    memory = triggered().copy()
    library = library_on(memory, caller="the later past")
    runs_of(library).delete(run_id_of(1))
    Trigger().run(library)
    return memory


@cache
def halted_in_training() -> Memory:
    """HALTED by a person while the run of episode 1 was training."""
    memory = retraining().copy()
    Stop().run(library_on(memory))
    return memory


@cache
def dead() -> Memory:
    """RETRAINING(1), and its run has failed."""
    memory = retraining().copy()
    runs_of(library_on(memory)).end(run_id_of(1), 1, FAILED)
    return memory


@cache
def baking() -> Memory:
    """CANDIDATE: version 4 was promoted and is worse than version 2, and that one is worse than version 1."""
    memory = _begun({1: 0.1, 2: 0.5, 4: 0.9})
    library = library_on(memory)
    Promote(version=4, token="past promote 4").run(library)
    evaluate(library, MEASURED - timedelta(hours=1))  # before the points
    return memory


@cache
def halted() -> Memory:
    """HALTED by a person, who resumes it into a bad point."""
    memory = healthy().copy()
    Stop().run(library_on(memory))
    return memory


@cache
def halted_in_bake() -> Memory:
    """HALTED by a person while a bad promotion was watched."""
    memory = baking().copy()
    Stop().run(library_on(memory))
    return memory


def _begun(values: Mapping[int, float]) -> Memory:
    """Return a monitor's beginning, with one point of each version.

    :param values: by version; lower is better
    """
    memory = library_past().copy()
    library = library_on(memory)
    points = PointLog(library.resources.documents)
    for version, value in values.items():
        points.record(
            Point(
                model=MODEL,
                monitor=MONITOR,
                metric="brier",
                version=version,
                event_time=MEASURED,
                samples=9,
                value=value,
            )
        )
    evaluate(library, MEASURED - timedelta(hours=2))
    return memory


def _degraded(begun: Memory) -> Memory:
    memory = begun.copy()
    assert evaluate(library_on(memory), MEASURED) is not None
    return memory
