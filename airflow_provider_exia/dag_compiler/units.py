"""One spec becomes one unit of code; units become files that say what they were made from."""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader

from airflow_provider_exia.dag_compiler.exceptions import UnsafeCode
from airflow_provider_exia.dag_compiler.layout import write_module
from airflow_provider_exia.dag_compiler.rendering import python_environment, render
from airflow_provider_exia.dag_compiler.syntax import check_compiled, imports_for, parse_python

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from airflow_provider_exia.dag_compiler.spec import PipelineSpec

MADE_BY = "Made by exia compile: change the spec and compile again, not this file."
STANDS_FOR = "Made by exia compile in place of a DAG: mend the spec and compile again, then this file goes."

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Unit:
    """The code of one pipeline.

    :param model: the model's name
    :param source: file name of the spec
    :param dag_ids: of its DAGs; unknown where the unit was taken from an earlier file
    :param function: a function that builds the DAGs, as files of many pipelines hold them
    """

    model: str
    source: str
    function: ast.FunctionDef
    dag_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompiledFile:
    """What an earlier compilation left.

    :param specs: model to file name of its spec; for a file that only raises: an empty text to the file name
    :param units: model to its function; empty for a file of one pipeline
    :param stands_for_error: whether it only raises
    """

    specs: dict[str, str]
    units: dict[str, ast.FunctionDef]
    stands_for_error: bool


def builder_name(model: str) -> str:
    """Return the name of the function that builds a model's DAGs."""
    return f"{model}_dags"


def make_unit(spec: PipelineSpec, source: str) -> Unit:
    """Render a spec.

    :param source: file name of the spec
    :raises UnsafeCode: a template made something that is not allowed, which is a fault of this package
    """
    values = _values(spec)
    templates = ["policy.py.j2"] if spec.train or spec.monitor else []
    templates += ["train.py.j2"] if spec.train else []
    templates += ["infer.py.j2"] if spec.infer else []
    body = [node for template in templates for node in parse_python(render(_templates(), template, values)).body]
    calls = parse_python("\n".join(f"{dag_id}()" for dag_id in spec.dag_ids)).body
    function = ast.parse(f"def {builder_name(spec.model)}() -> None: pass").body[0]
    assert isinstance(function, ast.FunctionDef)  # noqa: S101 - of the line above
    function.body = [*body, *calls]
    return Unit(spec.model, source, function, tuple(spec.dag_ids))


def file_of_one(unit: Unit) -> str:
    """Return the text of a file for one pipeline, which reads as if written by hand."""
    return _file([unit], _renamed(unit.function.body, "policy", "POLICY"))


def file_of_many(units: Sequence[Unit]) -> str:
    """Return the text of a file for many pipelines, each built by a guarded function."""
    ordered = sorted(units, key=lambda unit: unit.model)
    names: list[ast.expr] = [ast.Name(id=builder_name(unit.model), ctx=ast.Load()) for unit in ordered]
    call = ast.Call(func=ast.Name(id="build_each", ctx=ast.Load()), args=names, keywords=[])
    return _file(ordered, [*(unit.function for unit in ordered), ast.Expr(value=call)])


def file_of_error(source: str, sentences: Sequence[str]) -> str:
    """Return the text of a file that only raises what is wrong with a spec.

    :param source: file name of the spec
    """
    error = ast.Call(
        func=ast.Name(id="InvalidInput", ctx=ast.Load()), args=[_literal("\n".join(sentences))], keywords=[]
    )
    body: list[ast.stmt] = [_assign("SPECS", {"": source}), ast.Raise(exc=error, cause=None)]
    return _checked([_docstring(STANDS_FOR), *imports_for(body), *body])


def read_compiled(text: str) -> CompiledFile | None:
    """Read a file that an earlier compilation may have made; None: it did not, or it was changed beyond recognition."""
    try:
        tree = parse_python(text)
        check_compiled(tree)
    except UnsafeCode:
        return None
    made_by = ast.get_docstring(tree, clean=False)
    specs = next(filter(None, (_assigned(node, "SPECS") for node in tree.body)), None)
    if made_by not in (MADE_BY, STANDS_FOR) or specs is None:
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    by_builder = {builder_name(model): model for model in ast.literal_eval(specs)}
    units = {by_builder[node.name]: node for node in functions if node.name in by_builder}
    return CompiledFile(ast.literal_eval(specs), units, made_by == STANDS_FOR)


@cache
def templates_digest() -> str:
    """Return the SHA-256 of all templates, in short: another one means that all DAGs may look different."""
    digest = hashlib.sha256()
    for name, text in sorted(_template_texts().items()):
        digest.update(f"{name}\0{text}\0".encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def _file(units: Sequence[Unit], body: Sequence[ast.stmt]) -> str:
    specs = {unit.model: unit.source for unit in units}
    facts = [_assign("SPECS", specs), _assign("TEMPLATES", templates_digest())]
    return _checked([_docstring(MADE_BY), *imports_for(body), *facts, *body])


def _checked(statements: list[ast.stmt]) -> str:
    text = write_module(statements)
    tree = parse_python(text)
    check_compiled(tree)
    if ast.dump(tree) != ast.dump(ast.Module(body=statements, type_ignores=[])):
        raise UnsafeCode("it does not read back as what was meant")
    return text


def _values(spec: PipelineSpec) -> dict[str, Any]:
    """Return what the templates may see: plain values only."""
    values = spec.model_dump()
    values |= {"train_dag_id": spec.train_dag_id, "infer_dag_id": spec.infer_dag_id}
    values |= {"policy": spec.policy(), "policy_name": "policy"}
    values["defaults"] = {
        name: _seconds(value) if name == "retry_delay" else value
        for name, value in values["defaults"].items()
        if value is not None
    }
    start = datetime.fromisoformat(spec.start_date) if spec.start_date else None
    parts = ("year", "month", "day", "hour", "minute")
    values["start_date"] = start and {part: getattr(start, part) for part in parts}
    values["tags"] = list(spec.tags)
    values["description"] = spec.score and spec.score.block and f"{spec.score.metric}, resampled by {spec.score.block}"
    return values


def _seconds(duration: str) -> float | int:
    seconds = float(duration[:-1]) * _SECONDS[duration[-1]]
    return int(seconds) if seconds.is_integer() else seconds


@cache
def _templates() -> ImmutableSandboxedEnvironment:
    return python_environment(DictLoader(_template_texts()))


@cache
def _template_texts() -> dict[str, str]:
    folder = resources.files("airflow_provider_exia") / "dag_templates"
    return {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".j2")}


def _renamed(statements: Sequence[ast.stmt], old: str, new: str) -> list[ast.stmt]:
    copies = ast.parse(write_module(statements)).body
    for node in itertools.chain.from_iterable(map(ast.walk, copies)):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
    return copies


def _docstring(text: str) -> ast.Expr:
    return ast.Expr(value=ast.Constant(value=text))


def _assign(name: str, value: object) -> ast.Assign:
    return ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=_literal(value), lineno=0)


def _literal(value: object) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body


def _assigned(node: ast.stmt, name: str) -> ast.expr | None:
    match node:
        case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
            return value
    return None
