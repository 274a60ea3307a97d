"""Wait for an alias of a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.sensors.looking import LookingSensor

if TYPE_CHECKING:
    from airflow_provider_exia.triggers.model import ModelAliasTrigger


class ModelAliasSensor(LookingSensor):
    """Wait until an alias names a version, or another version than one that is known. It reads only.

    It sees every move, also those made from a notebook or the command line, of which Airflow gets no asset event.

    :param model: the model's name (templated)
    :param alias: the alias (templated)
    :param other_than: a numbered reference that does not count, as in ``churn/3`` (templated); default: any version
    :param exia_conn_id: a connection of the type ``exia``
    :returns: the version that the alias names, as in ``churn/4``
    :raises InvalidInput: a name cannot be one, or ``other_than`` is no version of the model
    """

    template_fields: Sequence[str] = ("model", "alias", "other_than")

    def __init__(
        self,
        *,
        model: str,
        alias: str = "champion",
        other_than: str | None = None,
        exia_conn_id: str = ModelLibraryHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.other_than = other_than
        self.exia_conn_id = exia_conn_id

    @cached_property
    def trigger(self) -> ModelAliasTrigger:
        """What looks, here and in the triggerer."""
        from airflow_provider_exia.triggers.model import ModelAliasTrigger

        return ModelAliasTrigger(
            exia_conn_id=self.exia_conn_id,
            condition={"model": self.model, "alias": self.alias, "other_than": self.other_than or None},
            poll_seconds=self.poke_interval,
        )
