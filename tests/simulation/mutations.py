"""The guards of the protocol, each taken away once; the exploration must find what breaks.

Two are of other sections: what the loop may say at its deadline (1), and the time of an entry (4).

Not here yet: the number in the blob key. (The guard "restore needs newest is retire" also breaks without a collector,
by another run than the table's.)

Those about monitors are in ``monitor_mutations``; what the journal does with the ``expected`` that it is given is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow_provider_exia.model_library import aliases, collecting, journal, publishing
from airflow_provider_exia.model_library.exceptions import MoveRefused
from airflow_provider_exia.model_library.manifest import blob_key, publication_of
from airflow_provider_exia.model_library.records import VERSIONS, JournalEntry, State, Version
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.documents import Key, Query, WriteConflict, WriteUnknown

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

    def rules_for(self, scenario: Scenario, faults: int) -> Scenario:
        """Return the scenario on a store without the guard."""
        rules = replace(
            scenario.rules, faults=faults, unguarded=self.unguarded, compares_revisions=self.compares_revisions
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


def _publication_of_work(work: str, _digest: str) -> str:
    return publication_of(work, "")


def _largest_and_one(resources: Resources, wanted: Version) -> int:
    newest = Query(where={"model": wanted.model}, order="number", descending=True, limit=1)
    found = resources.documents.find(VERSIONS, newest)
    return found[0]["number"] + 1 if found else 1


_finish = publishing._finish


def _finish_without_reading_back(resources: Resources, pending: Version) -> Version:
    try:
        return _finish(resources, pending)
    except WriteUnknown:
        return replace(pending, state=State.READY)


def _finish_or_clean_up(resources: Resources, pending: Version) -> Version:
    try:
        return _finish(resources, pending)
    except WriteUnknown:
        for file in pending.files:
            resources.blobs.delete(blob_key(resources.prefix, pending, file.path))
        raise


class _ConflictsAreLost(Attempts):
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, WriteConflict):
            raise MoveRefused("another was faster") from error
        return super().__exit__(kind, error, trace)


class _ConflictsAreForgotten(Attempts):
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, WriteConflict) or super().__exit__(kind, error, trace)


def _own_before_newest(resources: Resources, model: str, token: str) -> tuple[JournalEntry | None, JournalEntry | None]:
    own = journal._entry_with_token(resources, model, token)
    return journal.newest_entry(resources, model), own


_append = journal.append


def append_refreshing(
    resources: Resources,
    model: str,
    decide: journal.Decide,
    signing: journal.Signing,
    *,
    alias: str | None = None,
    expected: int | None = None,
) -> JournalEntry:
    """Append, deciding after a lost race on what is there then."""
    looks = 0

    def decide_on_what_is_there(newest: JournalEntry | None, expected: int | None) -> journal.Change:
        nonlocal looks
        looks += 1
        return decide(newest, expected if looks == 1 else None)

    return _append(resources, model, decide_on_what_is_there, signing, alias=alias, expected=expected)


_entry = journal._entry


def _entry_by_own_clock(resources: Resources, *arguments: Any) -> JournalEntry:
    return replace(_entry(resources, *arguments), at=resources.clock.now())


def _swapped(stack: tuple[int, ...]) -> tuple[int, ...]:
    return (stack[1], stack[0], *stack[2:]) if len(stack) > 1 else ()


def do_nothing(*_arguments: object, **_named: object) -> None:
    """Stand where a check or a change stood."""


def _true(*_arguments: object) -> bool:
    return True


def _unchanged(_version: int, state: Any) -> Any:
    return dict(state)


_finish_collecting = collecting._finish


def _delete_then_finish(resources: Resources, version: Version) -> None:
    for file in version.files:
        resources.blobs.delete(blob_key(resources.prefix, version, file.path))
    _finish_collecting(resources, version)


def _is_garbage_at_any_number(number: int, version: Version) -> bool:
    return number < version.number or version.state in (State.ABANDONED, State.COLLECTED)


MUTATIONS = (
    Mutation(
        guard="unique (work, digest)",
        breaks="I3",
        scenario="publish x publish: task and zombie",
        unguarded=frozenset({("model", "publication")}),
    ),
    Mutation(  # that a document found is of the same files is a second belt for this one
        guard="digest part of the unique key",
        breaks="I1",
        scenario="publish x publish: same work, other bytes",
        module=publishing,
        name="publication_of",
        by=_publication_of_work,
        without="manifest_of",
    ),
    Mutation(  # the unique (model, number) is a second belt for this one, so it goes with it
        guard="number from the counter, not max+1",
        breaks="I3",
        scenario="publish x publish: other work, same bytes",
        module=publishing,
        name="_next_number",
        by=_largest_and_one,
        unguarded=frozenset({("model", "number")}),
    ),
    Mutation(
        guard="swap compares the revision",
        breaks="I4",
        scenario="publish x publish: both revive what was abandoned",
        compares_revisions=False,
    ),
    Mutation(
        guard="verify before READY",
        breaks="I1",
        scenario="publish x publish: a put is not kept",
        module=publishing,
        name="_is_stored",
        by=_true,
    ),
    Mutation(
        guard="read back after UNKNOWN",
        breaks="I4",
        scenario="publish x load: by number",
        module=publishing,
        name="_finish",
        by=_finish_without_reading_back,
    ),
    Mutation(
        guard="error handlers delete nothing",
        breaks="I1",
        scenario="publish x load: by number",
        module=publishing,
        name="_finish",
        by=_finish_or_clean_up,
    ),
    Mutation(
        guard="unique (model, sequence)",
        breaks="I2",
        scenario="promote x retire: of the previous version",
        unguarded=frozenset({("model", "sequence")}),
    ),
    Mutation(
        guard="token read back",
        breaks="I5",
        scenario="rollback x load",
        module=journal,
        name="_entry_with_token",
        by=do_nothing,
    ),
    Mutation(
        guard="CONFLICT means read again",
        breaks="I5",
        scenario="rollback x load",
        module=journal,
        name="Attempts",
        by=_ConflictsAreLost,
    ),
    Mutation(
        guard="CONFLICT may be with our own write: unknown at the deadline",
        breaks="I5",
        scenario="rollback alone, three faults",
        module=journal,
        name="Attempts",
        by=_ConflictsAreForgotten,
    ),
    Mutation(
        guard="token read after the newest entry",
        breaks="I5",
        scenario="retire x load: by number",
        module=journal,
        name="_newest_and_own",
        by=_own_before_newest,
    ),
    Mutation(
        guard="refusal only if the newest entry is still n",
        breaks="I5",
        scenario="retire x load: by number",
        module=journal,
        name="_is_still_newest",
        by=_true,
    ),
    Mutation(
        guard="an entry is never earlier than the one before",
        breaks="I5",
        scenario="rollback x retire: of the live version",
        module=journal,
        name="_entry",
        by=_entry_by_own_clock,
    ),
    Mutation(
        guard="expected = since",
        breaks="I5",
        scenario="promote x rollback: automatic",
        module=aliases,
        name="_check_unmoved",
        by=do_nothing,
    ),
    Mutation(
        guard="expected never refreshed by the loop",
        breaks="I5",
        scenario="promote x rollback: automatic",
        module=journal,
        name="append",
        by=append_refreshing,
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
        scenario="restore x restore: same version",
        module=aliases,
        name="_check_retired",
        by=do_nothing,
    ),
    Mutation(
        guard="swap compares the revision: of what a collector gave up",
        breaks="I1",
        scenario="publish x collect: given up and revived",
        compares_revisions=False,
    ),
    Mutation(
        guard="ABANDONED before delete",
        breaks="I1",
        scenario="publish x collect: given up and revived",
        module=collecting,
        name="_DEAD",
        by=(State.PENDING, State.ABANDONED, State.COLLECTED),
    ),
    Mutation(
        guard="COLLECTED before delete",
        breaks="I1",
        scenario="load x collect: by number",
        module=collecting,
        name="_finish",
        by=_delete_then_finish,
    ),
    Mutation(
        guard="keep blobs above the number read",
        breaks="I1",
        scenario="publish x collect: what was abandoned is revived",
        module=collecting,
        name="_is_garbage",
        by=_is_garbage_at_any_number,
    ),
    Mutation(
        guard='collect needs "newest is retire"',
        breaks="I6",
        scenario="restore x collect",
        module=aliases,
        name="check_collectable",
        by=do_nothing,
    ),
    Mutation(
        guard="collect entry before COLLECTED",
        breaks="I2",
        scenario="restore x collect x promote",
        module=collecting,
        name="_write_entry",
        by=do_nothing,
    ),
)
