"""All guards, and the hunt for what breaks when one of them is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.alias_mutations import ALIAS_MUTATIONS
from tests.simulation.catalogue import SCENARIOS
from tests.simulation.collecting_mutations import COLLECTING_MUTATIONS
from tests.simulation.explorer import Report, explore
from tests.simulation.journal_mutations import JOURNAL_MUTATIONS
from tests.simulation.monitor_mutations import MONITOR_MUTATIONS
from tests.simulation.publishing_mutations import PUBLISHING_MUTATIONS

if TYPE_CHECKING:
    from tests.simulation.invariants import Violation
    from tests.simulation.mutations import Mutation

MUTATIONS = (
    *(*PUBLISHING_MUTATIONS, *JOURNAL_MUTATIONS, *ALIAS_MUTATIONS, *COLLECTING_MUTATIONS),
    *MONITOR_MUTATIONS,
)


def hunt(mutation: Mutation) -> Report:
    """Take the guard away and look for a run that breaks the invariant, first without faults, then with more."""
    scenario = SCENARIOS[mutation.scenario]

    def breaks_it(violations: Sequence[Violation]) -> bool:
        return any(violation.invariant == mutation.breaks for violation in violations)

    with mutation.applied():
        for faults in range(scenario.rules.faults + 1):
            report = explore(mutation.rules_for(scenario, faults), wanted=breaks_it)
            if report.findings:
                break
    return report
