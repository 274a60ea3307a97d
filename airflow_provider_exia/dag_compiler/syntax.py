"""What generated code may consist of: an allow-list, held against the syntax tree of the finished text."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from airflow_provider_exia.dag_compiler.exceptions import UnsafeCode

IMPORTS = {
    "UTC": "datetime",
    "datetime": "datetime",
    "timedelta": "datetime",
    "dag": "airflow.sdk",
    "literal": "airflow.sdk",
    "build_each": "airflow_provider_exia.compiled.guard",
    "InvalidInput": "airflow_provider_exia.exceptions",
    "Policy": "airflow_provider_exia.loop",
    "promote_if_better": "airflow_provider_exia.loop",
    "watch": "airflow_provider_exia.loop",
    "ModelDataOperator": "airflow_provider_exia.operators.model_data",
    "ModelPredictOperator": "airflow_provider_exia.operators.model_predict",
    "ModelTrainOperator": "airflow_provider_exia.operators.model_train",
    "ParameterSnapshotOperator": "airflow_provider_exia.operators.parameters",
}
"""Every name that a compiled DAG may import, and its module."""

_FUTURE = ("__future__", "annotations")
_NODES = (
    ast.Module, ast.Expr, ast.Assign, ast.ImportFrom, ast.alias, ast.FunctionDef, ast.arguments, ast.Raise,
    ast.Call, ast.keyword, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.UnaryOp, ast.USub, ast.Name,
    ast.Attribute, ast.Load, ast.Store,
)  # fmt: skip

_AUTHOR_MODULES = ("__future__", "airflow", "airflow_provider_exia", "datetime", "pendulum", "typing")
_AUTHOR_FORBIDDEN_NODES = (
    ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await, ast.ClassDef, ast.Delete, ast.Global, ast.Nonlocal,
)  # fmt: skip
_DANGEROUS_NAMES = frozenset({
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "getattr", "globals", "input", "locals",
    "open", "quit", "setattr", "vars",
})  # fmt: skip
_DANGEROUS_MODULES = frozenset(
    {"builtins", "ctypes", "importlib", "os", "pickle", "runpy", "shutil", "socket", "subprocess", "sys"}
)


def parse_python(text: str) -> ast.Module:
    """Parse Python code.

    :raises UnsafeCode: it is none
    """
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise UnsafeCode(f"no Python code: {error.msg}", line=error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnsafeCode(f"no Python code: {error}") from error


def check_compiled(tree: ast.Module) -> None:
    """Hold a compiled DAG file against the list of what such a file needs.

    :raises UnsafeCode: it holds anything else
    """
    known = set(_assigned(tree)) | {name for _, name in _imported(tree)}
    for node in ast.walk(tree):
        problem = None if isinstance(node, _NODES) else f"a {type(node).__name__}"
        if problem is None:
            problem = _compiled_problem(node, known)
        if problem:
            raise UnsafeCode(f"{problem} has no place in a compiled DAG", line=getattr(node, "lineno", None))


def check_authored(tree: ast.Module, *, modules: Collection[str] = ()) -> None:
    """Hold a DAG file that came from an author's own template against the rules for those.

    It may import Airflow, this package, ``datetime``, ``pendulum``, ``typing`` and what ``modules`` adds, and may use
    nothing that runs text or reaches around the language.

    :param modules: further modules that it may import, with all that is below them
    :raises UnsafeCode: it does not keep to that
    """
    allowed = (*_AUTHOR_MODULES, *modules)
    for node in ast.walk(tree):
        problem = _authored_problem(node, allowed)
        if problem:
            raise UnsafeCode(problem, line=getattr(node, "lineno", None))


def imports_for(statements: Iterable[ast.stmt]) -> list[ast.ImportFrom]:
    """Return the sorted imports of every known name that the statements use."""
    used = {
        node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)
    } & IMPORTS.keys()
    modules = sorted(
        {IMPORTS[name] for name in used}, key=lambda module: (module.partition(".")[0] != "datetime", module)
    )
    by_module = {module: sorted((n for n in used if IMPORTS[n] == module), key=_import_order) for module in modules}
    return [_import(*_FUTURE), *(_import(module, *names) for module, names in by_module.items())]


def _import(module: str, *names: str) -> ast.ImportFrom:
    return ast.ImportFrom(module=module, names=[ast.alias(name=name) for name in names], level=0)


def _import_order(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), name[0].islower(), name  # as isort: constants, classes, the rest


def _imported(tree: ast.AST) -> Iterator[tuple[str | None, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module, alias.name


def _assigned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _compiled_problem(node: ast.AST, known: Collection[str]) -> str | None:
    match node:
        case ast.ImportFrom():
            return _import_problem(node)
        case ast.Name(ctx=ast.Load()):
            return None if node.id in known else f"the name {node.id!r}"
        case ast.Name(id=name) | ast.FunctionDef(name=name) if (
            name in IMPORTS or name in _DANGEROUS_NAMES or name.startswith("__")
        ):
            return f"a definition of {name!r}"
        case ast.FunctionDef():
            return _function_problem(node)
        case ast.Attribute():
            is_output = isinstance(node.value, ast.Name) and node.attr == "output"
            return None if is_output else f"the attribute {node.attr!r}"
    return _expression_problem(node)


def _import_problem(node: ast.ImportFrom) -> str | None:
    known = all((node.module, n.name) == _FUTURE or IMPORTS.get(n.name) == node.module for n in node.names)
    if known and not node.level and not any(name.asname for name in node.names):
        return None
    return f"the import of {', '.join(name.name for name in node.names)} from {node.module!r}"


def _expression_problem(node: ast.AST) -> str | None:
    match node:
        case ast.Call() if not isinstance(node.func, ast.Name):
            return "a call of what is no name"
        case ast.keyword(arg=None):
            return "a '**' argument"
        case ast.Dict() if None in node.keys:
            return "a '**' entry"
        case ast.UnaryOp(operand=operand):
            return None if isinstance(operand, ast.Constant) and type(operand.value) in (int, float) else "such a sign"
    return None


def _function_problem(node: ast.FunctionDef) -> str | None:
    if ast.unparse(node.args):
        return "a function with parameters"
    for decorator in node.decorator_list:
        if not (
            isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "dag"
        ):
            return "a decorator other than @dag(...)"
    return None


def _authored_problem(node: ast.AST, allowed: Collection[str]) -> str | None:
    if isinstance(node, _AUTHOR_FORBIDDEN_NODES):
        return f"a {type(node).__name__} has no place in a generated DAG"
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        # The imported name may be a module of its own: 'from airflow import os' must not pass for Airflow's.
        modules = ["." if node.level else str(node.module)]
        dangerous = _DANGEROUS_MODULES & {alias.name for alias in node.names}
        if dangerous:
            return f"it imports {sorted(dangerous)} from {node.module!r}"
    else:
        return _name_problem(node)
    for module in modules:
        if not any(module == name or module.startswith(f"{name}.") for name in allowed):
            return f"it imports {module!r}; allowed are {', '.join(allowed)}"
    return None


def _name_problem(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
            return f"it uses {name!r}" if name in _DANGEROUS_NAMES or name.startswith("__") else None
        case ast.Attribute(attr=name):
            dangerous = name.startswith("__") or name in _DANGEROUS_MODULES
            return f"it uses the attribute {name!r}" if dangerous else None
    return None
