"""What the monitor commands work on and what they say about it in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.journal import MonitorJournal


def find_journal(library: ModelLibrary, model: str, monitor: str | None) -> MonitorJournal:
    """Return the journal of a monitor; its name may be left out where the model has one monitor only.

    :raises InvalidInput: there is no such monitor, or a name is needed
    """
    from airflow_provider_exia.model_library.names import check_model_name
    from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores, monitors_of

    resources = library.resources
    names = monitors_of(resources.documents, check_model_name(model))
    if not names:
        raise InvalidInput(
            f"no monitor watches {model!r}: its first evaluation makes it; 'exia models' lists the models"
        )
    if monitor is None and len(names) > 1:
        raise InvalidInput(f"{model!r} has the monitors {', '.join(names)}: name one with --monitor")
    if monitor is not None and monitor not in names:
        raise InvalidInput(f"{model!r} has no monitor {monitor!r}: it has {', '.join(names)}")
    stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
    return MonitorJournal(stores, model, monitor or names[0])


def facts_of_entry(entry: MonitorEntry) -> dict[str, Any]:
    """Return the JSON of one entry of a monitor's journal."""
    from airflow_provider_exia.storage.codec import to_document

    document = to_document(entry)
    del document["revision"]  # the store's own bookkeeping
    return document
