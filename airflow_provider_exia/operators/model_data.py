"""Have the data of one run made where they can be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import Function, load_function
from airflow_provider_exia.operators.base import RETRY_POLICY
from airflow_provider_exia.task_identity import event_time

if TYPE_CHECKING:
    from airflow.sdk import Context


class ModelDataOperator(BaseOperator):
    """Call the author's ``extract(as_of)`` with the run's event time and hand on the path that it returns.

    :param extract: ``extract(as_of: datetime) -> path``, or ``"package.module:function"``
    :returns: the path or URI as text: data pass between tasks by reference
    :raises InvalidInput: there is no such function, or it returned something else
    """

    ui_color = "#e8f0e4"

    def __init__(self, *, extract: Function, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", RETRY_POLICY)
        super().__init__(**kwargs)
        self.extract = extract

    def execute(self, context: Context) -> str:
        """Call the function."""
        path = load_function(self.extract, purpose="extract")(event_time(context))
        if not isinstance(path, str | os.PathLike):
            raise InvalidInput(f"extract() returned {type(path).__name__}: write the data and return their path")
        return os.fspath(path)
