"""What the operators of services share."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator, RetryPolicy

from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.operators.base import RETRY_POLICY


class ServiceOperator(BaseOperator):
    """An operator that works on services.

    :param consul_conn_id: a connection of the type ``consul``; what is registered belongs to its agent
    :param retry_policy: which errors are retried; default: those that another try can mend
    """

    ui_color = "#e4ecf4"

    def __init__(
        self,
        *,
        consul_conn_id: str = ConsulServiceHook.default_conn_name,
        retry_policy: RetryPolicy | None = RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)
        self.consul_conn_id = consul_conn_id

    @cached_property
    def hook(self) -> ConsulServiceHook:
        """The hook, which connects at its first use."""
        return ConsulServiceHook(self.consul_conn_id)
