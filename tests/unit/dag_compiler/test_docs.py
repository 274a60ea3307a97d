"""The table of fields in the documentation is the spec's own; run this file to print it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.dag_compiler.reading import _section_of
from airflow_provider_exia.dag_compiler.spec import PipelineSpec, Section

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = Path(__file__).parents[3] / "docs" / "dag-compiler.md"


def table() -> str:
    rows = ["| field | expected | default |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {expected} | {default} |" for name, expected, default in fields())])


def fields(section: type[Section] = PipelineSpec, before: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        inner = _section_of(field.annotation)
        if inner is not None:
            yield from fields(inner, f"{name}.")
        else:
            yield f"{before}{name}", str(field.description), default(field)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value: Any = field.default
    value = list(value) if isinstance(value, tuple) else value
    return "" if value is None else f"`{value}`"


def test_the_table_of_fields_is_that_of_the_spec() -> None:
    assert table() in PAGE.read_text()


if __name__ == "__main__":
    print(table())
