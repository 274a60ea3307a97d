"""The first act of a training run inside Airflow: accept the episode named in its ``conf``, or skip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.task_identity import by_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_exia.hooks.model_library import ModelLibraryHook
    from airflow_provider_exia.monitoring.acceptance import RetrainRequest
    from airflow_provider_exia.monitoring.entries import MonitorEntry


def request_of(context: Mapping[str, Any]) -> RetrainRequest | None:
    """Return the request that this run was triggered with, or None for a run outside any episode."""
    from airflow_provider_exia.monitoring.acceptance import read_request

    return read_request(context["dag_run"].conf)


def accept_episode(hook: ModelLibraryHook, model: str, context: Mapping[str, Any]) -> MonitorEntry | None:
    """Accept the run's episode; None for a run outside any episode.

    :raises AirflowSkipException: another run has the episode, or it is over
    """
    from airflow_provider_exia.monitoring.acceptance import EpisodeTaken, accept

    request = request_of(context)
    if request is None:
        return None
    monitors = hook if isinstance(hook, MonitorHook) else MonitorHook(hook.exia_conn_id)
    try:
        return accept(monitors.journal(model, request.monitor), request, by=by_of(context))
    except EpisodeTaken as taken:
        raise AirflowSkipException(str(taken)) from taken
