"""Wait for an alias of a model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.hooks.model_library import ModelLibraryHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class ModelAliasSensor(BaseSensorOperator):
    """Wait until an alias names a version, or another version than one that is known. It reads only.

    It sees every move, also those made from a notebook or the command line, of which Airflow gets no asset event.

    :param model: the model's name (templated)
    :param alias: the alias (templated)
    :param other_than: a numbered reference that does not count, as in ``churn/3`` (templated); default: any version
    :param deferrable: wait in the triggerer (the default), else in the mode ``poke`` or ``reschedule``
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
        deferrable: bool = True,
        exia_conn_id: str = ModelLibraryHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.other_than = other_than
        self.deferrable = deferrable
        self.exia_conn_id = exia_conn_id

    @cached_property
    def hook(self) -> ModelLibraryHook:
        """The hook, which opens the library at its first use."""
        return ModelLibraryHook(self.exia_conn_id)

    def poke(self, context: Context) -> Any:  # noqa: ARG002 - the same for every context
        """Look once."""
        from airflow.sdk import PokeReturnValue

        reference = self._look()
        return PokeReturnValue(is_done=reference is not None, xcom_value=reference)

    def execute(self, context: Context) -> Any:
        """Wait, in the triggerer or here."""
        if not self.deferrable:
            return super().execute(context)
        reference = self._look()
        if reference is not None:
            return reference
        from airflow_provider_exia.triggers.model import ModelAliasTrigger

        self.defer(
            trigger=ModelAliasTrigger(
                exia_conn_id=self.exia_conn_id, condition=self._fields(), poll_seconds=self.poke_interval
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )
        raise AssertionError("defer() does not return")

    def execute_complete(self, context: Context, event: dict[str, str]) -> str:  # noqa: ARG002 - Airflow's signature
        """Go on after the trigger's event."""
        if event["status"] != "met":
            raise ExiaError(event["message"])
        self.log.info("%s of %s is now %s", self.alias, self.model, event["reference"])
        return event["reference"]

    def _look(self) -> str | None:
        from airflow_provider_exia.model_library.waiting import AliasCondition

        return AliasCondition(**self._fields()).met_by(self.hook.library)

    def _fields(self) -> dict[str, Any]:
        return {"model": self.model, "alias": self.alias, "other_than": self.other_than or None}
