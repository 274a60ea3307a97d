"""Writes the few kinds of syntax that generated DAGs consist of, as ``ruff format`` would at line length 120."""

from __future__ import annotations

import ast
import itertools
import unicodedata
from collections.abc import Iterable, Sequence

from airflow_provider_exia.dag_compiler.exceptions import UnsafeCode

LINE_LENGTH = 120
_INDENT = "    "


def write_module(statements: Sequence[ast.stmt]) -> str:
    """Return the text of a module.

    :raises UnsafeCode: a kind of syntax that no generated DAG needs
    """
    return "\n".join(_body(statements, depth=0)) + "\n"


def write_text(value: str) -> str:
    """Return a literal in double quotes, or in single ones where that saves escapes; nothing unprintable stays."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    escaped = (f"\\{mark}" if mark == quote else mark if mark in "'\"" else repr(mark)[1:-1] for mark in value)
    return f"{quote}{''.join(escaped)}{quote}"


def _body(statements: Sequence[ast.stmt], depth: int) -> list[str]:
    lines: list[str] = []
    for before, statement in itertools.pairwise((None, *statements)):
        assert statement is not None  # noqa: S101 - pairwise begins with None on the left side only
        lines += [""] * (0 if before is None else _blank_lines(before, statement, depth))
        lines += _statement(statement, depth)
    return lines


def _blank_lines(before: ast.stmt, after: ast.stmt, depth: int) -> int:
    if isinstance(before, ast.FunctionDef) or isinstance(after, ast.FunctionDef):
        return 1 if depth else 2
    if isinstance(before, ast.ImportFrom) and isinstance(after, ast.ImportFrom):
        return int(_import_group(before) != _import_group(after))
    return int(depth == 0 and (_is_docstring(before) or isinstance(before, ast.ImportFrom)))


def _import_group(statement: ast.ImportFrom) -> int:
    root = str(statement.module).partition(".")[0]
    return {"__future__": 0, "datetime": 1, "airflow": 2}.get(root, 3)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _statement(statement: ast.stmt, depth: int) -> list[str]:
    indent = _INDENT * depth
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return [f'{indent}"""{text}"""']
        case ast.Expr(value=value):
            return _lines(value, depth)
        case ast.Raise(exc=ast.Call() as call, cause=None):
            return _lines(call, depth, prefix="raise ")
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return _lines(value, depth, prefix=f"{name} = ")
        case ast.ImportFrom(module=module, names=names, level=0):
            return _import(str(module), [name.name for name in names])
        case ast.FunctionDef(name=name, decorator_list=decorators, body=body):
            above = [line for decorator in decorators for line in _lines(decorator, depth, prefix="@")]
            return [*above, f"{indent}def {name}() -> None:", *_body(body, depth + 1)]
    raise UnsafeCode(f"a {type(statement).__name__} statement", line=statement.lineno)


def _import(module: str, names: Sequence[str]) -> list[str]:
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= LINE_LENGTH:
        return [flat]
    return [f"from {module} import (", *(f"{_INDENT}{name}," for name in names), ")"]


def _lines(node: ast.expr, depth: int, *, prefix: str = "", suffix: str = "") -> list[str]:
    """Write an expression in one line if it fits, else its outermost brackets around indented items."""
    indent = _INDENT * depth
    flat = f"{indent}{prefix}{_flat(node)}{suffix}"
    if _width(flat) <= LINE_LENGTH:
        return [flat]
    opening, items, closing = _parts(node)
    if not items:
        return [flat]
    first, last = f"{indent}{prefix}{opening}", f"{indent}{closing}{suffix}"
    if isinstance(node, ast.Call):
        together = f"{indent}{_INDENT}{', '.join(before + _flat(item) for before, item in items)}"
        if _width(together) <= LINE_LENGTH:
            return [first, together, last]
    inside = (_lines(item, depth + 1, prefix=before, suffix=",") for before, item in items)
    return [first, *itertools.chain.from_iterable(inside), last]


def _flat(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return write_text(text)
        case ast.Constant(value=value) if value is None or isinstance(value, bool | int | float):
            return repr(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as operand):
            return f"-{_flat(operand)}"
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_flat(value)}.{name}"
        case ast.Tuple(elts=[single]):
            return f"({_flat(single)},)"
    opening, items, closing = _parts(node)
    return f"{opening}{', '.join(before + _flat(item) for before, item in items)}{closing}"


def _parts(node: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str]:
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            named = [(f"{word.arg}=", word.value) for word in keywords]
            return f"{_flat(function)}(", [*_unnamed(arguments), *named], ")"
        case ast.List(elts=items):
            return "[", _unnamed(items), "]"
        case ast.Tuple(elts=items):
            return "(", _unnamed(items), ")"
        case ast.Dict(keys=keys, values=values):
            pairs = [(f"{_flat(key)}: ", value) for key, value in zip(keys, values, strict=True) if key is not None]
            return "{", pairs, "}"
        case ast.Constant() | ast.UnaryOp() | ast.Name() | ast.Attribute():
            return "", [], ""
    raise UnsafeCode(f"a {type(node).__name__} expression", line=node.lineno)


def _unnamed(items: Iterable[ast.expr]) -> list[tuple[str, ast.expr]]:
    return [("", item) for item in items]


def _width(text: str) -> int:
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)
