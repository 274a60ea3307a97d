"""The guards of appending to a model's journal, each taken away once.

Two are of other sections than the table's: what the loop may say at its deadline (1), and the time of an entry (4).
What the journal does with the ``expected`` that it is given is here; who gives which is in ``monitor_mutations``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.model_library import journal
from airflow_provider_exia.model_library.exceptions import MoveRefused
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.documents import WriteConflict
from tests.simulation.mutations import Mutation, always, do_nothing

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import JournalEntry


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
    operation: journal.Operation,
    signing: journal.Signing,
    *,
    expected: int | None = None,
) -> JournalEntry:
    """Append, deciding after a lost race on what is there then."""
    looks = 0

    def decide_on_what_is_there(newest: JournalEntry | None, expected: int | None) -> journal.Change:
        nonlocal looks
        looks += 1
        return operation.decide(newest, expected if looks == 1 else None)

    refreshing = replace(operation, decide=decide_on_what_is_there)
    return _append(resources, model, refreshing, signing, expected=expected)


_entry = journal._entry


def _entry_by_own_clock(resources: Resources, *arguments: Any) -> JournalEntry:
    return replace(_entry(resources, *arguments), at=resources.clock.now())


JOURNAL_MUTATIONS = (
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
        by=always,
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
        guard="expected never refreshed by the loop",
        breaks="I5",
        scenario="promote x rollback: automatic",
        module=journal,
        name="append",
        by=append_refreshing,
    ),
)
