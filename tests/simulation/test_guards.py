"""Every guard is needed: without it the exploration finds the violation that the protocol names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.__main__ import Row, last_line, main, replay_of
from tests.simulation.catalogue import SCENARIOS
from tests.simulation.explorer import again
from tests.simulation.hunting import MUTATIONS, hunt
from tests.simulation.scheduler import Fate

if TYPE_CHECKING:
    from tests.simulation.mutations import Mutation


@pytest.mark.parametrize("mutation", [pytest.param(mutation, id=mutation.guard) for mutation in MUTATIONS])
def test_a_missing_guard_is_found(mutation: Mutation) -> None:
    """The violation is of the invariant in the table."""
    report = hunt(mutation)
    assert report.findings, f"nothing breaks {mutation.breaks} in {report.schedules} runs"
    assert mutation.breaks in {violation.invariant for violation in report.findings[0].violations}


def test_a_finding_can_be_repeated() -> None:
    """The choices of a finding lead to the same violation, and its text names the command."""
    mutation = next(each for each in MUTATIONS if each.guard == "rollback pops")
    found = hunt(mutation).findings[0]
    scenario = SCENARIOS[mutation.scenario]
    with mutation.applied():
        repeated = again(scenario, found.choices)
    assert repeated is not None
    assert (repeated.violations, repeated.trace) == (found.violations, found.trace)
    assert f"--pair '{scenario.name}' --choices 0.0" in found.text(replay_of(scenario.name, found))


def test_a_finding_around_a_monitor_can_be_repeated() -> None:
    """Runs that wait for rows and evaluations that come after the end are repeated too."""
    mutation = next(each for each in MUTATIONS if each.guard == "a new ticket for every trigger call")
    found = hunt(mutation).findings[0]
    with mutation.applied():
        repeated = again(SCENARIOS[mutation.scenario], found.choices)
    assert repeated is not None
    assert (repeated.violations, repeated.trace) == (found.violations, found.trace)
    assert again(SCENARIOS[mutation.scenario], found.choices) is None  # with the guard


def test_every_fault_happens() -> None:
    """No kind of fault is left out of all scenarios."""
    fates = {fate for scenario in SCENARIOS.values() for fate in scenario.rules.fates}
    assert fates == set(Fate) - {Fate.REPLY, Fate.LAND}


def test_the_command_repeats_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    """By pair, seed or choices; a guard shows its run."""
    assert main(["--pair", "load x load"]) == 0
    assert main(["--pair", "load x load", "--seed", "7"]) == 0
    assert main(["--pair", "load x load", "--choices", "0.0.0.0.0.0.0.0"]) == 0
    assert main(["--guard", "rollback pops"]) == 0
    assert "I5: entry 4 has the aliases" in capsys.readouterr().out


def test_the_last_line_counts() -> None:
    """Violations are of the pairs; a guard is caught when its row has no finding."""
    rows = [Row("pair", 10, "", 0.1), Row("other", 5, "", 0.1, finding="I1: broken")]
    guards = [Row("guard", 2, "", 0.1), Row("missed", 3, "", 0.1, finding="not caught")]
    assert last_line(rows, guards) == "simulation: 20 schedules, 1 violations, 1/2 guards caught"
