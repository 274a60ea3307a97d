"""Which file holds what: one file a pipeline while there are few, shards for a fleet, and what becomes of old files."""

from __future__ import annotations

import ast
import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_exia.dag_compiler.exceptions import OutputRefused, UnsafeCode, WrongSpec
from airflow_provider_exia.dag_compiler.syntax import parse_python
from airflow_provider_exia.dag_compiler.units import (
    CompiledFile,
    Unit,
    file_of_error,
    file_of_many,
    file_of_one,
    read_compiled,
)
from airflow_provider_exia.dag_compiler.writing import read_if_there

FEW = 10
"""Up to so many specs get a file each."""

SHARD_SIZE = 25
"""How many DAGs a file of a fleet holds, about."""

_FIRST_WORDS = '"""Made by exia compile'
_SHARD = re.compile(r"exia_fleet_[0-9]{4}\.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What an output folder holds.

    :param compiled: file name to what an earlier compilation put there
    :param by_others: names of files that were not made by the compiler
    :param foreign_dags: id of a DAG that seems to be defined by other code, or by a file that was changed by hand, to
        that file
    """

    compiled: Mapping[str, CompiledFile]
    by_others: frozenset[str]
    foreign_dags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a folder shall hold.

    :param files: file name to text
    :param units: file name to the pipelines in it; none for a file that only raises
    :param remove: names of files that go
    """

    files: dict[str, str] = field(default_factory=dict)
    units: dict[str, Sequence[Unit]] = field(default_factory=dict)
    remove: set[str] = field(default_factory=set)


def look_at(folder: Path) -> Folder:
    """Look at the Python files of a folder, without running any of them."""
    compiled: dict[str, CompiledFile] = {}
    by_others: set[str] = set()
    foreign: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        text = _text_of(path)
        ours = text.startswith(_FIRST_WORDS) and path.parent == folder
        found = read_compiled(text) if ours else None
        if found is not None:
            compiled[name] = found
        else:
            by_others |= set() if ours else {name}  # what is ours and was changed by hand may be compiled anew
            foreign |= dict.fromkeys(_dag_ids_in(text) if "dag" in text.lower() else (), name)
    return Folder(compiled=compiled, by_others=frozenset(by_others), foreign_dags=foreign)


def _text_of(path: Path) -> str:
    try:
        return (read_if_there(path) or b"").decode("utf-8", errors="replace")
    except OutputRefused:  # not ours to read; where it is ours to write, writing says so
        return ""


def make_plan(
    units: Sequence[Unit], wrong: Sequence[WrongSpec], folder: Folder, *, shard_size: int | None, prune: bool
) -> Plan:
    """Decide which files there shall be.

    :param units: of the specs that can be compiled
    :param wrong: of those that cannot: each gets a file that only raises, and its last good DAGs stay
    :param folder: what is there now
    :param shard_size: about how many DAGs a file holds; 0: one file for each pipeline; None: as many specs need
    :param prune: whether DAGs go whose spec was not given
    :raises OutputRefused: DAGs would be lost or defined twice
    """
    plan = Plan()
    wrong_sources = {_name(error.source) for error in wrong}
    everything = [*units, *_last_good(folder, wrong_sources, {unit.model for unit in units})]
    if _is_fleet(len(units) + len(wrong), shard_size):
        for name, shard in _shards(everything, shard_size or SHARD_SIZE).items():
            plan.units[name] = shard
            plan.files[name] = file_of_many(shard)
    else:
        for unit in everything:
            plan.units[f"{unit.model}.py"] = [unit]
            plan.files[f"{unit.model}.py"] = file_of_one(unit)
    for name, sentences in _by_file(wrong).items():
        plan.files[error_file_name(name)] = file_of_error(name, sentences)
    _settle_old_files(plan, folder, everything, wrong_sources, prune=prune)
    _refuse_duplicates(plan, folder)
    for name in plan.files.keys() & folder.by_others:
        raise OutputRefused(f"{name} is not by exia compile: move it away, or compile into another folder")
    return plan


def error_file_name(source: str) -> str:
    """Return the name of the file that stands for a spec that cannot be compiled.

    :param source: file name of the spec
    """
    readable = re.sub(r"[^a-z0-9_]+", "_", source.lower().removesuffix(".yaml").removesuffix(".yml"))[:60]
    return f"exia_error_{readable}_{hashlib.sha256(source.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}.py"


def _is_fleet(specs: int, shard_size: int | None) -> bool:
    return specs > FEW if shard_size is None else shard_size > 0


def _shards(units: Sequence[Unit], size: int) -> dict[str, list[Unit]]:
    """Spread pipelines over files so that a new one changes the file it comes to, and few others.

    Each pipeline goes to the shard that draws the highest number for it: with one shard more, only those move for which
    the new one draws highest.
    """
    count = max(1, math.ceil(sum(max(1, len(unit.dag_ids)) for unit in units) / size))
    shards: dict[str, list[Unit]] = {}
    for unit in units:
        number = max(range(count), key=lambda shard: _draw(unit.model, shard))
        shards.setdefault(f"exia_fleet_{number:04d}.py", []).append(unit)
    return dict(sorted(shards.items()))


def _draw(model: str, shard: int) -> bytes:
    return hashlib.blake2b(f"{model}/{shard}".encode(), digest_size=8).digest()


def _last_good(folder: Folder, wrong_sources: set[str], given: set[str]) -> list[Unit]:
    """Return the pipelines of shards whose specs were good once and are wrong now."""
    return [
        Unit(model, compiled.specs[model], function, _dag_ids_of(function))
        for name, compiled in folder.compiled.items()
        if _SHARD.fullmatch(name)
        for model, function in compiled.units.items()
        if compiled.specs[model] in wrong_sources and model not in given
    ]


def _dag_ids_of(function: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(node.name for node in function.body if isinstance(node, ast.FunctionDef))


def _settle_old_files(
    plan: Plan, folder: Folder, units: Sequence[Unit], wrong_sources: set[str], *, prune: bool
) -> None:
    """Remove what was compiled earlier and is elsewhere now; refuse to lose what nobody spoke of."""
    given, good_sources = {unit.model for unit in units}, {unit.source for unit in units} - wrong_sources
    for name, compiled in folder.compiled.items():
        if compiled.stands_for_error:
            if name not in plan.files and (prune or compiled.specs.get("") in good_sources):
                plan.remove.add(name)
            continue
        others = sorted(model for model in compiled.specs.keys() - given if compiled.specs[model] not in wrong_sources)
        touched = name in plan.files or compiled.specs.keys() & given
        if others and touched and not prune:
            specs = ", ".join(compiled.specs[model] for model in others)
            raise OutputRefused(
                f"{name} holds DAGs of {', '.join(others)} too, compiled from {specs}: "
                "give those specs as well, or say --prune to let these DAGs go"
            )
        if name not in plan.files and (touched or (prune and others)):
            plan.remove.add(name)


def _refuse_duplicates(plan: Plan, folder: Folder) -> None:
    for unit in itertools.chain.from_iterable(plan.units.values()):
        for dag_id in unit.dag_ids:
            file = folder.foreign_dags.get(dag_id)
            if file is not None and file not in plan.files:
                raise OutputRefused(
                    f"{file} defines a DAG {dag_id!r} already: rename that one, or the model {unit.model!r} of "
                    f"{unit.source}; if it was compiled and changed by hand since, remove it"
                )


def _by_file(wrong: Iterable[WrongSpec]) -> dict[str, list[str]]:
    sentences: dict[str, list[str]] = {}
    for error in wrong:
        name = _name(error.source)
        sentences.setdefault(name, []).extend(error.sentences(name))
    return sentences


def _name(source: str) -> str:
    return Path(source).name


def _dag_ids_in(text: str) -> list[str]:
    """Return what looks like the ids of DAGs in other people's code: named by @dag, dag_id= or DAG(...)."""
    try:
        tree = parse_python(text)
    except UnsafeCode:
        return []
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            decorators = [item for item in node.decorator_list if _called_name(item) == "dag"]
            found += [node.name for item in decorators if not _named_dags(item)]
        else:
            found += _named_dags(node)
    return found


def _named_dags(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Call) or _called_name(node) not in ("dag", "DAG"):
        return []
    named = [word.value for word in node.keywords if word.arg == "dag_id"]
    values = [item.value for item in (*node.args[:1], *named) if isinstance(item, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


def _called_name(node: ast.expr) -> str | None:
    target = node.func if isinstance(node, ast.Call) else node
    return target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else None
