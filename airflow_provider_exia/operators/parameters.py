"""Operators on the parameters in Consul: write, read, and fix a set of them for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.operators.parameters_base import ParameterOperator
from airflow_provider_exia.task_identity import by_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class ParameterWriteOperator(ParameterOperator):
    """Set parameters by one transaction: all or none.

    :param values: name to JSON value (templated)
    :param expected: name to the index on which was decided (templated); a name that is left out: whatever it is
    :param reason: kept in the history (templated)
    :returns: name to the index after the write
    :raises ParameterChanged: a parameter is at another index than expected
    :raises SchemaBroken: a value does not fit the schema of its prefix
    """

    template_fields: Sequence[str] = ("values", "expected", "reason", *ParameterOperator.template_fields)

    def __init__(
        self,
        *,
        values: Mapping[str, Any],
        expected: Mapping[str, int] | None = None,
        reason: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.values = values
        self.expected = expected
        self.reason = reason

    def execute(self, context: Context) -> dict[str, int]:
        """Write."""
        if not isinstance(self.values, Mapping) or not self.values:
            raise InvalidInput(f"ParameterWriteOperator: values is {self.values!r}, expected names and JSON values")
        written = self.hook.put_many(self.values, by=by_of(context), reason=self.reason, expected=self.expected)
        for item in written.values():
            self.log.info("%s in %s is now at revision %d", item.name, item.environment, item.revision)
        return {name: item.index for name, item in written.items()}


class ParameterReadOperator(ParameterOperator):
    """Hand on one parameter, or all below a prefix. References to secrets stay references.

    :param name: the parameter (templated); or a prefix
    :param prefix: hand on all below it, by name relative to it (templated)
    :returns: the value, or name to value
    :raises UnknownParameter: there is no such parameter
    """

    template_fields: Sequence[str] = ("name", "prefix", *ParameterOperator.template_fields)

    def __init__(self, *, name: str | None = None, prefix: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.prefix = prefix

    def execute(self, context: Context) -> Any:
        """Read."""
        if bool(self.name) == bool(self.prefix):
            raise InvalidInput("ParameterReadOperator: give 'name' for one parameter, or 'prefix' for all below it")
        if self.name:
            return self.hook.parameter(self.name).value
        below = f"{str(self.prefix).removesuffix('/')}/"
        return {name.removeprefix(below): item.value for name, item in self.hook.store.find(str(self.prefix)).items()}


class ParameterSnapshotOperator(ParameterOperator):
    """Fix the parameters below a prefix for a run: hand on the exact values, with revisions and a digest.

    A retry of a later task, also after the parameters were changed, works with the same values. Give it to
    :class:`~airflow_provider_exia.operators.model_train.ModelTrainOperator` as ``snapshot``.

    :param prefix: below which the parameters lie (templated)
    :param needed: names relative to it that have to be there
    :returns: the snapshot as JSON values
    :raises UnknownParameter: one of them is not there, or there is none at all
    """

    template_fields: Sequence[str] = ("prefix", *ParameterOperator.template_fields)

    def __init__(self, *, prefix: str, needed: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix
        self.needed = needed

    def execute(self, context: Context) -> dict[str, Any]:
        """Take the snapshot."""
        snapshot = self.hook.snapshot(self.prefix, needed=self.needed)
        self.log.info("%d parameters below %s, digest %s", len(snapshot.values), self.prefix, snapshot.digest[:12])
        return snapshot.as_document()
