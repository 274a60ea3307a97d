"""Who meets whom around a copy into this library; the library it comes from is another one, which nobody disturbs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_exia.model_library.copying import copy_versions
from tests.simulation.operations import MODEL, Collect, Promote, Publish
from tests.simulation.scenarios import Scenario, collected_past, library_on
from tests.simulation.scheduler import Rules
from tests.simulation.stores import Memory

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_provider_exia.model_library.library import ModelLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Publish):
    """Copy a library that holds this one publication; returns the copy's number."""

    kind: ClassVar[str] = "copy"

    def run(self, library: ModelLibrary) -> Hashable:
        """Copy."""
        source = library_on(_source(Publish(work=self.work, content=self.content, inline=self.inline)))
        [copied] = copy_versions(source, library, MODEL)
        return copied.copy.number


@cache
def _source(publication: Publish) -> Memory:
    memory = Memory()
    publication.run(library_on(memory, caller="elsewhere"))
    return memory


_COPY = Copy(work="w1", content="s1")

COPIES = (
    # without faults: what a fault does to a copy is in the pairs with a publication
    Scenario(name="copy x copy: task and zombie", operations=(_COPY, _COPY), rules=Rules(faults=0)),
    Scenario(name="copy x publish: same work", operations=(_COPY, Publish(work="w1", content="s1"))),
    Scenario(
        name="copy x publish: inline, same work",
        operations=(Copy(work="w1", content="s1", inline=True), Publish(work="w1", content="s1", inline=True)),
    ),
    Scenario(name="copy x promote: of that version", operations=(_COPY, Promote(version=5, token="a"))),
    Scenario(name="copy x collect: given up and revived", operations=(_COPY, Collect()), past=collected_past),
)
