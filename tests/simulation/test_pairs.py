"""No interleaving of two operations, with a fault at any write, breaks an invariant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest

from tests.simulation.copy_scenarios import COPIES
from tests.simulation.explorer import Report, at_random, explore
from tests.simulation.inline_scenarios import INLINE, INLINE_COLLECTIONS, inline_past
from tests.simulation.invariants import content_violations, step_violations, view_of
from tests.simulation.operations import Load, Promote, Publish, Restore, Retire, Rollback
from tests.simulation.scenarios import (
    ALONE,
    COLLECT_GROUPS,
    COLLECTIONS,
    CROWDS,
    PAIRS,
    PAIRS_WITH_TWO_FAULTS,
    Scenario,
)
from tests.simulation.scheduler import Rules

KINDS = [operation.kind for operation in (Publish, Promote, Rollback, Retire, Restore, Load)]
LONG = [scenario for scenario in (*PAIRS, *ALONE) if set(scenario.pair.split(" x ")) == {"publish"}]
"""Together more than a minute."""
LONG_GROUPS = [scenario for scenario in COLLECT_GROUPS if "promote" not in scenario.pair]
"""Half a minute each, without any fault."""
SHORT_GROUPS = [scenario for scenario in COLLECT_GROUPS if scenario not in LONG_GROUPS]
SHORT = [scenario for scenario in (*PAIRS, *ALONE) if scenario not in LONG]


def _named(scenarios: Iterable[Scenario]) -> list[object]:
    return [pytest.param(scenario, id=scenario.name) for scenario in scenarios]


def _check(scenario: Scenario) -> Report:
    report = explore(scenario)
    for finding in report.findings:
        choices = ".".join(map(str, finding.choices))
        pytest.fail(finding.text(f"python -m tests.simulation --pair '{scenario.name}' --choices {choices}"))
    return report


def _actors_done(report: Report) -> set[int]:
    return {actor for kinds in report.endings for actor, kind in enumerate(kinds) if kind == "done"}


def test_every_pair_is_there() -> None:
    """None of the 21 pairs is forgotten."""
    wanted = {" x ".join(pair) for pair in combinations_with_replacement(KINDS, 2)}
    assert {scenario.pair for scenario in PAIRS} == wanted


@pytest.mark.parametrize("scenario", _named(SHORT))
def test_every_way_with_faults(scenario: Scenario) -> None:
    """Everything holds, and each operation comes to its end in some run, so the check is not empty."""
    report = _check(scenario)
    assert _actors_done(report) == set(range(len(scenario.operations)))


@pytest.mark.parametrize("scenario", _named((*LONG, *INLINE, *COPIES)))
def test_every_way_without_faults(scenario: Scenario) -> None:
    """The long ones, first undisturbed, then a sample of what may go wrong."""
    _check(replace(scenario, rules=Rules(faults=0)))
    _check_drawn(scenario, range(150))


@pytest.mark.parametrize("scenario", _named((*COLLECTIONS, *INLINE_COLLECTIONS, *SHORT_GROUPS)))
def test_a_collector_meets_others_in_every_way_without_faults(scenario: Scenario) -> None:
    """Its own deletes are requests like others; with faults a sample, the rest in the long run."""
    _check(replace(scenario, rules=replace(scenario.rules, faults=0)))
    _check_drawn(scenario, range(150))


@pytest.mark.parametrize("scenario", _named(LONG_GROUPS))
def test_random_ways_of_a_collector_among_others(scenario: Scenario) -> None:
    """A sample of the orders, and of what a fault does in them."""
    _check_drawn(replace(scenario, rules=Rules()), range(150))


@pytest.mark.full
@pytest.mark.parametrize("scenario", _named(LONG_GROUPS))
def test_a_collector_meets_two_others_in_every_way_without_faults(scenario: Scenario) -> None:
    """As for the short ones."""
    _check(scenario)


def test_a_damaged_inline_text_is_seen() -> None:
    """The rule about bytes looks into the document, and a text may only leave it with the files."""
    memory = inline_past().copy()
    start = view_of(memory)
    version = next(each for each in start.versions if "inline" in each)
    for inline in ({"model.json": "{}"}, {}):
        damaged = {**version, "inline": inline}
        after = replace(start, versions=[each if each != version else damaged for each in start.versions])
        assert {violation.invariant for violation in content_violations(after, start)} == {"I1"}
        assert {violation.invariant for violation in step_violations(start, after)} == {"I4"}


@pytest.mark.full
@pytest.mark.parametrize("scenario", _named((*COLLECTIONS, *INLINE_COLLECTIONS)))
def test_a_collector_meets_others_in_every_way_with_a_fault(scenario: Scenario) -> None:
    """As above, with a lost reply, a late delete or a death anywhere."""
    _check(scenario)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", _named((*LONG, *INLINE, *COPIES, *PAIRS_WITH_TWO_FAULTS)))
def test_every_way_with_faults_of_the_long_ones(scenario: Scenario) -> None:
    """As for the short ones."""
    report = _check(scenario)
    assert _actors_done(report) == set(range(len(scenario.operations)))


@pytest.mark.parametrize("scenario", _named(CROWDS))
def test_random_ways_of_a_crowd(scenario: Scenario) -> None:
    """Three and more actors with up to four faults."""
    _check_drawn(scenario, range(300))


@pytest.mark.full
@pytest.mark.parametrize("scenario", _named(CROWDS))
def test_many_random_ways_of_a_crowd(scenario: Scenario) -> None:
    """As above, longer."""
    _check_drawn(scenario, range(300, 10_000))


def _check_drawn(scenario: Scenario, seeds: range) -> None:
    for seed in seeds:
        if finding := at_random(scenario, seed):
            pytest.fail(finding.text(f"python -m tests.simulation --pair '{scenario.name}' --seed {seed}"))
