"""The guards of what each action may do to aliases and versions, each taken away once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_exia.model_library import aliases
from airflow_provider_exia.model_library.journal import Change, Operation
from airflow_provider_exia.model_library.records import Action, JournalEntry
from tests.simulation.mutations import Mutation, do_nothing

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources


def _swapped(stack: tuple[int, ...]) -> tuple[int, ...]:
    return (stack[1], stack[0], *stack[2:]) if len(stack) > 1 else ()


def _unchanged(_version: int, state: Any) -> Any:
    return dict(state)


def _restoration_of_anything(_resources: Resources, _model: str, version: int) -> Operation:
    def decide(newest: JournalEntry | None, expected: int | None) -> Change:  # no alias moves
        return Change(version=version, aliases=newest.aliases if newest else {})

    return Operation(action=Action.RESTORE, version=version, decide=decide)


ALIAS_MUTATIONS = (
    Mutation(
        guard="expected = since",
        breaks="I5",
        scenario="promote x rollback: automatic",
        module=aliases,
        name="_check_unmoved",
        by=do_nothing,
    ),
    Mutation(
        guard="promote reads the newest entry about v",
        breaks="I2",
        scenario="promote x restore: same version",
        module=aliases,
        name="check_in_use",
        by=do_nothing,
    ),
    Mutation(
        guard="promote reads the document",
        breaks="I2",
        scenario="publish x promote: of that version",
        module=aliases,
        name="check_ready",
        by=do_nothing,
    ),
    Mutation(  # the table's run (I2, an empty stack) ends at a second belt: a record has no empty stack
        guard="retire refuses a live version",
        breaks="I5",
        scenario="rollback x retire: of the live version",
        module=aliases,
        name="_check_not_live",
        by=do_nothing,
    ),
    Mutation(
        guard="retire takes v out of all stacks",
        breaks="I2",
        scenario="rollback x retire: of the previous version",
        module=aliases,
        name="_without",
        by=_unchanged,
    ),
    Mutation(
        guard="rollback pops",
        breaks="I5",
        scenario="rollback x rollback: by two people",
        module=aliases,
        name="_popped",
        by=_swapped,
    ),
    Mutation(
        guard='restore needs "newest is retire"',
        breaks="I5",
        scenario="restore x collect",
        module=aliases,
        name="restoration",
        by=_restoration_of_anything,
    ),
)
