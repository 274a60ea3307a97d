"""What it is to take a guard of the protocol away; the guards are in one module for each room of the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow_provider_exia.storage.documents import Key

if TYPE_CHECKING:
    from tests.simulation.scenarios import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A guard, how to take it away, and what then breaks.

    :param guard: as the protocol names it
    :param breaks: the invariant
    :param scenario: name of the scenario in which that shows
    :param module: whose name is replaced
    :param name: the function or class that is replaced
    :param by: what stands there instead
    :param without: name of a function of the same module that does nothing then: a second belt for the guard
    :param unguarded: unique keys that the store does not enforce
    :param compares_revisions: False: the store does not look at the revision
    :param keys_hold_numbers: False: the number is no part of a blob's key
    """

    guard: str
    breaks: str
    scenario: str
    module: ModuleType | type | None = None
    name: str = ""
    by: Any = None
    without: str = ""
    unguarded: frozenset[Key] = frozenset()
    compares_revisions: bool = True
    keys_hold_numbers: bool = True

    def rules_for(self, scenario: Scenario, faults: int) -> Scenario:
        """Return the scenario on a store without the guard."""
        rules = replace(
            scenario.rules,
            faults=faults,
            unguarded=self.unguarded,
            compares_revisions=self.compares_revisions,
            keys_hold_numbers=self.keys_hold_numbers,
        )
        return replace(scenario, rules=rules)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Take the guard out of the library's code for a while."""
        with ExitStack() as stack:
            if self.module is not None:
                stack.enter_context(mock.patch.object(self.module, self.name, self.by))
            if self.module is not None and self.without:
                stack.enter_context(mock.patch.object(self.module, self.without, do_nothing))
            yield


def do_nothing(*_arguments: object, **_named: object) -> None:
    """Stand where a check or a change stood."""


def always(*_arguments: object) -> bool:
    """Stand where a check stood that says yes or no."""
    return True
