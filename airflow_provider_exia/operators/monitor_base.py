"""What the operators of a monitor share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.monitor import MonitorHook
from airflow_provider_exia.operators.base import ExiaOperator

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.evaluation import AliasPosition
    from airflow_provider_exia.monitoring.journal import MonitorJournal


class MonitorOperator(ExiaOperator):
    """An operator that works on one monitor.

    :param model: the model's name (templated)
    :param monitor: the monitor's name (templated)
    :param alias: the alias whose version is watched
    """

    def __init__(self, *, model: str, monitor: str, alias: str = "champion", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.monitor = monitor
        self.alias = alias

    @cached_property
    def hook(self) -> MonitorHook:
        """The hook, which opens the library at its first use."""
        return self.make_hook(MonitorHook)

    @property
    def journal(self) -> MonitorJournal:
        """The monitor's journal."""
        return self.hook.journal(self.model, self.monitor)

    def position(self) -> AliasPosition:
        """Return where the alias stands, from one entry of the model's journal and the entry of its last move."""
        return position_of(self.library, self.model, self.alias)


def position_of(library: ModelLibrary, model: str, alias: str) -> AliasPosition:
    """Return where an alias stands, from one entry of the model's journal and the entry of its last move."""
    from airflow_provider_exia.monitoring.evaluation import AliasPosition

    stands = library.alias(model, alias)
    move = library.entry(model, stands.since) if stands.since else None
    return AliasPosition(
        since=stands.since,
        promoted=move is not None and move.action == "promote",
        stack=stands.stack,
        reason="" if move is None else move.reason,
    )
