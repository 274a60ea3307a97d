"""The commands about monitors: where they stand and why, and what a person may ask of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_exia.cli.monitor_facts import facts_of_entry, find_journal
from airflow_provider_exia.cli.monitor_simulate import simulate
from airflow_provider_exia.cli.output import (
    Column,
    json_option,
    one_line,
    print_facts,
    print_json,
    print_table,
    time_text,
)
from airflow_provider_exia.cli.places import with_library
from airflow_provider_exia.task_identity import login_name

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.entries import Evidence, MonitorEntry

_ENTRY_COLUMNS = (
    Column(title="ENTRY", right=True),
    Column(title="EVENT TIME"),
    Column(title="STATE"),
    Column(title="EPISODE", right=True),
    Column(title="ACTION"),
    Column(title="BY"),
    Column(title="REASON", wraps=True),
)

_monitor_option = click.option("--monitor", metavar="NAME", help="Which one, if the model has several.")
_reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the monitor's history.")
_by_option = click.option("--by", metavar="NAME", help="Who asks; default: the login name.")


class _InOrder(click.Group):
    """A group that lists its commands in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return list(self.commands)


@click.group(cls=_InOrder, invoke_without_command=True)
@click.pass_context
def monitor(context: click.Context) -> None:
    """Look at monitors, ask something of them, try policies."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@monitor.command()
@click.argument("model")
@_monitor_option
@json_option
@with_library
def state(library: ModelLibrary, *, model: str, monitor: str | None, as_json: bool) -> None:
    """Show where the monitor of MODEL stands."""
    entry = find_journal(library, model, monitor).history()[0]
    if as_json:
        print_json(facts_of_entry(entry))
        return
    facts = {
        "state": entry.state,
        "since": f"{time_text(entry.state_since)} wall time",
        "episode": str(entry.episode or ""),
        "event time": time_text(entry.event_time),
        "last heard": time_text(entry.heard_at),
        "blind since": time_text(entry.blind_since),
        "points": ", ".join(_point_text(item) for item in entry.evidence),
        "action": f"{entry.action} by {entry.by}",
        "reason": entry.reason,
    }
    print_facts(f"{entry.model} {entry.monitor}", facts)


@monitor.command()
@click.argument("model")
@_monitor_option
@click.option("--changes", is_flag=True, help="Leave out the entries that only heard points.")
@json_option
@with_library
def history(library: ModelLibrary, *, model: str, monitor: str | None, changes: bool, as_json: bool) -> None:
    """List what the monitor of MODEL did, newest first."""
    entries = find_journal(library, model, monitor).history()
    shown = [entry for entry in entries if not changes or entry.action != "heard"]
    if as_json:
        print_json([facts_of_entry(entry) for entry in shown])
    else:
        print_table(_ENTRY_COLUMNS, [_row(entry) for entry in shown])


@monitor.command()
@click.argument("model")
@_monitor_option
@click.option(
    "--spec",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The pipeline spec, or a YAML mapping of the policy's fields: more can be said with it.",
)
@json_option
@with_library
def explain(library: ModelLibrary, *, model: str, monitor: str | None, spec: Path | None, as_json: bool) -> None:
    """Say why the monitor of MODEL is in its state.

    In words: what it saw, with values and thresholds, and what it waits for.
    """
    from airflow_provider_exia.cli.monitor_files import read_policy
    from airflow_provider_exia.monitoring.explain import explain as explained

    policy = read_policy(spec).policy if spec is not None else None
    entries = find_journal(library, model, monitor).history()
    explanation = explained(entries, policy)
    if as_json:
        print_json(
            {
                "model": model,
                "monitor": entries[0].monitor,
                "state": entries[0].state,
                "standing": explanation.standing,
                "because": list(explanation.because),
                "waits_for": list(explanation.waits_for),
            }
        )
        return
    click.secho(one_line(explanation.standing), bold=True)
    for title, sentences in (("Why", explanation.because), ("It waits for", explanation.waits_for)):
        click.echo(f"{title}:")
        for sentence in sentences:
            click.echo(f"  {one_line(sentence)}")


@monitor.command()
@click.argument("model")
@_monitor_option
@_reason_option
@_by_option
@json_option
@with_library
def retrain(
    library: ModelLibrary, *, model: str, monitor: str | None, reason: str, by: str | None, as_json: bool
) -> None:
    """Ask for a training run of MODEL.

    The next evaluation triggers it.
    """
    from airflow_provider_exia.monitoring.requests import retrain_now

    entry = retrain_now(find_journal(library, model, monitor), by=by or login_name(), reason=reason)
    _report(entry, f"episode {entry.episode} is open: the next evaluation triggers the run {entry.run_id}", as_json)


@monitor.command()
@click.argument("model")
@_monitor_option
@_reason_option
@_by_option
@json_option
@with_library
def stop(library: ModelLibrary, *, model: str, monitor: str | None, reason: str, by: str | None, as_json: bool) -> None:
    """Halt the monitor of MODEL until it is resumed.

    It goes on listening and does nothing.
    """
    from airflow_provider_exia.monitoring.requests import stop as halt

    entry = halt(find_journal(library, model, monitor), by=by or login_name(), reason=reason)
    _report(entry, f"it does nothing until 'exia monitor resume {model} --monitor {entry.monitor}'", as_json)


@monitor.command()
@click.argument("model")
@_monitor_option
@_reason_option
@_by_option
@json_option
@with_library
def resume(
    library: ModelLibrary, *, model: str, monitor: str | None, reason: str, by: str | None, as_json: bool
) -> None:
    """Let the halted monitor of MODEL go on.

    If a promotion was being watched, it is watched further.
    """
    from airflow_provider_exia.monitoring.requests import resume as go_on

    entry = go_on(find_journal(library, model, monitor), by=by or login_name(), reason=reason)
    baking = entry.bake_since is not None
    what = "it goes on watching the promotion" if baking else "only points from here on count"
    _report(entry, what, as_json)


monitor.add_command(simulate)


def _report(entry: MonitorEntry, what: str, as_json: bool) -> None:
    if as_json:
        print_json(facts_of_entry(entry))
    else:
        click.echo(f"{entry.model} {entry.monitor} is {entry.state} (entry {entry.sequence}): {what}.")


def _row(entry: MonitorEntry) -> tuple[str, ...]:
    return (
        str(entry.sequence),
        time_text(entry.event_time),
        entry.state,
        str(entry.episode or ""),
        entry.action,
        entry.by,
        entry.reason,
    )


def _point_text(item: Evidence) -> str:
    against = f" against {item.previous:.6g}" if item.previous is not None else ""
    return f"{item.value:.6g}{against} on {time_text(item.event_time)}"
