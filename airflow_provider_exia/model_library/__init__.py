"""Models, versions and aliases: publish, resolve, load, promote, roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary, open_library

__all__ = ["ModelLibrary", "open_library"]


def __getattr__(name: str) -> Any:
    # Imported at first use: parsing a DAG must not load a database library.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_provider_exia.model_library import library

    return getattr(library, name)
