"""Whatever values a spec holds, they come out as literals that read back equal, and never as code."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader

from airflow_provider_exia.dag_compiler.exceptions import TemplateFailed
from airflow_provider_exia.dag_compiler.layout import write_text
from airflow_provider_exia.dag_compiler.reading import parse_spec
from airflow_provider_exia.dag_compiler.rendering import python_environment, python_literal, render, text_environment
from airflow_provider_exia.dag_compiler.spec import PipelineSpec, Train
from airflow_provider_exia.dag_compiler.units import file_of_many, file_of_one, make_unit
from tests.unit.dag_compiler.conftest import SPEC

NASTY = [
    "'",
    '"',
    "\\",
    "\n",
    "\r",
    "{{",
    "}}",
    "{%",
    "{#",
    "#}",
    '"""',
    "'''",
    "#",
    "\t",
    "\x00",
    "\u202e",
    "\ud800",
    "é",
    "界",
    ")",
    "%",
]
TEXTS = st.one_of(
    st.text(st.characters(), max_size=30),
    st.lists(st.sampled_from([*NASTY, "import os", "a", " "]), max_size=12).map("".join),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=12,
)


def with_parameters(parameters: dict[str, Any]) -> PipelineSpec:
    spec = parse_spec(SPEC, source="x.yaml")
    assert spec.train is not None
    train = Train(**(spec.train.given() | {"parameters": parameters}))
    return spec.model_copy(update={"train": train})


def parameters_in(text: str) -> Any:
    """Return the value of ``parameters=``, also inside ``literal(...)``; an empty mapping where there is none."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg == "parameters":
            value = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            return ast.literal_eval(value)
    return {}


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_500_parameter_sets_come_out_as_literals_that_equal_them(parameters: dict[str, Any]) -> None:
    unit = make_unit(with_parameters(parameters), "x.yaml")

    for text in (file_of_one(unit), file_of_many([unit])):
        found = parameters_in(text)
        assert found == parameters
        assert repr(found) == repr(parameters)  # True is no 1, 0.0 no -0.0
        text.encode()  # may be written in UTF-8, lone surrogates and all


@given(VALUES)
def test_what_airflow_would_render_is_kept_from_it(value: Any) -> None:
    text = file_of_one(make_unit(with_parameters({"value": value}), "x.yaml"))

    templated = any(mark in found for found in texts_in(value) for mark in ("{{", "{%", "{#"))
    assert ("parameters=literal(" in text) == templated


def texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in (*value.keys(), *value.values()) for text in texts_in(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=200)
@given(TEXTS)
def test_a_text_is_written_on_one_line_in_the_quotes_that_need_fewer_escapes(text: str) -> None:
    written = write_text(text)

    assert ast.literal_eval(written) == text
    assert written.isprintable()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": {1}}, b"x", object(), 1j, type, str.upper])
def test_what_has_no_literal_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"literal|no text"):
        python_literal(value)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ x.__class__ }}", "access to attribute '__class__' of 'str' object is unsafe|is undefined"),
        ("{{ x.__class__.__mro__ }}", "unsafe"),
        ("{{ [].append(1) }}", "unsafe"),
        ("{{ x | name }}", "cannot be a name in Python code"),
        ("{{ 'class' | name }}", "cannot be a name in Python code"),
        ("{{ range }}", "has no literal"),
        ("{% if %}", "line 1"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% include 'other' %}", "other"),
    ],
)
def test_a_template_gets_out_nothing_but_literals_and_names(template: str, says: str) -> None:
    environment = python_environment(DictLoader({"t": template}))

    with pytest.raises(TemplateFailed, match=says):
        render(environment, "t", {"x": "a b"})


def test_a_template_of_other_text_writes_values_as_they_read() -> None:
    environment = text_environment(DictLoader({"t": "name: {{ name }} {{ count }}\n"}))

    assert render(environment, "t", {"name": "O'Neil", "count": 3}) == "name: O'Neil 3\n"
    with pytest.raises(TemplateFailed, match="has no literal"):
        render(environment, "t", {"name": object(), "count": 3})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text("abcdefgh_'\"\\ ", min_size=1, max_size=30),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(-10, 10) | st.text("abc'\"{ \\", max_size=60),
            lambda children: st.lists(children, max_size=6) | st.dictionaries(st.text("ab", max_size=9), children),
            max_leaves=15,
        ),
        max_size=6,
    )
)
def test_the_code_is_laid_out_as_ruff_would(tmp_path: Path, parameters: dict[str, Any]) -> None:
    unit = make_unit(with_parameters(parameters), "x.yaml")
    for name, text in (("one.py", file_of_one(unit)), ("many.py", file_of_many([unit]))):
        (tmp_path / name).write_text(text)

    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff is not None
    done = subprocess.run(
        [ruff, "format", "--isolated", "--no-cache", "--line-length=120", "--diff", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
