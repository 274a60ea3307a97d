"""Who meets whom around versions whose bytes lie in their own document, where one write changes bytes and state."""

from __future__ import annotations

from functools import cache

from tests.simulation.operations import Collect, Load, Promote, Publish, Restore, Retire
from tests.simulation.scenarios import Scenario, collected_past, library_on
from tests.simulation.stores import Memory


@cache
def inline_past() -> Memory:
    """Return a past in which version 3 is an inline one and retired, and ``champion`` was moved to 1 and then to 2."""
    memory = Memory()
    library = library_on(memory)
    for number in range(1, 4):
        Publish(work=f"past {number}", content=f"bytes-{number}", inline=number == _RETIRED).run(library)
    for number in (1, 2):
        Promote(version=number, token=f"past promote {number}").run(library)
    Retire(version=_RETIRED, token="past retire").run(library)
    return memory


_RETIRED = 3
_NEW = Publish(work="w1", content="s1", inline=True)

INLINE = (
    Scenario(name="publish x publish: inline, task and zombie", operations=(_NEW, _NEW)),
    Scenario(name="publish x publish: inline, revived", operations=(_NEW, _NEW), abandoned=True),
    Scenario(
        name="publish x publish: inline, same work, other value",
        operations=(_NEW, Publish(work="w1", content="s2", inline=True)),
    ),
    Scenario(name="publish x publish: inline and as a file", operations=(_NEW, Publish(work="w1", content="s1"))),
    Scenario(name="publish x load: inline", operations=(_NEW, Load(reference="/5"))),
    Scenario(name="publish x promote: inline", operations=(_NEW, Promote(version=5, token="a"))),
)

INLINE_COLLECTIONS = (
    Scenario(name="publish x collect: inline, given up and revived", operations=(_NEW, Collect()), past=collected_past),
    Scenario(
        name="restore x collect: inline", operations=(Restore(version=_RETIRED, token="a"), Collect()), past=inline_past
    ),
    Scenario(name="load x collect: inline", operations=(Load(reference="/3"), Collect()), past=inline_past),
    Scenario(
        name="publish x collect: inline, of what was collected",
        operations=(Publish(work="past 3", content="bytes-3", inline=True), Collect()),
        past=inline_past,
    ),
)
