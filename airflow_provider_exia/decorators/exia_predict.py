"""``@task.exia_predict``: the decorated function is given the model, verified, one version per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory

from airflow_provider_exia.decorators.first_parameter import original, refuse_arguments, without_first_parameter
from airflow_provider_exia.operators.model_predict import ModelPredictOperator

_NAME = "exia_predict"


class _PredictDecoratedOperator(DecoratedOperator, ModelPredictOperator):
    """Predict by the decorated function, whose first parameter is the model."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *ModelPredictOperator.template_fields)
    custom_operator_name = f"@task.{_NAME}"

    def _call(self, model: Any) -> Any:
        return original(self.python_callable)(model, *self.op_args, **self.op_kwargs)


def exia_predict_task(python_callable: Callable[..., Any] | None = None, **keywords: Any) -> TaskDecorator:
    """Make a task that predicts by the decorated function, whose first parameter is the loaded model.

    The task's value is what the function returns: a path or URI, not the data itself.

    :param keywords: arguments of :class:`~airflow_provider_exia.operators.model_predict.ModelPredictOperator`
        (``model``, ``exia_conn_id``, ``trusted_types``, ``allow_pickle``) and of any operator
    """
    refuse_arguments(keywords, ("predict", "data", "parameters"), decorator=_NAME)

    def decorate(function: Callable[..., Any]) -> TaskDecorator:
        return task_decorator_factory(
            python_callable=without_first_parameter(function, decorator=_NAME),
            multiple_outputs=False,
            decorated_operator_class=_PredictDecoratedOperator,
            **keywords,
        )

    return decorate(python_callable) if python_callable is not None else decorate  # type: ignore[return-value]  # with or without ()
