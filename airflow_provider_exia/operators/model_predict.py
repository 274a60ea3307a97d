"""Predict with one verified version per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import Function, load_function
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.task_identity import run_scope

if TYPE_CHECKING:
    from airflow.sdk import Context

SERVED = "model_version"
"""Key of the XCom that says which version served."""


class ModelPredictOperator(ExiaOperator):
    """Load a model and hand it to a predicting function.

    All tasks of a DAG run that name the same reference use the same version, also when the alias moves meanwhile.
    Which version served is in the log and in the XCom ``model_version``.

    :param model: the reference, as in ``churn@champion`` (templated)
    :param predict: ``predict(model, data, ...)``, or ``"package.module:function"``
    :param data: path or URI of what to predict on; the function's second argument (templated)
    :param parameters: further keyword arguments of the function (templated)
    :returns: what the function returns: a path or URI, not the data itself
    :raises NotFound: the model, version or alias does not exist
    :raises DamagedFile: the stored file is not what was published
    """

    template_fields: Sequence[str] = ("model", "data", "parameters")

    def __init__(
        self,
        *,
        model: str,
        predict: Function | None = None,
        data: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.predict = predict
        self.data = data
        self.parameters = parameters

    def execute(self, context: Context) -> Any:
        """Load, predict, and record which version served."""
        version = self.library.resolve_pinned(self.model, scope=run_scope(context))
        model = self.library.load(version)
        self.log.info("%s serves as %s", version.reference, self.model)
        context["ti"].xcom_push(key=SERVED, value=version.reference)
        return self._call(model)

    def _call(self, model: Any) -> Any:
        if self.predict is None:
            raise InvalidInput(f"{type(self).__name__} of {self.model!r}: 'predict' is missing; give a function")
        return load_function(self.predict, purpose="predict")(model, self.data, **(self.parameters or {}))
