"""Who meets whom: every pair of operations, single operations with more faults, and crowds for random runs.

Every scenario begins with the same past, made by the library itself: versions 1 to 4 are READY, the alias
``champion`` was moved to 1 and then to 2, version 3 is retired, version 4 was never live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count

from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.records import VERSIONS
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.storage.documents import REVISION
from tests.simulation.operations import Collect, Load, Operation, Promote, Publish, Restore, Retire, Rollback
from tests.simulation.scheduler import USUAL_FAULTS, Fate, Rules, SimulatedClock
from tests.simulation.stores import Memory, SimulatedBlobs, SimulatedDocuments

LIVE_SINCE = 2
"""Sequence of the entry that made version 2 live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Actors on a past, and what may go wrong.

    :param name: the operations, then what is special
    :param operations: one actor for each
    :param rules: faults
    :param abandoned: a collector gave up the publication of the first operation before
    :param past: makes what was there before; default: the past of the library alone
    """

    name: str
    operations: Sequence[Operation]
    rules: Rules = Rules()
    abandoned: bool = False
    past: Callable[[], Memory] | None = None

    @property
    def pair(self) -> str:
        """The kinds of operation that meet."""
        return " x ".join(operation.kind for operation in self.operations)

    def memory(self) -> Memory:
        """Return the past, fresh."""
        memory = (self.past or library_past)().copy()
        if self.abandoned:
            _abandon(memory, self.operations[0])
        memory.unguarded, memory.keys_hold_numbers = self.rules.unguarded, self.rules.keys_hold_numbers
        return memory


@cache
def library_past() -> Memory:
    """Return the past of the library alone; to be copied."""
    memory = Memory()
    library = library_on(memory)
    for number in range(1, 5):
        Publish(work=f"past {number}", content=f"bytes-{number}").run(library)
    for move in (
        Promote(version=1, token="past promote 1"),
        Promote(version=2, token="past promote 2"),
        Retire(version=3, token="past retire 3"),
    ):
        move.run(library)
    return memory


@cache
def collected_past() -> Memory:
    """Return the past with nothing left for a collector: what was retired is collected; to be copied."""
    memory = library_past().copy()
    Collect().run(library_on(memory, clock=SimulatedClock(datetime(2024, 1, 5, tzinfo=UTC))))
    return memory


def library_on(memory: Memory, *, caller: str = "the past", clock: SimulatedClock | None = None) -> ModelLibrary:
    """Return a library over a memory that answers at once.

    :param caller: who uses it
    :param clock: its own; default: a while before the actors begin
    """
    clock = clock or SimulatedClock(datetime(2023, 12, 31, 23, 30, tzinfo=UTC))
    numbers = count(1)
    resources = Resources(
        documents=SimulatedDocuments(memory, caller=caller),
        blobs=SimulatedBlobs(memory, clock=clock),
        clock=clock,
        new_token=lambda: f"{caller} {next(numbers)}",
    )
    return ModelLibrary(resources, by=caller)


def _abandon(memory: Memory, operation: Operation) -> None:
    """Leave what a collector leaves of a publication that did not go on for days: its document, ABANDONED."""
    other = memory.copy()
    number = operation.run(library_on(other))
    document = next(version for version in other.stored(VERSIONS.name) if version["number"] == number)
    memory.counters = other.counters
    memory.insert(VERSIONS, {**document, "state": "ABANDONED", "ready_at": None, REVISION: 1})


_NEW = Publish(work="w1", content="s1")
_FORGETFUL = Rules(fates=(Fate.LATE, Fate.DEATH, Fate.FORGOTTEN))

PAIRS = (
    Scenario(name="publish x publish: task and zombie", operations=(_NEW, _NEW)),
    Scenario(name="publish x publish: same work, other bytes", operations=(_NEW, Publish(work="w1", content="s2"))),
    Scenario(name="publish x publish: other work, same bytes", operations=(_NEW, Publish(work="w2", content="s1"))),
    Scenario(name="publish x publish: both revive what was abandoned", operations=(_NEW, _NEW), abandoned=True),
    Scenario(name="publish x publish: a put is not kept", operations=(_NEW, _NEW), rules=_FORGETFUL),
    Scenario(name="publish x promote: of that version", operations=(_NEW, Promote(version=5, token="a"))),
    Scenario(name="publish x rollback", operations=(_NEW, Rollback(token="a"))),
    Scenario(name="publish x retire: of that version", operations=(_NEW, Retire(version=5, token="a"))),
    Scenario(name="publish x restore", operations=(_NEW, Restore(version=3, token="a"))),
    Scenario(name="publish x load: latest", operations=(_NEW, Load(reference="@latest"))),
    Scenario(name="publish x load: by number", operations=(_NEW, Load(reference="/5"))),
    Scenario(
        name="promote x promote: same expected",
        operations=(
            Promote(version=1, token="a", expected=LIVE_SINCE),
            Promote(version=4, token="b", expected=LIVE_SINCE),
        ),
    ),
    Scenario(
        name="promote x promote: none expected",
        operations=(Promote(version=1, token="a"), Promote(version=4, token="b")),
    ),
    Scenario(
        name="promote x promote: task and zombie",
        operations=(Promote(version=4, token="a"), Promote(version=4, token="a")),
    ),
    Scenario(
        name="promote x promote: two aliases",
        operations=(Promote(version=4, token="a"), Promote(version=4, token="b", alias="shadow", expected=0)),
    ),
    Scenario(
        name="promote x rollback: automatic",
        operations=(Promote(version=4, token="a"), Rollback(token="auto:2", expected=LIVE_SINCE)),
    ),
    Scenario(name="promote x rollback: by hand", operations=(Promote(version=4, token="a"), Rollback(token="b"))),
    Scenario(
        name="promote x retire: of the previous version",
        operations=(Promote(version=4, token="a"), Retire(version=1, token="b")),
    ),
    Scenario(
        name="promote x retire: same version", operations=(Promote(version=4, token="a"), Retire(version=4, token="b"))
    ),
    Scenario(
        name="promote x retire: of the live version",
        operations=(Promote(version=4, token="a"), Retire(version=2, token="b")),
    ),
    Scenario(
        name="promote x restore: same version",
        operations=(Promote(version=3, token="a"), Restore(version=3, token="b")),
    ),
    Scenario(name="promote x load", operations=(Promote(version=4, token="a"), Load(reference="@champion"))),
    Scenario(name="rollback x rollback: by two people", operations=(Rollback(token="a"), Rollback(token="b"))),
    Scenario(
        name="rollback x rollback: automatic and its zombie",
        operations=(
            Rollback(token="auto:2", expected=LIVE_SINCE),
            Rollback(token="auto:2", expected=LIVE_SINCE),
        ),
    ),
    Scenario(
        name="rollback x retire: of the previous version",
        operations=(Rollback(token="a"), Retire(version=1, token="b")),
    ),
    Scenario(
        name="rollback x retire: of the live version", operations=(Rollback(token="a"), Retire(version=2, token="b"))
    ),
    Scenario(name="rollback x restore", operations=(Rollback(token="a"), Restore(version=3, token="b"))),
    Scenario(name="rollback x load", operations=(Rollback(token="a"), Load(reference="@champion"))),
    Scenario(
        name="retire x retire: same version", operations=(Retire(version=4, token="a"), Retire(version=4, token="b"))
    ),
    Scenario(
        name="retire x retire: two versions", operations=(Retire(version=1, token="a"), Retire(version=4, token="b"))
    ),
    Scenario(
        name="retire x restore: same version", operations=(Retire(version=3, token="a"), Restore(version=3, token="b"))
    ),
    Scenario(name="retire x load: latest", operations=(Retire(version=4, token="a"), Load(reference="@latest"))),
    Scenario(name="retire x load: by number", operations=(Retire(version=1, token="a"), Load(reference="/1"))),
    Scenario(
        name="restore x restore: same version",
        operations=(Restore(version=3, token="a"), Restore(version=3, token="b")),
    ),
    Scenario(name="restore x load: by number", operations=(Restore(version=3, token="a"), Load(reference="/3"))),
    Scenario(name="load x load", operations=(Load(reference="@champion"), Load(reference="@latest"))),
)

_QUIET = frozenset({("find", "model_journal")})

COLLECTIONS = (
    Scenario(
        name="publish x collect: given up and revived",
        operations=(_NEW, Collect()),
        rules=Rules(steady=_QUIET),
        past=collected_past,
    ),
    Scenario(
        name="publish x collect: what was abandoned is revived",
        operations=(_NEW, Collect()),
        rules=Rules(steady=_QUIET),
        abandoned=True,
        past=collected_past,
    ),
    Scenario(name="restore x collect", operations=(Restore(version=3, token="a"), Collect())),
    Scenario(name="retire x collect", operations=(Retire(version=4, token="a"), Collect())),
    Scenario(name="load x collect: by number", operations=(Load(reference="/3"), Collect())),
    Scenario(name="load x collect: champion", operations=(Load(reference="@champion"), Collect())),
    Scenario(name="promote x collect", operations=(Promote(version=3, token="a"), Collect())),
    Scenario(name="rollback x collect", operations=(Rollback(token="a"), Collect())),
    Scenario(name="collect x collect", operations=(Collect(), Collect())),
)

COLLECT_GROUPS = tuple(
    Scenario(name=name, operations=operations, rules=Rules(faults=0))
    for name, operations in (
        (
            "restore x collect x promote",
            (Restore(version=3, token="a"), Collect(), Promote(version=3, token="b")),
        ),
        (
            "retire x collect x promote",
            (Retire(version=4, token="a"), Collect(), Promote(version=4, token="b")),
        ),
        (
            "publish x retire x collect",
            (_NEW, Retire(version=5, token="a"), Collect()),
        ),
        (
            "restore x collect x collect",
            (Restore(version=3, token="a"), Collect(), Collect()),
        ),
    )
)

PAIRS_WITH_TWO_FAULTS = tuple(
    replace(scenario, name=f"{scenario.name}, two faults", rules=Rules(faults=2))
    for scenario in PAIRS
    if scenario.pair != "publish x publish"  # four writes against four: longer than all the rest together
)

_ALL_FATES = (*USUAL_FAULTS, Fate.UNAVAILABLE, Fate.REFUSED, Fate.DEADLINE)
_THREE_FAULTS = Rules(faults=3, fates=_ALL_FATES)

ALONE = (
    Scenario(name="publish alone, three faults", operations=(_NEW,), rules=_THREE_FAULTS),
    Scenario(name="promote alone, three faults", operations=(Promote(version=4, token="a"),), rules=_THREE_FAULTS),
    Scenario(
        name="rollback alone, three faults",
        operations=(Rollback(token="auto:2", expected=LIVE_SINCE),),
        rules=_THREE_FAULTS,
    ),
    Scenario(name="retire alone, three faults", operations=(Retire(version=4, token="a"),), rules=_THREE_FAULTS),
    Scenario(name="restore alone, three faults", operations=(Restore(version=3, token="a"),), rules=_THREE_FAULTS),
)

_FOUR_FAULTS = Rules(faults=4, fates=(*_ALL_FATES, Fate.FORGOTTEN))

CROWDS = (
    Scenario(
        name="crowd: two collectors, a task and its zombie",
        operations=(_NEW, _NEW, Collect(), Collect(), Load(reference="@latest")),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: a version is published, retired, restored, promoted and collected",
        operations=(
            _NEW,
            Retire(version=5, token="a"),
            Restore(version=5, token="b"),
            Promote(version=5, token="c"),
            Collect(),
            Collect(),
        ),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: one task three times, and who wants its version",
        operations=(_NEW, _NEW, _NEW, Promote(version=5, token="a"), Load(reference="@latest")),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: three moves of one alias",
        operations=(
            Promote(version=1, token="a", expected=LIVE_SINCE),
            Promote(version=4, token="b"),
            Rollback(token="auto:2", expected=LIVE_SINCE),
        ),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: one version retired, restored, promoted",
        operations=(
            Restore(version=3, token="a"),
            Promote(version=3, token="b"),
            Retire(version=3, token="c"),
            Rollback(token="d"),
        ),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: one of each",
        operations=(
            _NEW,
            Promote(version=4, token="a"),
            Rollback(token="b"),
            Retire(version=1, token="c"),
            Restore(version=3, token="d"),
            Load(reference="@champion"),
        ),
        rules=_FOUR_FAULTS,
    ),
    Scenario(
        name="crowd: zombies of every move",
        operations=(
            Promote(version=4, token="a"),
            Promote(version=4, token="a"),
            Rollback(token="b"),
            Rollback(token="b"),
            Retire(version=1, token="c"),
            Retire(version=1, token="c"),
        ),
        rules=_FOUR_FAULTS,
    ),
)
