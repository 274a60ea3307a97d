"""What follows when nothing goes wrong any more: on a copy of the stores, evaluations come and runs are run.

With that, every episode must leave DEGRADED and RETRAINING, and the monitor must watch the live version (I7).
Requests that were put aside never land here: that they land is a choice of the exploration.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import ExiaError
from tests.simulation.airflow_runs import ACTIVE, RUNS
from tests.simulation.invariants import Violation, content_violations, view_of
from tests.simulation.monitor_operations import MEASURED, Evaluate, RetrainRun
from tests.simulation.scenarios import library_on
from tests.simulation.scheduler import START, SimulatedClock

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.simulation.invariants import View
    from tests.simulation.stores import Memory

_ROUNDS = 4
_OPEN = ("DEGRADED", "RETRAINING")


def fair_violations(memory: Memory, start: View) -> Iterator[Violation]:
    """Let evaluations and runs come to their end, then look.

    :param memory: left as it is
    :param start: the stores when the run began
    """
    if not memory.stored("monitor_journal"):
        return
    after = memory.copy()
    before = view_of(memory)
    try:
        for library in _rounds(after):
            Evaluate(event_time=MEASURED + timedelta(days=30)).run(library)
            _run_what_is_there(library, after)
    except ExiaError as error:
        yield Violation("I9", f"a fair evaluation ends with {type(error).__name__}: {error}")
        return
    view = view_of(after)
    yield from content_violations(view, start)
    newest, was = view.monitor[-1], before.monitor[-1]
    if newest["state"] in _OPEN:
        yield Violation("I7", f"episode {newest['episode']} stays {newest['state']} (it was {was['state']})")
    since = view.journal[-1]["aliases"]["champion"]["since"]
    if newest["watching"] != since:
        yield Violation("I7", f"the monitor watches {newest['watching']} and the alias was moved at {since}")


def _rounds(memory: Memory) -> Iterator[ModelLibrary]:
    """Return a library for each round; nobody who comes now is any who came before."""
    for number in range(_ROUNDS):
        library = library_on(memory, caller=f"fair {number}", clock=SimulatedClock(START + timedelta(minutes=number)))
        yield library


def _run_what_is_there(library: ModelLibrary, memory: Memory) -> None:
    """Run what nobody runs any more, as Airflow does after the death of a worker."""
    for row in memory.stored(RUNS.name):
        if row["state"] == ACTIVE:
            RetrainRun(number=row["number"], episode=row["conf"]["episode"], ending="refused").run(library)
