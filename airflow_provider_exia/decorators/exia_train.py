"""``@task.exia_train``: the decorated function trains; what it returns is published in the same task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from airflow_provider_exia.decorators.first_parameter import original, refuse_arguments, without_first_parameter
from airflow_provider_exia.operators.model_train import ModelTrainOperator

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.training import TrainingContext

_NAME = "exia_train"


class _TrainDecoratedOperator(DecoratedOperator, ModelTrainOperator):
    """Train by the decorated function, whose first parameter is the training context."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *ModelTrainOperator.template_fields)
    custom_operator_name = f"@task.{_NAME}"

    def _function(self) -> Callable[[TrainingContext], Any]:
        function = original(self.python_callable)

        @functools.wraps(function)
        def train(context: TrainingContext) -> Any:
            return function(context, *self.op_args, **self.op_kwargs)

        return train


def exia_train_task(python_callable: Callable[..., Any] | None = None, **keywords: Any) -> TaskDecorator:
    """Make a task that trains a model by the decorated function and publishes what it returns.

    The function's first parameter is a :class:`~airflow_provider_exia.loop.TrainingContext`; it returns a
    :class:`~airflow_provider_exia.loop.TrainedModel`. The task's value is the new version's reference.

    :param keywords: arguments of :class:`~airflow_provider_exia.operators.model_train.ModelTrainOperator` (``model``,
        ``format``, ``data``, ``as_of``, ``parameters``, ...) and of any operator
    """
    refuse_arguments(keywords, ("train",), decorator=_NAME)

    def decorate(function: Callable[..., Any]) -> TaskDecorator:
        return task_decorator_factory(
            python_callable=without_first_parameter(function, decorator=_NAME),
            multiple_outputs=False,
            decorated_operator_class=_TrainDecoratedOperator,
            **keywords,
        )

    return decorate(python_callable) if python_callable is not None else decorate  # type: ignore[return-value]  # with or without ()
