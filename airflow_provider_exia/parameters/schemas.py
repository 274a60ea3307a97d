"""What parameters have to look like: a pydantic type or a JSON Schema for each prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from airflow_provider_exia.consul.keys import check_prefix
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.parameters.exceptions import SchemaBroken


@dataclass(frozen=True)
class Schemas:
    """Schemas by prefix; the longest prefix of a name counts.

    :param by_prefix: prefix to a type that pydantic knows (a model, ``dict[str, int]``, ...) or a JSON Schema; a name
        itself is a prefix too
    """

    by_prefix: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for prefix, schema in self.by_prefix.items():
            check_prefix(prefix)
            if isinstance(schema, Mapping):
                _check_json_schema(prefix, schema)

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that does not fit.

        :raises SchemaBroken: names the field
        """
        schema = self._schema_of(name)
        if schema is None:
            return
        problem = _json_problem(schema, value) if isinstance(schema, Mapping) else _type_problem(schema, value)
        if problem is not None:
            place, told = problem
            raise SchemaBroken(name=name, field=place, problem=told)

    def _schema_of(self, name: str) -> Any:
        segments = name.split("/")
        for length in range(len(segments), -1, -1):
            prefix = "/".join(segments[:length])
            for spelling in (prefix, f"{prefix}/"):
                if spelling in self.by_prefix:
                    return self.by_prefix[spelling]
        return None


def _type_problem(kind: Any, value: Any) -> tuple[str, str] | None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        return ".".join(str(part) for part in first["loc"]), first["msg"]
    return None


def _json_problem(schema: Mapping[str, Any], value: Any) -> tuple[str, str] | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    worst = best_match(Draft202012Validator(schema).iter_errors(value))
    return None if worst is None else (".".join(str(part) for part in worst.absolute_path), worst.message)


def _check_json_schema(prefix: str, schema: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"the schema of {prefix!r} is no JSON Schema: {error.message}") from error
