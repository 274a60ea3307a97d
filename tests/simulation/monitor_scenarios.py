"""Who meets whom around a monitor: every pair, the groups of the protocol's section 10, and crowds for random runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation import monitor_pasts as past
from tests.simulation.monitor_operations import (
    MEASURED,
    DeleteRun,
    Evaluate,
    Resume,
    RetrainNow,
    RetrainRun,
    Stop,
    Trigger,
)
from tests.simulation.operations import Operation, Promote, Publish, Retire, Rollback
from tests.simulation.scenarios import Scenario
from tests.simulation.scheduler import USUAL_FAULTS, Fate, Rules

if TYPE_CHECKING:
    from tests.simulation.stores import Memory

MONITOR_FAULTS = (*USUAL_FAULTS, Fate.TWICE)
_NEVER_CHANGED = frozenset({("find", "points"), ("get", "model_journal")})
"""Nobody records a point here, and an entry that was seen once is never changed."""
_VERSIONS = frozenset({("find", "versions"), ("get", "versions")})
"""Never changed where nobody publishes."""

_EVALUATE = Evaluate()
_LATER = Evaluate(event_time=MEASURED + timedelta(days=5))
_TOO_LATE = Evaluate(ahead=timedelta(days=2))
_RUN = RetrainRun()
_DELETE = DeleteRun()
_PROMOTE = Promote(version=1, token="by hand 1")
_ROLL_BACK = Rollback(token="by hand 2")


def _meet(past_of: Callable[[], Memory], *operations: Operation, note: str = "", faults: int = 1) -> Scenario:
    publishes = any(isinstance(each, Publish) or getattr(each, "publishes", False) for each in operations)
    steady = _NEVER_CHANGED if publishes else _NEVER_CHANGED | _VERSIONS
    pair = " x ".join(operation.kind for operation in operations)
    name = ", ".join(filter(None, [f"{pair}: {past_of.__name__.replace('_', ' ')}", note]))
    rules = Rules(faults=faults, fates=MONITOR_FAULTS, steady=steady)
    return Scenario(name=name, operations=operations, rules=rules, past=past_of)


MONITOR_PAIRS = (
    _meet(past.healthy, _EVALUATE, _EVALUATE),
    _meet(past.degraded, _EVALUATE, _EVALUATE),
    _meet(past.dead, _EVALUATE, _EVALUATE),
    _meet(past.baking, _EVALUATE, _EVALUATE),
    _meet(past.triggered, _EVALUATE, _RUN),
    _meet(past.triggered, _EVALUATE, replace(_RUN, retries=False), note="killed for good"),
    _meet(past.triggered, _EVALUATE, replace(_RUN, ending="lost"), note="lost before its first task"),
    _meet(past.triggered, _TOO_LATE, _RUN, note="out of time"),
    _meet(past.retraining, _EVALUATE, _RUN),
    _meet(past.retraining, _EVALUATE, replace(_RUN, ending="refused"), note="refused"),
    _meet(past.retraining, _EVALUATE, replace(_RUN, ending="failed"), note="failed"),
    _meet(past.retraining, _TOO_LATE, _RUN, note="out of time"),
    _meet(past.triggered, _EVALUATE, _DELETE),
    _meet(past.retraining, _EVALUATE, _DELETE),
    _meet(past.degraded, _EVALUATE, _PROMOTE),
    _meet(past.baking, _EVALUATE, _PROMOTE),
    _meet(past.baking, _EVALUATE, _ROLL_BACK),
    _meet(past.baking, _EVALUATE, Retire(version=2, token="by hand 3")),
    _meet(past.healthy, _EVALUATE, Stop()),
    _meet(past.baking, _EVALUATE, Stop()),
    _meet(past.halted, _EVALUATE, Resume()),
    _meet(past.halted_in_bake, _EVALUATE, Resume()),
    _meet(past.healthy, _EVALUATE, RetrainNow()),
    _meet(past.dead, _EVALUATE, RetrainNow()),
    _meet(past.triggered_twice, _RUN, replace(_RUN, number=2)),
    _meet(past.triggered, _RUN, _DELETE),
    _meet(past.triggered, _RUN, _PROMOTE),
    _meet(past.triggered, _RUN, _ROLL_BACK),
    _meet(past.triggered, _RUN, Stop()),
    _meet(past.halted_in_training, _RUN, Resume()),
    _meet(past.triggered, _RUN, RetrainNow()),
    _meet(past.triggered, _DELETE, _DELETE),
    _meet(past.triggered, _DELETE, _PROMOTE),
    _meet(past.triggered, _DELETE, _ROLL_BACK),
    _meet(past.triggered, _DELETE, Stop()),
    _meet(past.halted_in_training, _DELETE, Resume()),
    _meet(past.triggered, _DELETE, RetrainNow()),
    _meet(past.healthy, _PROMOTE, Stop()),
    _meet(past.halted, _PROMOTE, Resume()),
    _meet(past.healthy, _PROMOTE, RetrainNow()),
    _meet(past.baking, _ROLL_BACK, Stop()),
    _meet(past.halted_in_bake, _ROLL_BACK, Resume()),
    _meet(past.healthy, _ROLL_BACK, RetrainNow()),
    _meet(past.healthy, Stop(), Stop()),
    _meet(past.halted, Stop(), Resume()),
    _meet(past.healthy, Stop(), RetrainNow()),
    _meet(past.halted_in_bake, Resume(), Resume()),
    _meet(past.halted, Resume(), RetrainNow()),
    _meet(past.healthy, RetrainNow(), RetrainNow()),
)

LONG_PAIRS = tuple(
    scenario
    for scenario in MONITOR_PAIRS
    if scenario.name.endswith(("evaluate: dead", "evaluate: baking", "retire: baking", "out of time"))
)
"""More than five seconds each, with one fault."""

MONITOR_PAIRS_WITH_TWO_FAULTS = tuple(
    replace(scenario, name=f"{scenario.name}, two faults", rules=replace(scenario.rules, faults=2))
    for scenario in MONITOR_PAIRS
    if scenario not in LONG_PAIRS
)

_ANY = (*MONITOR_FAULTS, Fate.UNAVAILABLE, Fate.REFUSED, Fate.DEADLINE)


def _alone(past_of: Callable[[], Memory], operation: Operation) -> Scenario:
    scenario = _meet(past_of, operation, note="alone, three faults", faults=3)
    return replace(scenario, rules=replace(scenario.rules, fates=_ANY))


MONITOR_ALONE = (
    _alone(past.healthy, _EVALUATE),
    _alone(past.dead, _EVALUATE),
    _alone(past.baking, _EVALUATE),
    _alone(past.triggered, _RUN),
    _alone(past.healthy, Stop()),
    _alone(past.halted, Resume()),
    _alone(past.healthy, RetrainNow()),
)

_TWO_RUNS = (_RUN, replace(_RUN, number=2), _DELETE)

MONITOR_GROUPS = (
    _meet(past.degraded, _EVALUATE, _EVALUATE, *_TWO_RUNS),
    _meet(past.triggered, _EVALUATE, *_TWO_RUNS),
    _meet(past.triggered, Trigger(), *_TWO_RUNS),
    _meet(past.baking, _EVALUATE, _EVALUATE, _PROMOTE, note="no faults", faults=0),
    _meet(past.baking, _EVALUATE, _EVALUATE, _ROLL_BACK, note="no faults", faults=0),
)
"""Three and more actors, in every order. (With a fault, those of a bake have millions of ways: a crowd draws some.)"""


def _crowd(name: str, past_of: Callable[[], Memory], *operations: Operation) -> Scenario:
    scenario = _meet(past_of, *operations, faults=4)
    fates = (*_ANY, Fate.FORGOTTEN)
    return replace(scenario, name=f"crowd: {name}", rules=replace(scenario.rules, fates=fates))


_OWN = replace(_RUN, publishes=True)

MONITOR_CROWDS = (
    _crowd(
        "three evaluations, three runs, two deletions",
        past.degraded,
        *(_EVALUATE, _EVALUATE, _LATER, Trigger(), _DELETE, _DELETE),
        *(_OWN, replace(_OWN, number=2), replace(_OWN, number=3)),
    ),
    _crowd(
        "a bad challenger, and a person who moves the alias too",
        past.degraded_and_nothing_better,
        *(_EVALUATE, _EVALUATE, _LATER, _RUN, replace(_RUN, number=2), _DELETE, _PROMOTE, _ROLL_BACK),
    ),
    _crowd(
        "a bake, and everybody at the alias",
        past.baking,
        *(_EVALUATE, _EVALUATE, _LATER, _PROMOTE, Promote(version=4, token="by hand 4"), _ROLL_BACK),
        Retire(version=2, token="by hand 3"),
    ),
    _crowd(
        "people stop, resume and ask while a run trains",
        past.triggered,
        *(_EVALUATE, _LATER, _RUN, Stop(), Resume(), RetrainNow(), replace(_RUN, episode=2), _DELETE),
    ),
    _crowd(
        "one dead episode after the other",
        past.triggered,
        *(_EVALUATE, _LATER, Evaluate(event_time=MEASURED + timedelta(days=20)), _TOO_LATE),
        *(replace(_RUN, retries=False), replace(_RUN, episode=2, ending="failed"), replace(_RUN, episode=3)),
    ),
)
