"""The guards of the protocol that are about monitors, each taken away once.

Where the protocol's table names three guards in one line ("each alone"), there are three here. Not in the table are the
last three: a second look at the alias, the unique key of a monitor's journal, a person's request after a lost answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.model_library import aliases, journal
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.monitoring import acceptance, evaluation
from airflow_provider_exia.monitoring.acceptance import RetrainRequest
from airflow_provider_exia.monitoring.evaluation import AliasPosition, Evaluation, Evaluator, Surroundings
from airflow_provider_exia.monitoring.journal import MonitorJournal
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.operators import model_train
from tests.simulation.journal_mutations import append_refreshing
from tests.simulation.mutations import Mutation, do_nothing

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry

_TWO_RUNS = "evaluate x evaluate x retrain run x retrain run x delete run: degraded"
_AUTOMATIC = "evaluate x promote: baking"

_accept = acceptance.accept


def _accept_any_ticket(journal: MonitorJournal, request: RetrainRequest, *, by: str) -> MonitorEntry:
    newest = journal.newest()
    if newest is not None and (newest.state, newest.episode) == (MonitorState.RETRAINING, request.episode):
        return newest
    return _accept(journal, request, by=by)


def _request_with_one_ticket(*, monitor: str, episode: int, ticket: str) -> RetrainRequest:  # taken away
    return RetrainRequest(monitor=monitor, episode=episode, ticket=f"ticket of {episode}")


_look_after_episode = Evaluator._look_after_episode


def _hand_on_only_what_it_opened(
    evaluator: Evaluator, entry: MonitorEntry, position: AliasPosition
) -> Evaluation | None:
    found = _look_after_episode(evaluator, entry, position)
    if found is None or found.open_work is None or entry.by == evaluator.by:
        return found
    return replace(found, open_work=None)


def _end_without_looking_again(evaluator: Evaluator, entry: MonitorEntry, position: AliasPosition) -> Evaluation | None:
    return _look_after_episode(
        replace(evaluator, surroundings=_Unmoved(evaluator.surroundings, position)), entry, position
    )


_follow = evaluation._follow


def _follow_as_a_promotion(entry: MonitorEntry, position: AliasPosition, *rest: Any) -> MonitorEntry:
    return _follow(entry, replace(position, promoted=True), *rest)


_step = Evaluator._step


@dataclass(frozen=True)
class _Unmoved:
    """Surroundings that hide every further move of the alias."""

    real: Surroundings
    stands: AliasPosition

    def position(self) -> AliasPosition:
        return self.stands

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _step_without_following(evaluator: Evaluator) -> Evaluation | None:
    entry = evaluator.journal.newest()
    if entry is None:
        return _step(evaluator)
    stands = replace(evaluator.surroundings.position(), since=entry.watching)
    return _step(replace(evaluator, surroundings=_Unmoved(evaluator.surroundings, stands)))


_rollback: Callable[..., Any] = ModelLibrary.rollback


def _rollback_of_whatever_is_live(library: ModelLibrary, model: str, *, expected: int | None, **rest: Any) -> Any:
    automatic = str(rest.get("token")).startswith("auto:")
    return _rollback(library, model, expected=None if automatic else expected, **rest)


def _false(*_arguments: object) -> bool:
    return False


MONITOR_MUTATIONS = (
    Mutation(
        guard="accept before training",
        breaks="I7",
        scenario=_TWO_RUNS,
        module=model_train,
        name="accept_episode",
        by=do_nothing,
    ),
    Mutation(
        guard="accept compares the ticket",
        breaks="I7",
        scenario=_TWO_RUNS,
        module=acceptance,
        name="accept",
        by=_accept_any_ticket,
    ),
    Mutation(
        guard="a new ticket for every trigger call",
        breaks="I7",
        scenario=_TWO_RUNS,
        module=acceptance,
        name="RetrainRequest",
        by=_request_with_one_ticket,
    ),
    Mutation(
        guard="evaluation triggers absent runs",
        breaks="I7",
        scenario="evaluate x evaluate: healthy",
        module=Evaluator,
        name="_look_after_episode",
        by=_hand_on_only_what_it_opened,
    ),
    Mutation(
        guard="evaluation ends dead runs",
        breaks="I7",
        scenario="evaluate x retrain run: triggered, killed for good",
        module=Evaluator,
        name="_ending",
        by=do_nothing,
    ),
    Mutation(
        guard="a rollback is not baked",
        breaks="I8",
        scenario="evaluate x evaluate: baking",
        module=evaluation,
        name="_follow",
        by=_follow_as_a_promotion,
    ),
    Mutation(
        guard="evaluation follows alias moves",
        breaks="I7",
        scenario="evaluate x promote: degraded",
        module=Evaluator,
        name="_step",
        by=_step_without_following,
    ),
    Mutation(
        guard="automatic rollback expects watching",
        breaks="I8",
        scenario=_AUTOMATIC,
        module=ModelLibrary,
        name="rollback",
        by=_rollback_of_whatever_is_live,
    ),
    Mutation(
        guard="expected = since, for an automatic rollback",
        breaks="I8",
        scenario=_AUTOMATIC,
        module=aliases,
        name="_check_unmoved",
        by=do_nothing,
    ),
    Mutation(
        guard="expected never refreshed by the loop, for an automatic rollback",
        breaks="I8",
        scenario=_AUTOMATIC,
        module=journal,
        name="append",
        by=append_refreshing,
    ),
    Mutation(
        guard="the alias is read again before an episode ends",
        breaks="I5",
        scenario="evaluate x retrain run: retraining",
        module=Evaluator,
        name="_look_after_episode",
        by=_end_without_looking_again,
    ),
    Mutation(
        guard="unique (model, monitor, sequence)",
        breaks="I5",
        scenario="retrain run x retrain run: triggered twice",
        unguarded=frozenset({("model", "monitor", "sequence")}),
    ),
    Mutation(
        guard="a person's request is looked for after a lost answer",
        breaks="I5",
        scenario="stop x stop: healthy",
        module=MonitorJournal,
        name="is_written",
        by=_false,
    ),
)
