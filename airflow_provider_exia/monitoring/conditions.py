"""What one can wait for: a state of a monitor, or a value of its metric. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.states import MonitorState

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.journal import MonitorJournal
    from airflow_provider_exia.monitoring.points import PointLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A state to be in, or a value to be reached.

    :param states: names of states, any of which will do
    :param at_least: the newest value of the metric is this or more
    :param at_most: the newest value of the metric is this or less
    :param metric: the metric; None: any of the monitor
    :raises InvalidInput: nothing or both kinds are given, or there is no such state
    """

    states: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        has_threshold = self.at_least is not None or self.at_most is not None
        if bool(self.states) == has_threshold:
            raise InvalidInput("give 'states', or a threshold by 'at_least' or 'at_most': one of the two kinds")
        unknown = sorted(set(self.states) - {state.value for state in MonitorState})
        if unknown:
            known = ", ".join(MonitorState)
            raise InvalidInput(f"{', '.join(unknown)} is no state of a monitor: expected any of {known}")


def meets(journal: MonitorJournal, points: PointLog, condition: Condition) -> str | None:
    """Return in words how the condition is met now, or None."""
    if condition.states:
        entry = journal.newest()
        if entry is None or entry.state not in condition.states:
            return None
        return f"{journal.model} {journal.monitor} is {entry.state} (episode {entry.episode}): {entry.reason}"
    return _value_meets(journal, points, condition)


def _value_meets(journal: MonitorJournal, points: PointLog, condition: Condition) -> str | None:
    measured = points.since(journal.model, journal.monitor, None)
    known = [point for point in measured if point.value is not None and condition.metric in (None, point.metric)]
    if not known:
        return None
    newest = max(known, key=lambda point: (point.event_time, point.version, point.samples))
    value = newest.value
    if value is None:
        return None
    above = condition.at_least is not None and value >= condition.at_least
    below = condition.at_most is not None and value <= condition.at_most
    if not above and not below:
        return None
    limit = f"at least {condition.at_least:g}" if above else f"at most {condition.at_most:g}"
    return f"{newest.metric} of {journal.model} is {value:g} at {newest.event_time.isoformat()}: {limit}"
