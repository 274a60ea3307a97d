"""What a person may ask of a monitor: retrain now, stop, resume. Each is an entry with who and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.monitoring.states import RETRAIN_NOW, MonitorState
from airflow_provider_exia.storage.documents import StoreRefused, StoreUnavailable, WriteConflict, WriteUnknown

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.journal import MonitorJournal

_MOST_STEPS = 50


class RequestRefused(ExiaError):
    """The monitor's state does not allow what a person asked for."""


def retrain_now(journal: MonitorJournal, *, by: str, reason: str) -> MonitorEntry:
    """Open an episode; the next evaluation triggers its training run.

    :raises RequestRefused: an episode is open, a promotion is being watched, or the monitor is halted
    :raises WriteUnknown: no answer: look at the monitor's history before asking again
    """

    def ask(newest: MonitorEntry) -> MonitorEntry:
        if newest.state not in RETRAIN_NOW:
            raise RequestRefused(
                f"{_name(journal)} is {newest.state}: a training run can be asked for in "
                f"{', '.join(sorted(RETRAIN_NOW))}; see 'exia monitor explain {journal.model}'"
            )
        return replace(
            newest,
            state=MonitorState.DEGRADED,
            episode=newest.episode + 1,
            ticket=None,
            action="retrain asked",
            episode_opened_at=newest.event_time,
            last_action_at=newest.event_time,
            recent_actions=(*newest.recent_actions, newest.event_time),
        )

    return _ask(journal, ask, by=by, reason=reason)


def stop(journal: MonitorJournal, *, by: str, reason: str) -> MonitorEntry:
    """Halt a monitor until a person resumes it; it goes on listening."""

    def ask(newest: MonitorEntry) -> MonitorEntry:
        if newest.state is MonitorState.HALTED:
            raise RequestRefused(
                f"{_name(journal)} is halted already: 'exia monitor resume {journal.model}' resumes it"
            )
        return replace(newest, state=MonitorState.HALTED, action="stopped")

    return _ask(journal, ask, by=by, reason=reason)


def resume(journal: MonitorJournal, *, by: str, reason: str) -> MonitorEntry:
    """Let a halted monitor go on: with the bake of the live version if none has concluded it, else healthy.

    Whether the bake's time is over is for the next evaluation, which knows the policy: it ends the bake as any other,
    on a paired point, or takes the promotion back.

    :raises RequestRefused: it is not halted
    """

    def ask(newest: MonitorEntry) -> MonitorEntry:
        if newest.state is not MonitorState.HALTED:
            raise RequestRefused(f"{_name(journal)} is {newest.state}, not halted: there is nothing to resume")
        baking = newest.bake_since is not None  # until the bake's end or a rollback
        return replace(
            newest,
            state=MonitorState.CANDIDATE if baking else MonitorState.HEALTHY,
            action="resumed",
            rejections=0,
            recent_actions=(),
            evidence=newest.evidence if baking else (),
            # The person has seen what there was: without a bake only what comes from here on counts.
            counts_from=newest.counts_from if baking else newest.event_time + timedelta.resolution,
        )

    return _ask(journal, ask, by=by, reason=reason)


def _ask(journal: MonitorJournal, ask: Callable[[MonitorEntry], MonitorEntry], *, by: str, reason: str) -> MonitorEntry:
    if not reason.strip():
        raise InvalidInput(f"{_name(journal)}: say why, the reason is kept in the journal")
    asked: MonitorEntry | None = None
    trouble: Exception | None = None
    for _ in range(_MOST_STEPS):
        try:
            newest = journal.newest()
            # Only a look *after* the newest was read can tell our own late write from somebody else's entry.
            if asked is not None and journal.is_written(asked):
                return replace(asked, revision=1)
            if newest is None:
                raise RequestRefused(f"{_name(journal)} has no entry yet: its first evaluation makes it")
            if asked is None or asked.sequence != newest.sequence + 1:
                asked = journal.prepare(newest, replace(ask(newest), reason=reason), by=by)
            return journal.write(asked)
        except (WriteConflict, WriteUnknown) as error:
            trouble = error
        except (StoreUnavailable, StoreRefused):
            if trouble is None:
                raise
            break  # these errors say that nothing was written, and an earlier try may have been
    raise WriteUnknown(f"{_name(journal)}: no answer that can be relied on; look at its history") from trouble


def _name(journal: MonitorJournal) -> str:
    return f"monitor {journal.monitor!r} of {journal.model!r}"
