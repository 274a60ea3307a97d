"""What the documentation names is there, and what is there is named."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

import airflow_provider_exia
from airflow_provider_exia import loop, testing
from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.cli.monitor import monitor
from airflow_provider_exia.get_provider_info import get_provider_info
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.names import parse_reference
from airflow_provider_exia.model_library.records import Action
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.operators.parameters_base import ParameterOperator
from airflow_provider_exia.operators.services_base import ServiceOperator
from tests.docs.reader import PAGES, ROOT

PACKAGE = Path(airflow_provider_exia.__file__).parent


def text_of(page: str) -> str:
    """Return a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """Return what stands between a heading and the next one."""
    _, found, after = f"\n{text_of(page)}".partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    return re.split(r"(?m)^#+ ", after)[0]


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    rows = [line.strip("|").split("|") for line in section(page, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def first_column(page: str, heading: str) -> list[str]:
    """Return the names in the first column of that table."""
    return [row[0].strip("`") for row in table(page, heading)]


SHARED = {ExiaOperator, ParameterOperator, ServiceOperator}
"""Their arguments stand once, in tables of their own."""


def operators() -> Iterator[type[Any]]:
    """Give every operator and sensor that Airflow is told of."""
    told = get_provider_info()
    for module in (*told["operators"][0]["python-modules"], *told["sensors"][0]["python-modules"]):
        for found in vars(importlib.import_module(module)).values():
            if inspect.isclass(found) and issubclass(found, BaseOperator) and found.__module__ == module:
                yield found


def arguments_of(operator: type[Any]) -> dict[str, str]:
    """Return an operator's arguments with their defaults, but those that all have: these have a table of their own."""
    found: dict[str, str] = {}
    for kind in operator.__mro__:
        own = vars(kind).get("__init__")
        if own is not None and kind.__module__.startswith("airflow_provider_exia.") and kind not in SHARED:
            found |= parameters_of(own)
    return found


def shown(default: object) -> str:
    """Return how a table shows a default."""
    return "required" if default is inspect.Parameter.empty else f"`{default!r}`"


def parameters_of(function: Any) -> dict[str, str]:
    """Return the named parameters of a function with their defaults as a table shows them."""
    named = [one for one in inspect.signature(function).parameters.values() if one.kind != one.VAR_KEYWORD]
    return {one.name: shown(one.default) for one in named if one.name != "self"}


def fields_of(kind: type[Any]) -> dict[str, str]:
    """Return the fields of a dataclass with their defaults as a table shows them."""
    found = {}
    for field in dataclasses.fields(kind):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found[field.name] = "required" if default is dataclasses.MISSING else shown(default)
    return found


@pytest.mark.parametrize("operator", list(operators()), ids=lambda operator: operator.__name__)
def test_the_arguments_of_an_operator_are_those_in_its_table(operator: type[Any]) -> None:
    rows = table("docs/operators.md", f"### {operator.__name__}")

    assert {row[0].strip("`"): row[1] for row in rows} == arguments_of(operator)
    own = set(operator.template_fields).difference(
        *(vars(kind).get("template_fields", ()) for kind in SHARED & set(operator.__mro__))
    )
    assert {row[0].strip("`") for row in rows if row[2]} == own
    assert f"`{operator.__module__}`" in section("docs/operators.md", f"### {operator.__name__}")


def test_every_decorator_has_its_section() -> None:
    headings = set(re.findall(r"(?m)^### `@task\.(\w+)`$", text_of("docs/operators.md")))

    assert headings == {decorator["name"] for decorator in get_provider_info()["task-decorators"]}


@pytest.mark.parametrize(
    ("conn_type", "page", "heading"),
    [
        ("exia", "docs/operators.md", "## The connection"),
        ("minio", "docs/operations.md", "### Files: `minio`, `aws`"),
    ],
)
def test_the_fields_of_a_connection_are_those_in_its_table(conn_type: str, page: str, heading: str) -> None:
    (connection,) = (one for one in get_provider_info()["connection-types"] if one["connection-type"] == conn_type)

    rows = table(page, heading)

    assert {row[0].strip("`"): row[1] for row in rows if row[0].startswith("`")} == {
        name: field["label"] for name, field in connection["conn-fields"].items()
    }


def test_what_authors_import_has_its_section() -> None:
    headings = set(re.findall(r"(?m)^### `(\w+)`$", text_of("docs/operators.md")))

    assert headings == set(loop.__all__)


@pytest.mark.parametrize("function", [loop.promote_if_better, loop.watch, loop.sweep], ids=lambda one: one.__name__)
def test_the_arguments_of_what_makes_task_groups_are_those_in_its_table(function: Any) -> None:
    rows = table("docs/operators.md", f"### `{function.__name__}`")

    assert {row[0].strip("`"): row[1] for row in rows} == parameters_of(function)


@pytest.mark.parametrize("kind", [loop.TrainingContext, loop.TrainedModel, loop.Scores, loop.Policy])
def test_the_fields_of_what_functions_get_and_give_are_those_in_the_table(kind: type[Any]) -> None:
    rows = table("docs/operators.md", f"### `{kind.__name__}`")

    assert {row[0].strip("`"): row[1] for row in rows} == fields_of(kind)


def test_every_check_for_authors_is_described() -> None:
    assert {name for name in testing.__all__ if f"`{name}" in text_of("docs/testing-your-functions.md")} == set(
        testing.__all__
    )


def test_every_call_of_the_library_is_in_the_table() -> None:
    calls = {name for kind in ModelLibrary.__mro__[:-1] for name in vars(kind) if not name.startswith("_")}
    cells = [row[0] for row in table("docs/model-library.md", "## The calls of the library")]

    assert sorted(name for cell in cells for name in re.findall(r"`(\w+)", cell)) == sorted(calls)


def test_every_action_of_the_journal_is_in_the_table() -> None:
    assert first_column("docs/model-library.md", "## The journal") == [action.value for action in Action]


def test_every_reference_in_the_table_is_one() -> None:
    for reference in first_column("docs/model-library.md", "## References"):
        assert parse_reference(reference).model == "rates"


def test_every_command_of_exia_is_named_in_the_readme() -> None:
    readme = text_of("README.md")

    assert {name for name in exia.commands if f"exia {name}" in readme or f"`{name}`" in readme} == set(exia.commands)
    assert {name for name in monitor.commands if f"exia monitor {name}" in readme or f"`{name}`" in readme} == set(
        monitor.commands
    )


def test_the_rooms_are_those_in_the_table() -> None:
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}

    assert set(first_column("docs/architecture.md", "## The rooms")) == there - {"__init__.py", "__pycache__"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_and_name_of_the_package_that_a_page_mentions_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text):
        assert (PACKAGE / path).is_file() or (ROOT / path).is_file(), f"{page.name}: no module {path}"
    for dotted in re.findall(r"`(airflow_provider_exia(?:\.\w+)+)`", text):
        module, _, name = dotted.rpartition(".")
        found = importlib.util.find_spec(dotted) if dotted.islower() else None
        assert found or hasattr(importlib.import_module(module), name), f"{page.name}: no {dotted}"


def test_a_status_of_the_2020_table_is_one_of_the_four_and_what_is_here_can_be_found() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))

    for call, answer, status in table("docs/from-2020.md", "# From the 2020 toolkit to here"):
        kind = re.split("[:;]", status)[0]
        assert kind in ("here", "part", "not yet", "gone"), f"{call}: {status!r}"
        if kind in ("here", "part"):
            for name in re.findall(r"`(?:ModelLibrary\.)?([A-Za-z_]+)(?:\(.*?\))?`", answer):
                assert re.search(rf"(def|class) {name}\b", source) or name == "name", f"{call}: no {name}"


def test_every_extra_and_each_library_of_it_has_its_reason() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    page = text_of("docs/dependencies.md")

    named = [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]
    for requirement in named:
        name = re.split(r"[\[<>=~! ]", requirement)[0]
        assert name == "airflow-provider-exia" or f"`{name}`" in page, (
            f"docs/dependencies.md gives no reason for {name}"
        )
