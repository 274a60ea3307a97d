"""A model as an Airflow asset, so that a DAG can be scheduled by what happens to it.

An event is a hint to wake up, never the work item: Airflow may merge, delay or repeat events. Who is woken asks the
library what is true now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.model_library.names import check_alias, check_model_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_exia.model_library.records import JournalEntry, Version

MODEL_EVENTS = AssetAlias("exia-model", group="exia")
"""The outlet of every task that can publish a version or move an alias; its events name the asset they are about."""


def model_asset(
    model: str, *, alias: str | None = None, exia_conn_id: str = ModelLibraryHook.default_conn_name
) -> Asset:
    """Return the asset of a model, as in ``@dag(schedule=model_asset("churn"))``.

    :param model: the model's name
    :param alias: only the moves of this alias; default: every publication and every move
    :param exia_conn_id: the connection through which the tasks publish
    :raises InvalidInput: the name of the model or alias cannot be one
    """
    path = check_model_name(model) if alias is None else f"{check_model_name(model)}@{check_alias(alias)}"
    return Asset(uri=f"exia-model://{quote(exia_conn_id, safe='')}/{path}", group="exia")


def announce_version(context: Mapping[str, Any], exia_conn_id: str, version: Version) -> None:
    """Let Airflow know that a version is published, once this task has succeeded.

    :param context: of a task with :data:`MODEL_EVENTS` among its outlets
    """
    events = context["outlet_events"][MODEL_EVENTS]
    events.add(
        model_asset(version.model, exia_conn_id=exia_conn_id),
        extra={
            "action": "publish",
            "reference": version.reference,
            "version": version.number,
            "digest": version.digest,
        },
    )


def announce_move(context: Mapping[str, Any], exia_conn_id: str, entry: JournalEntry, version: Version) -> None:
    """Let Airflow know that an alias moved, once this task has succeeded.

    :param context: of a task with :data:`MODEL_EVENTS` among its outlets
    :param entry: the move
    :param version: what the alias names after it
    """
    events = context["outlet_events"][MODEL_EVENTS]
    extra = {
        "action": str(entry.action),
        "reference": version.reference,
        "version": version.number,
        "digest": version.digest,
        "alias": entry.alias,
        "since": entry.sequence,
        "by": entry.by,
        "reason": entry.reason,
    }
    for alias in (None, entry.alias):
        events.add(model_asset(entry.model, alias=alias, exia_conn_id=exia_conn_id), extra=extra)
