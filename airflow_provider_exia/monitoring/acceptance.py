"""The first act of a training run: accept the episode that asked for it. The accepted entry is the claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import ExiaError, InvalidInput, OutcomeUnknown
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.documents import StorageError, WriteConflict, WriteUnknown

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.journal import MonitorJournal

_MOST_STEPS = 50


class EpisodeTaken(ExiaError):
    """Another run has the episode, or it is over: this run must not train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRequest:
    """What a trigger tells the training run, in its ``conf``.

    :param monitor: the monitor's name
    :param episode: number of the episode
    :param ticket: new for every trigger
    """

    monitor: str
    episode: int
    ticket: str

    def as_conf(self) -> dict[str, Any]:
        """Return the ``conf`` of the training run."""
        return {"monitor": self.monitor, "episode": self.episode, "ticket": self.ticket}


def read_request(conf: Mapping[str, Any] | None) -> RetrainRequest | None:
    """Return the request in a run's ``conf``, or None for a run outside any episode.

    :raises InvalidInput: it names an episode and lacks a part of the request
    """
    if not conf or "episode" not in conf:
        return None
    try:
        return RetrainRequest(monitor=str(conf["monitor"]), episode=int(conf["episode"]), ticket=str(conf["ticket"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"the run's conf names an episode but is no request of a monitor ({error!r}): trigger the DAG without "
            "'episode' to train outside any episode"
        ) from error


def accept(journal: MonitorJournal, request: RetrainRequest, *, by: str) -> MonitorEntry:
    """Take an episode for this run, once; a retry with the same ticket finds its own entry.

    :returns: the accepted entry; its ``event_time`` is the run's ``as_of``
    :raises EpisodeTaken: another run has the episode, or it is over
    :raises OutcomeUnknown: the store stopped answering: accept again with the same ticket
    """
    last: StorageError | None = None
    for _ in range(_MOST_STEPS):
        newest = journal.newest()
        if newest is None or newest.episode != request.episode:
            raise _taken(journal, request, newest)
        if newest.state is MonitorState.RETRAINING and newest.ticket == request.ticket:
            return newest
        if newest.state is not MonitorState.DEGRADED:
            raise _taken(journal, request, newest)
        after = replace(
            newest,
            state=MonitorState.RETRAINING,
            ticket=request.ticket,
            action="accepted",
            reason=f"{by} trains for episode {request.episode}",
        )
        try:
            return journal.append(newest, after, by=by)
        except (WriteConflict, WriteUnknown) as error:
            last = error
    operation = f"accept episode {request.episode} of {journal.monitor}"
    raise OutcomeUnknown(operation=operation, token=request.ticket, reason=last) from last


def _taken(journal: MonitorJournal, request: RetrainRequest, newest: MonitorEntry | None) -> EpisodeTaken:
    stands = f"stands at episode {newest.episode}, {newest.state}" if newest else "has no entry"
    return EpisodeTaken(
        f"episode {request.episode} of monitor {journal.monitor!r} of {journal.model!r} is not open for this run: "
        f"the monitor {stands}"
    )
