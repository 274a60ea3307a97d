"""No interleaving around a monitor, with a fault at any request, breaks an invariant or leaves an episode open."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import pytest

from tests.simulation.explorer import at_random, explore
from tests.simulation.monitor_operations import DeleteRun, Evaluate, Resume, RetrainNow, RetrainRun, Stop
from tests.simulation.monitor_scenarios import (
    LONG_PAIRS,
    MONITOR_ALONE,
    MONITOR_CROWDS,
    MONITOR_GROUPS,
    MONITOR_PAIRS,
    MONITOR_PAIRS_WITH_TWO_FAULTS,
)
from tests.simulation.operations import Promote, Rollback
from tests.simulation.scenarios import PAIRS, Scenario

KINDS = [operation.kind for operation in (Evaluate, RetrainRun, DeleteRun, Promote, Rollback, Stop, Resume, RetrainNow)]
LONG = [*LONG_PAIRS, *(scenario for scenario in MONITOR_ALONE if scenario.pair in ("evaluate", "retrain run"))]
"""More than five seconds each."""
SHORT = [scenario for scenario in (*MONITOR_PAIRS, *MONITOR_ALONE) if scenario not in LONG]
GROUPS_OF_A_BAKE = [scenario for scenario in MONITOR_GROUPS if "baking" in scenario.name]
"""A minute each, without any fault."""
GROUPS_OF_TWO_RUNS = [scenario for scenario in MONITOR_GROUPS if scenario not in GROUPS_OF_A_BAKE]


def _named(scenarios: list[Scenario] | tuple[Scenario, ...]) -> list[object]:
    return [pytest.param(scenario, id=scenario.name) for scenario in scenarios]


def _check(scenario: Scenario) -> None:
    report = explore(scenario)
    for finding in report.findings:
        choices = ".".join(map(str, finding.choices))
        pytest.fail(finding.text(f"python -m tests.simulation --pair '{scenario.name}' --choices {choices}"))
    for actor in range(len(scenario.operations)):
        assert any(kinds[actor] in ("done", "refused") for kinds in report.endings), report.endings


def _check_drawn(scenario: Scenario, seeds: range) -> None:
    for seed in seeds:
        if finding := at_random(scenario, seed):
            pytest.fail(finding.text(f"python -m tests.simulation --pair '{scenario.name}' --seed {seed}"))


def _without_faults(scenario: Scenario) -> Scenario:
    return replace(scenario, rules=replace(scenario.rules, faults=0))


def test_every_pair_is_there() -> None:
    """None of the 36 pairs is forgotten; three of them know nothing of monitors and are in the library's list."""
    wanted = {" x ".join(pair) for pair in combinations_with_replacement(KINDS, 2)}
    assert wanted <= {scenario.pair for scenario in (*PAIRS, *MONITOR_PAIRS)}


@pytest.mark.parametrize("scenario", _named(SHORT))
def test_every_way_with_faults(scenario: Scenario) -> None:
    """Everything holds, and each operation comes to its end in some run, so the check is not empty."""
    _check(scenario)


@pytest.mark.parametrize("scenario", _named(LONG))
def test_every_way_without_faults(scenario: Scenario) -> None:
    """The long ones, first undisturbed, then a sample of what may go wrong."""
    _check(_without_faults(scenario))
    _check_drawn(scenario, range(150))


@pytest.mark.parametrize("scenario", _named(GROUPS_OF_TWO_RUNS))
def test_every_way_of_two_runs_and_a_deletion(scenario: Scenario) -> None:
    """Evaluations, two runs of one episode, the deletion of the first run's row: every order, then samples."""
    _check(_without_faults(scenario))
    _check_drawn(scenario, range(300))


@pytest.mark.parametrize("scenario", _named(MONITOR_CROWDS))
def test_random_ways_of_a_crowd(scenario: Scenario) -> None:
    """Three and more actors with up to four faults."""
    _check_drawn(scenario, range(300))


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", _named((*LONG, *MONITOR_GROUPS, *MONITOR_PAIRS_WITH_TWO_FAULTS)))
def test_every_way_with_faults_of_the_long_ones(scenario: Scenario) -> None:
    """As for the short ones."""
    _check(scenario)


@pytest.mark.full
@pytest.mark.parametrize("scenario", _named(MONITOR_CROWDS))
def test_many_random_ways_of_a_crowd(scenario: Scenario) -> None:
    """As above, longer."""
    _check_drawn(scenario, range(300, 10_000))
