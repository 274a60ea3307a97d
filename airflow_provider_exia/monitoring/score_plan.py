"""Which versions a scoring task has to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_exia.monitoring.states import MonitorState

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.evaluation import AliasPosition


def versions_to_score(entry: MonitorEntry | None, position: AliasPosition) -> tuple[int, ...]:
    """Return the live version, and the one before it while a promotion is watched or about to be.

    :param entry: the monitor's newest entry
    :param position: where the alias stands
    """
    if not position.stack:
        return ()
    baking = entry is not None and (
        entry.state is MonitorState.CANDIDATE or (entry.watching != position.since and position.promoted)
    )
    return position.stack[:2] if baking else position.stack[:1]
