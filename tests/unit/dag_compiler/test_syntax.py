"""The allow-lists: what a compiled file may consist of, and what a file from an author's own template may use."""

from __future__ import annotations

import ast

import pytest

from airflow_provider_exia.dag_compiler.exceptions import UnsafeCode
from airflow_provider_exia.dag_compiler.layout import write_module
from airflow_provider_exia.dag_compiler.reading import parse_spec
from airflow_provider_exia.dag_compiler.syntax import check_authored, check_compiled, parse_python
from airflow_provider_exia.dag_compiler.units import file_of_error, file_of_many, file_of_one, make_unit, read_compiled
from tests.unit.dag_compiler.conftest import SPEC

UNIT = make_unit(parse_spec(SPEC, source="x"), "x.yaml")


@pytest.mark.parametrize("text", [file_of_one(UNIT), file_of_many([UNIT]), file_of_error("x.yaml", ["x.yaml: no"])])
def test_what_the_compiler_writes_it_recognises(text: str) -> None:
    found = read_compiled(text)

    assert found is not None
    assert "x.yaml" in found.specs.values()


@pytest.mark.parametrize(
    "more",
    [
        "import os",
        "from os import system",
        "from airflow.sdk import Variable",
        "from airflow.sdk import dag as watch",
        "print(1)",
        "flight_delay_train().test()",
        "x = [n for n in (1, 2)]",
        "x = lambda: 1",
        "x = f'{1}'",
        "x = 1 + 1",
        "x = POLICY.metric",
        "x = not 1",
        "Policy(**{})",
        "Policy(*[])",
        "dag = 1",
        "def dag() -> None: pass",
        "def __getattr__() -> None: pass",
        "def f(x) -> None: pass",
        "@staticmethod\ndef f() -> None: 1",
        "class X: pass",
        "if 1: pass",
        "del POLICY",
        "while 1: pass",
        "with POLICY: pass",
        "x: int = 1",
        "x = y = eval",
        "x = await_",
    ],
)
def test_anything_more_in_a_compiled_file_is_found(more: str) -> None:
    text = f"{file_of_one(UNIT)}\n{more}\n"

    with pytest.raises(UnsafeCode, match="no place in a compiled DAG"):
        check_compiled(parse_python(text))
    assert read_compiled(text) is None


@pytest.mark.parametrize("text", ["x = (", "x = '\x00'", "(" * 1000 + ")" * 1000])
def test_what_is_no_python_is_told(text: str) -> None:
    with pytest.raises(UnsafeCode, match="no Python code"):
        parse_python(text)


@pytest.mark.parametrize("text", ["for x in (): f()", "x = a if b else c", "try:\n    f()\nfinally:\n    g()"])
def test_the_layout_knows_only_what_compiled_files_need(text: str) -> None:
    with pytest.raises(UnsafeCode):
        write_module(ast.parse(text).body)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os", "imports 'os'"),
        ("import airflow, subprocess", "imports 'subprocess'"),
        ("from os import path", "imports 'os'"),
        ("from . import secrets", "imports '.'"),
        ("from airflowish import x", "imports 'airflowish'"),
        ("from airflow.models import os", r"imports \['os'\] from"),
        ("import airflow.models\nairflow.models.os.system('x')", "attribute 'os'"),
        ("eval('1')", "uses 'eval'"),
        ("x = exec", "uses 'exec'"),
        ("__builtins__", "uses '__builtins__'"),
        ("open('x')", "uses 'open'"),
        ("().__class__", "attribute '__class__'"),
        ("getattr(1, 'x')", "uses 'getattr'"),
        ("async def f(): pass", "AsyncFunctionDef"),
        ("class X: pass", "ClassDef"),
    ],
)
def test_what_no_dag_needs_is_refused_in_a_file_of_an_author(text: str, says: str) -> None:
    with pytest.raises(UnsafeCode, match=says):
        check_authored(parse_python(text))


def test_an_author_may_import_airflow_and_what_was_allowed() -> None:
    text = """\
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
import flights.delay

with DAG("x", schedule=None):
    for name in ["a", "b"]:
        BashOperator(task_id=name, bash_command=f"echo {name}")
"""
    check_authored(parse_python(text), modules=("flights",))
    with pytest.raises(UnsafeCode, match=r"imports 'flights\.delay'"):
        check_authored(parse_python(text))
