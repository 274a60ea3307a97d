"""The entries of a monitor's journal: the newest one is the state, and all that a decision needs to remember."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.codec import STRICT, Moment
from airflow_provider_exia.storage.documents import Collection

MONITOR_JOURNAL = Collection(
    name="monitor_journal",
    fields={"model": str, "monitor": str, "sequence": int, "event_time": str},
    unique=(("model", "monitor", "sequence"),),
    indexes=(("model", "monitor", "event_time", "sequence"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One point that a decision rests on.

    :param event_time: of the point
    :param value: of the live version
    :param samples: labelled samples behind it
    :param previous: value of the version before, in a bake
    """

    event_time: Moment
    value: float
    samples: int = 0
    previous: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorEntry:
    """One step of a monitor.

    :param model: the model's name
    :param monitor: the monitor's name
    :param sequence: 1, 2, 3, ... without a hole
    :param state: where the monitor stands after this step
    :param episode: number of the newest episode; 0 before the first
    :param ticket: of the training run that accepted the episode
    :param watching: ``since`` of the alias's move that this state is about
    :param evidence: the points looked at, oldest first
    :param event_time: event time of the step
    :param at: wall time of the step
    :param state_since: wall time at which this state was entered
    :param action: what happened, in a word
    :param by: who did it
    :param reason: in words, with the numbers
    :param policy_digest: of the policy that decided
    :param episode_opened_at: event time at which the newest episode was opened
    :param last_action_at: event time of the last opening, for the cooldown
    :param bake_since: event time at which the bake began
    :param counts_from: points of an earlier event time are no evidence: the alias was moved or a person resumed there
    :param heard_at: event time of the newest usable point, or of the alias's move
    :param blind_since: event time since which there is no fresh point
    :param rejections: refusals and failures in a row
    :param recent_actions: event times of the openings within the budget's window
    :param revision: of the document
    """

    model: str
    monitor: str
    sequence: int
    state: MonitorState
    episode: int = 0
    ticket: str | None = None
    watching: int
    evidence: tuple[Evidence, ...] = ()
    event_time: Moment
    at: Moment
    state_since: Moment
    action: str
    by: str
    reason: str = ""
    policy_digest: str
    episode_opened_at: Moment | None = None
    last_action_at: Moment | None = None
    bake_since: Moment | None = None
    counts_from: Moment | None = None
    heard_at: Moment
    blind_since: Moment | None = None
    rejections: int = 0
    recent_actions: tuple[Moment, ...] = ()
    revision: int = 0

    __pydantic_config__ = STRICT

    @property
    def run_id(self) -> str:
        """The id of the training run of this episode: computed, so that it exists at most once."""
        return f"exia__{self.model}__{self.monitor}__{self.episode}"
