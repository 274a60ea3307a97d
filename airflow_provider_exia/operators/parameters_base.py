"""What the operators of parameters share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator, RetryPolicy

from airflow_provider_exia.hooks.consul import ConsulParamHook
from airflow_provider_exia.operators.base import RETRY_POLICY


class ParameterOperator(BaseOperator):
    """An operator that works on parameters.

    :param environment: where writes go and reads look first (templated); default: the connection's
    :param inherits: where reads look next; default: the connection's
    :param schemas: a pydantic type or JSON Schema for each prefix
    :param consul_conn_id: a connection of the type ``consul``
    :param retry_policy: which errors are retried; default: those that another try can mend
    """

    ui_color = "#f4e4ee"
    template_fields: Sequence[str] = ("environment",)

    def __init__(
        self,
        *,
        environment: str | None = None,
        inherits: Sequence[str] | None = None,
        schemas: Mapping[str, Any] | None = None,
        consul_conn_id: str = ConsulParamHook.default_conn_name,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.environment = environment
        self.inherits = inherits
        self.schemas = schemas
        self.consul_conn_id = consul_conn_id

    @cached_property
    def hook(self) -> ConsulParamHook:
        """The hook, which connects at its first use."""
        return ConsulParamHook(
            self.consul_conn_id, environment=self.environment, inherits=self.inherits, schemas=self.schemas
        )
