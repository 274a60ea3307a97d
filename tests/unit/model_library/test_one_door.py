"""No way past the one door: what can turn stored bytes into objects is called in one place only.

Other libraries guard one loader and forget the next. So this looks at the source of the whole package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import airflow_provider_exia

PACKAGE = Path(airflow_provider_exia.__file__).parent
FORMATS = "model_library/formats/"
DOOR = "model_library/loading.py"

READERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "skops", "onnx"} | {
    *("onnxruntime", "safetensors", "torch", "tensorflow", "keras", "xgboost", "lightgbm", "catboost", "h5py"),
}
"""Libraries that build objects out of a file of somebody else's."""

LOADERS = {
    DOOR: "the door",
    "model_library/formats/skops.py": "the call into skops itself, which gets a list of trusted types",
    "testing.py": "reads back a file that it has written itself, in a test of an author",
}
"""Modules that call a loader which is told what to trust, once each."""

IMPORT_BY_NAME = {
    "functions.py": "imports the function that a DAG's author or an operator's allow-list names",
    "model_library/formats/base.py": "imports the library of a format, by a name in the source",
}
"""Modules that import by a name which is a value, and what that name is. None of them reads it from a store."""


def sources() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((PACKAGE / source).read_text(encoding="utf-8")))


def imported(source: str) -> set[str]:
    """Every library that a module imports, by statement or by a name in quotes."""
    found: set[str] = set()
    for node in nodes(source):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and called(node).startswith("import_"):
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            found |= {str(text).partition(".")[0] for text in texts}
    return found


def called(node: ast.Call) -> str:
    """The last part of a call's name."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_the_search_finds_what_it_is_there_to_find() -> None:
    readers = set().union(*(imported(source) for source in sources() if source.startswith(FORMATS)))

    assert {"pickle", "joblib", "skops", "onnx", "safetensors"} <= readers
    assert DOOR in sources()
    assert len(sources()) > 100


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the package, with its module."""
    for source in sources():
        for node in nodes(source):
            if isinstance(node, ast.Call):
                yield source, node


def test_no_other_module_can_read_models() -> None:
    elsewhere = [source for source in sources() if not source.startswith(FORMATS)]

    assert {source: found for source in elsewhere if (found := imported(source) & READERS)} == {}


def test_only_the_door_calls_a_formats_loader() -> None:
    told = {"trust", "trusted", "trusted_types"}  # what every loader of a format must be given
    loads = [
        source for source, call in calls() if called(call) == "load" and told & {word.arg for word in call.keywords}
    ]

    assert sorted(loads) == sorted(LOADERS)


def test_no_module_reads_arrays_or_frames_that_may_hold_pickles() -> None:
    reads = [
        (source, call.lineno)
        for source, call in calls()
        if called(call) in {"read_pickle", "load_model", "Unpickler"}
        or (called(call) in {"load", "memmap"} and any(word.arg == "allow_pickle" for word in call.keywords))
    ]

    assert reads == []


def test_no_module_runs_text() -> None:
    runs = [
        (source, call.lineno)
        for source, call in calls()
        if isinstance(call.func, ast.Name) and call.func.id in {"eval", "exec", "compile", "__import__"}
    ]

    assert runs == []


def test_who_imports_by_a_name_that_is_a_value_is_known() -> None:
    by_name = {"import_module", "spec_from_file_location", "run_path", "run_module"}
    importers = {
        source
        for source, call in calls()
        if called(call) in by_name and not all(isinstance(argument, ast.Constant) for argument in call.args)
    }

    assert importers == set(IMPORT_BY_NAME)
