"""The commands that keep a library in order: gc deletes what nobody can want again, verify looks for damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airflow_provider_exia.cli.output import (
    Column,
    json_option,
    one_line,
    print_json,
    print_table,
    progress,
    size_text,
)
from airflow_provider_exia.cli.places import chosen_place, library_options

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.housekeeping import Pass
    from airflow_provider_exia.model_library.verifying import Verified

_COLUMNS = (Column(title=""), Column(title="WHAT"), Column(title="SIZE", right=True), Column(title="WHY"))
_LISTS = ("abandoned", "collected", "deleted", "aborted", "kept")


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--delete", is_flag=True, help="Do it; without this nothing is changed.")
@click.option("--grace", default="72h", show_default=True, help="How old what goes must be; at least 24h.")
@json_option
@library_options(hidden=True)
def gc(*, models: tuple[str, ...], delete: bool, grace: str, as_json: bool) -> int:
    """Delete files that nobody can want again.

    Without --delete it says what would go. Without a MODEL all models are looked at. A retired version can be restored
    until it is collected. The exit code is 1 when a model could not be collected; the others are.
    """
    from airflow_provider_exia.model_library.housekeeping import collect_models
    from airflow_provider_exia.monitoring.durations import to_duration

    with chosen_place().open() as library:
        chosen = models or library.models()
        passes = collect_models(library, chosen, grace=to_duration(grace, name="grace"), delete=delete)
        done = list(progress(passes, total=len(chosen) + 1, title="collecting garbage"))
    if as_json:
        print_json([_facts_of_pass(one) for one in done])
    else:
        _print_passes(done, delete=delete)
    return int(any(one.failure for one in done))


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@json_option
@library_options(hidden=True)
def verify(*, models: tuple[str, ...], as_json: bool) -> int:
    """Check every version, document and journal.

    Every byte is read and hashed. Without a MODEL all models are looked at. Nothing is changed; the exit code is 1 when
    anything is damaged.
    """
    from airflow_provider_exia.model_library.verifying import count, verify

    with chosen_place().open() as library:
        found: list[Verified] = []
        for model in models or library.models():
            steps = verify(library.resources, model)
            found += progress(steps, total=count(library.resources, model), title=f"verifying {model}")
    damaged = [one for one in found if one.problems]
    size = sum(one.size for one in found)
    if as_json:
        facts = [{"name": one.name, "problems": list(one.problems)} for one in damaged]
        print_json({"verified": len(found), "bytes": size, "damaged": facts})
    else:
        for one in damaged:
            for problem in one.problems:
                click.echo(f"{click.style('damaged', fg='red')}  {one.name}  {one_line(problem)}")
        click.echo(f"{len(found)} verified, {size_text(size)} read: {len(damaged) or 'nothing'} damaged")
    return int(bool(damaged))


def _print_passes(passes: list[Pass], *, delete: bool) -> None:
    rows = [
        (
            kind if delete or kind == "kept" else f"to be {kind}",
            finding.name,
            size_text(finding.size) if finding.size else "",
            finding.why,
        )
        for one in passes
        for kind in _LISTS
        for finding in getattr(one.report, kind)
    ]
    rows += [("failed", one.model, "", one.failure) for one in passes if one.failure]
    if rows:
        print_table(_COLUMNS, rows)
    count = sum(len(one.report.deleted) for one in passes)
    size = size_text(sum(one.report.bytes for one in passes))
    files = f"{count} file{'' if count == 1 else 's'}, {size}"
    click.echo(f"{files}: deleted" if delete else f"{files}: would be deleted with --delete; nothing was changed")


def _facts_of_pass(one: Pass) -> dict[str, Any]:
    lists = {
        kind: [{"name": each.name, "why": each.why, "bytes": each.size} for each in getattr(one.report, kind)]
        for kind in _LISTS
    }
    return {"model": one.model, "dry_run": one.report.dry_run, "failure": one.failure or None, **lists}
