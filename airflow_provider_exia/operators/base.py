"""What all operators of this package share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import BaseOperator, ExceptionRetryPolicy, RetryAction, RetryPolicy, RetryRule

from airflow_provider_exia.assets import MODEL_EVENTS
from airflow_provider_exia.consul.exceptions import ConsulOutcomeUnknown, ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError, OutcomeUnknown
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.storage.documents import StoreUnavailable, WriteUnknown

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

SomeHook = TypeVar("SomeHook", bound=ModelLibraryHook)

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[OutcomeUnknown, StoreUnavailable, WriteUnknown, ConsulUnavailable, ConsulOutcomeUnknown],
            action=RetryAction.RETRY,
            reason="the outcome is not known; the same work is found again by its work key",
        ),
        RetryRule(exception=ExiaError, action=RetryAction.FAIL, reason="a retry cannot mend this"),
    ]
)
"""How many retries there are is the task's ``retries``; errors of the author's own code follow it as usual."""


class ExiaOperator(BaseOperator):
    """An operator that works on the model library.

    :param exia_conn_id: a connection of the type ``exia``; where it does not exist the library lies below
        ``$AIRFLOW_HOME/exia``
    :param trusted_types: types that a model file may hold beyond its library's own list and the connection's
    :param allow_pickle: read pickle and joblib files too, which run code, where a configured key has signed the version
    :param retry_policy: which errors are retried; default: those after which it is not known what was done
    """

    ui_color = "#e8f0e4"
    announces: ClassVar[bool] = False
    """Whether its tasks can emit events of a model's asset."""

    def __init__(
        self,
        *,
        exia_conn_id: str = ModelLibraryHook.default_conn_name,
        trusted_types: Sequence[str] = (),
        allow_pickle: bool = False,
        retry_policy: RetryPolicy | None = RETRY_POLICY,  # Airflow reads the default here for mapped tasks
        **kwargs: Any,
    ) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)
        if self.announces:
            self.add_outlets([MODEL_EVENTS])
        self.exia_conn_id = exia_conn_id
        self.trusted_types = tuple(trusted_types)
        self.allow_pickle = allow_pickle

    @cached_property
    def hook(self) -> ModelLibraryHook:
        """The hook, which opens the library at its first use."""
        return self.make_hook(ModelLibraryHook)

    def make_hook(self, kind: type[SomeHook]) -> SomeHook:
        """Return a hook with this task's connection, and with what may be loaded here."""
        return kind(self.exia_conn_id, trusted_types=self.trusted_types, allow_pickle=self.allow_pickle)

    @property
    def library(self) -> ModelLibrary:
        """The model library."""
        return self.hook.library
