"""The hook of monitoring: points, journals and states in the document store of the model library."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_exia.hooks.model_library import ModelLibraryHook

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.journal import MonitorJournal
    from airflow_provider_exia.monitoring.points import PointLog


class MonitorHook(ModelLibraryHook):
    """Gives tasks the monitors of the models of a library; the arguments are those of :class:`ModelLibraryHook`."""

    @cached_property
    def points(self) -> PointLog:
        """The points of all monitors."""
        from airflow_provider_exia.monitoring.points import PointLog

        return PointLog(self.library.resources.documents)

    def journal(self, model: str, monitor: str) -> MonitorJournal:
        """Return the journal of one monitor."""
        from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores

        resources = self.library.resources
        stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
        return MonitorJournal(stores, model, monitor)

    def state(self, model: str, monitor: str) -> MonitorEntry | None:
        """Return the newest entry of a monitor, or None before its first evaluation."""
        return self.journal(model, monitor).newest()
