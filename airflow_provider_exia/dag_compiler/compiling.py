"""``compile_specs`` and ``check_specs``: from paths of specs to DAG files in a folder, or to what differs there."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_exia.dag_compiler.exceptions import ImportCheckFailed, Problem, WrongSpec
from airflow_provider_exia.dag_compiler.importing import Imported, import_files
from airflow_provider_exia.dag_compiler.planning import Plan, look_at, make_plan
from airflow_provider_exia.dag_compiler.reading import read_spec
from airflow_provider_exia.dag_compiler.units import Unit, builder_name, make_unit
from airflow_provider_exia.dag_compiler.writing import confined, locked, read_if_there, remove, write_in_one_step

_DIFF_LINES = 40


class Action(enum.StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """One file of the folder.

    :param name: of the file
    :param action: what became of it
    :param models: whose DAGs it holds; none: it only raises an error, or is gone
    :param dag_ids: of its DAGs
    """

    name: str
    action: Action
    models: tuple[str, ...]
    dag_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What a compilation did.

    :param files: by name
    :param wrong: specs that could not be compiled
    """

    files: tuple[FileReport, ...]
    wrong: tuple[WrongSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A file that is not as the specs say.

    :param name: of the file
    :param what: ``missing``, ``different`` or ``left over``
    :param diff: lines of a unified diff from what is there to what should be
    """

    name: str
    what: str
    diff: tuple[str, ...]


def compile_specs(
    specs: Sequence[Path],
    out: Path,
    *,
    shard_size: int | None = None,
    prune: bool = False,
    import_check: Callable[[Mapping[str, str]], Mapping[str, Imported]] = import_files,
) -> Compilation:
    """Compile specs into DAG files.

    A spec that is wrong stops no other: where others are given, a file takes its place that only raises what is wrong,
    and its last good DAGs stay. A single wrong spec leaves the folder as it is.

    :param specs: paths of specs
    :param out: folder of the DAG files; made if absent
    :param shard_size: see :func:`~airflow_provider_exia.dag_compiler.planning.make_plan`
    :param prune: whether DAGs go whose spec was not given
    :param import_check: tries the files out against the installed Airflow
    :raises OutputRefused: the folder cannot be written, or DAGs in it would be lost or defined twice
    :raises ImportCheckFailed: Airflow cannot try the files out
    """
    units, wrong = _read_all(specs)
    with locked(out):
        while not _is_alone(units, wrong):
            plan = make_plan(units, wrong, look_at(out), shard_size=shard_size, prune=prune)
            refused = _refused(plan, import_check({name: plan.files[name] for name in plan.units}))
            if not refused:
                break
            # The rest of a shard is good only if it still is without them: try again.
            wrong += [
                WrongSpec(unit.source, [_of_airflow(refused[unit.model])]) for unit in units if unit.model in refused
            ]
            units = [unit for unit in units if unit.model not in refused]
        else:
            return Compilation(files=(), wrong=tuple(wrong))
        return Compilation(files=tuple(_put_in_place(plan, out)), wrong=tuple(wrong))


def check_specs(
    specs: Sequence[Path], out: Path, *, shard_size: int | None = None, prune: bool = False
) -> tuple[list[Difference], list[WrongSpec]]:
    """Compare a folder with what its specs compile to; nothing is written and no DAG is imported.

    :param specs: paths of specs
    :param out: folder of the DAG files
    :param shard_size: as given to :func:`compile_specs`
    :param prune: as given to :func:`compile_specs`
    :returns: what differs, and the specs that cannot be compiled
    :raises OutputRefused: DAGs would be lost or defined twice
    """
    units, wrong = _read_all(specs)
    if _is_alone(units, wrong):
        return [], wrong
    plan = make_plan(units, wrong, look_at(out), shard_size=shard_size, prune=prune)
    differences = [Difference(name=name, what="left over", diff=()) for name in plan.remove]
    for name, text in plan.files.items():
        there = read_if_there(out / name)
        if there != text.encode():
            differences.append(_difference(name, there, text))
    return sorted(differences, key=lambda difference: difference.name), wrong


def _read_all(paths: Sequence[Path]) -> tuple[list[Unit], list[WrongSpec]]:
    units: dict[str, Unit] = {}
    wrong: list[WrongSpec] = []
    read: set[Path] = set()
    for path in paths:
        if path.resolve() in read:
            continue
        read.add(path.resolve())
        try:
            spec = read_spec(path)
            if spec.model in units:
                what = f"{spec.model!r} is the model of {units[spec.model].source} too: each model has one spec"
                raise WrongSpec(str(path), [Problem(line=None, field="model", what=what)])
            units[spec.model] = make_unit(spec, path.name)
        except WrongSpec as error:
            wrong.append(error)
    return sorted(units.values(), key=lambda unit: unit.model), wrong


def _is_alone(units: Sequence[Unit], wrong: Sequence[WrongSpec]) -> bool:
    """Say whether there is one spec only and it is wrong: whoever gave it sees that without a file in its place."""
    return not units and len(wrong) <= 1


def _refused(plan: Plan, found: Mapping[str, Imported]) -> dict[str, str]:
    """Return model to why the installed Airflow does not take its DAGs.

    :raises ImportCheckFailed: a file fails as a whole, or one of the last good pipelines does
    """
    refused: dict[str, str] = {}
    for name, units in plan.units.items():
        imported = found.get(name)
        if imported is None:
            raise ImportCheckFailed(f"Airflow did not look at {name}")
        for unit in units:
            error = imported.unbuilt.get(builder_name(unit.model)) or _first_about(unit, imported.errors)
            if error is None and len(units) == 1 and imported.errors:
                error = imported.errors[0]
            if error is None and not set(unit.dag_ids) <= set(imported.dags) and not imported.errors:
                error = f"it holds the DAGs {', '.join(imported.dags)} instead of {', '.join(unit.dag_ids)}"
            if error is not None:
                refused[unit.model] = error
        if imported.errors and not refused:
            raise ImportCheckFailed(f"{name}: {imported.errors[0]}")
    return refused


def _first_about(unit: Unit, errors: Iterable[str]) -> str | None:
    starts = tuple(f"{dag_id}:" for dag_id in unit.dag_ids)
    return next((error for error in errors if error.startswith(starts)), None)


def _of_airflow(error: str) -> Problem:
    return Problem(line=None, field="", what=f"the installed Airflow does not take its DAGs: {' '.join(error.split())}")


def _put_in_place(plan: Plan, out: Path) -> list[FileReport]:
    # Every target is looked at before the first is written, and DAGs that move are there before they are gone.
    targets = {name: confined(name, out) for name in plan.files}
    reports = []
    for name, text in sorted(plan.files.items()):
        written = write_in_one_step(targets[name], text)
        units = plan.units.get(name, ())
        reports.append(
            FileReport(
                name=name,
                action=Action.WRITTEN if written else Action.UNCHANGED,
                models=tuple(sorted(unit.model for unit in units)),
                dag_ids=tuple(sorted(dag_id for unit in units for dag_id in unit.dag_ids)),
            )
        )
    for name in sorted(plan.remove):
        remove(confined(name, out))
        reports.append(FileReport(name=name, action=Action.REMOVED, models=(), dag_ids=()))
    return reports


def _difference(name: str, there: bytes | None, text: str) -> Difference:
    if there is None:
        return Difference(name=name, what="missing", diff=())
    old = there.decode("utf-8", errors="replace").splitlines()
    diff = list(difflib.unified_diff(old, text.splitlines(), name, f"{name} (from its spec)", lineterm="", n=1))
    more = [f"... {len(diff) - _DIFF_LINES} more lines"] if len(diff) > _DIFF_LINES else []
    return Difference(name=name, what="different", diff=(*diff[:_DIFF_LINES], *more))
