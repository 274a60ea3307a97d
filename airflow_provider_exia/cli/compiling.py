"""The commands that make DAGs of specs: compile, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_exia.cli.output import Column, json_option, one_line, print_json, print_table

if TYPE_CHECKING:
    from airflow_provider_exia.dag_compiler.compiling import Difference
    from airflow_provider_exia.dag_compiler.exceptions import WrongSpec

_FILE_COLUMNS = (
    Column(title="FILE"),
    Column(title="IS"),
    Column(title="DAGS", right=True),
    Column(title="MODELS", wraps=True),
)
_SHOWN_MODELS = 4

_specs_argument = click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SPEC...")
_out_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the DAG files."
)
_shard_option = click.option(
    "--shard-size",
    type=click.IntRange(min=0),
    help="About how many DAGs a file holds; 0: one file for each spec. Default: one file for each of up to 10 specs, "
    "about 25 DAGs a file for more.",
)
_prune_option = click.option("--prune", is_flag=True, help="Let compiled DAGs go whose spec is not given.")


@click.command("compile")
@_specs_argument
@_out_option
@_shard_option
@_prune_option
@json_option
def compile_command(specs: tuple[Path, ...], *, out: Path, shard_size: int | None, prune: bool, as_json: bool) -> int:
    """Make DAG files of pipeline specs.

    The model of a spec gets the DAGs <model>_train and <model>_infer. A wrong spec is told with file, line and field
    and stops no other; the exit code is then 1.
    """
    from airflow_provider_exia.dag_compiler.compiling import compile_specs

    done = compile_specs(specs, out, shard_size=shard_size, prune=prune)
    if as_json:
        files = [
            {"file": file.name, "action": file.action.value, "models": list(file.models), "dags": list(file.dag_ids)}
            for file in done.files
        ]
        print_json({"files": files, "wrong": _facts_of_wrong(done.wrong)})
    elif done.files:
        rows = [
            (file.name, file.action.value, str(len(file.dag_ids) or ""), _models_text(file.models))
            for file in done.files
        ]
        print_table(_FILE_COLUMNS, rows)
    if not as_json:
        _complain_about(done.wrong)
    return 1 if done.wrong else 0


@click.command("check")
@_specs_argument
@_out_option
@_shard_option
@_prune_option
@json_option
def check_command(specs: tuple[Path, ...], *, out: Path, shard_size: int | None, prune: bool, as_json: bool) -> int:
    """Compare DAG files with the specs that they were made of.

    The exit code is 1 when they differ or a spec is wrong. Give the options that 'exia compile' was given.
    """
    from airflow_provider_exia.dag_compiler.compiling import check_specs

    differences, wrong = check_specs(specs, out, shard_size=shard_size, prune=prune)
    if as_json:
        facts = [{"file": found.name, "is": found.what, "diff": list(found.diff)} for found in differences]
        print_json({"differences": facts, "wrong": _facts_of_wrong(wrong)})
    else:
        for difference in differences:
            _print_difference(difference)
        _complain_about(wrong)
        if not differences and not wrong:
            click.echo(f"{out} is as its specs say.", err=True)
    return 1 if differences or wrong else 0


def _models_text(models: tuple[str, ...]) -> str:
    more = f" and {len(models) - _SHOWN_MODELS} more" if len(models) > _SHOWN_MODELS else ""
    return ", ".join(models[:_SHOWN_MODELS]) + more


def _print_difference(difference: Difference) -> None:
    click.echo(f"{difference.name} is {difference.what}")
    for line in difference.diff:
        click.echo(f"  {one_line(line)}")


def _complain_about(wrong: tuple[WrongSpec, ...] | list[WrongSpec]) -> None:
    for error in wrong:
        for sentence in error.sentences():
            click.echo(f"exia: {one_line(sentence)}", err=True)


def _facts_of_wrong(wrong: tuple[WrongSpec, ...] | list[WrongSpec]) -> list[dict[str, Any]]:
    return [
        {
            "spec": error.source,
            "problems": [{"line": one.line, "field": one.field, "what": one.what} for one in error.problems],
        }
        for error in wrong
    ]
