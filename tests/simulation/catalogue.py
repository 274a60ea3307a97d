"""All scenarios by name: those of the library and those of its monitors."""

from __future__ import annotations

from tests.simulation.copy_scenarios import COPIES
from tests.simulation.inline_scenarios import INLINE, INLINE_COLLECTIONS
from tests.simulation.monitor_scenarios import (
    MONITOR_ALONE,
    MONITOR_CROWDS,
    MONITOR_GROUPS,
    MONITOR_PAIRS,
    MONITOR_PAIRS_WITH_TWO_FAULTS,
)
from tests.simulation.operations import Publish, source_file
from tests.simulation.scenarios import (
    ALONE,
    COLLECT_GROUPS,
    COLLECTIONS,
    CROWDS,
    PAIRS,
    PAIRS_WITH_TWO_FAULTS,
)

IN_EVERY_ORDER = (
    *(*PAIRS, *PAIRS_WITH_TWO_FAULTS, *ALONE, *COLLECTIONS, *COLLECT_GROUPS),
    *(*INLINE, *INLINE_COLLECTIONS, *COPIES),
    *(*MONITOR_PAIRS, *MONITOR_PAIRS_WITH_TWO_FAULTS, *MONITOR_ALONE, *MONITOR_GROUPS),
)
AT_RANDOM = (*CROWDS, *MONITOR_CROWDS)
SCENARIOS = {scenario.name: scenario for scenario in (*IN_EVERY_ORDER, *AT_RANDOM)}


def prepare() -> None:
    """Make every past and file now, so that processes forked from this one share them and leave none behind."""
    for scenario in SCENARIOS.values():
        scenario.memory()
        for operation in scenario.operations:
            if isinstance(operation, Publish):
                source_file(operation.content)
            elif getattr(operation, "publishes", False):
                source_file(f"trained-{operation.number}")
