"""The command that tries a policy on a history: what would have happened, as a table and a chart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from airflow_provider_exia.cli.output import Column, json_option, print_json, print_table, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_exia.cli.monitor_files import NamedPolicy
    from airflow_provider_exia.monitoring.backtest import Reading
    from airflow_provider_exia.monitoring.entries import MonitorEntry

_COLUMNS = (
    Column(title="EVENT TIME"),
    Column(title="STATE"),
    Column(title="EPISODE", right=True),
    Column(title="WHAT"),
    Column(title="WHY", wraps=True),
)
_LEFT_OUT = ("begun", "accepted")  # no news to who reads the history


@click.command()
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--points",
    "points_file",
    type=click.File(encoding="utf-8"),
    required=True,
    metavar="FILE",
    help="CSV or JSON lines with event_time and value, and samples, version, previous where known; -: standard input.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Draw the chart into this PNG file.")
@click.option(
    "--outcome",
    type=click.Choice(["refused", "promoted"]),
    default="refused",
    show_default=True,
    help="How each training run ends.",
)
@json_option
def simulate(*, spec: Path, points_file: TextIO, out: Path | None, outcome: str, as_json: bool) -> None:
    """Try a policy on a history of points.

    SPEC is a pipeline spec with a section 'monitor', or a YAML mapping of a policy's fields. 'version' is the version
    that was live: where it changes, the alias was moved. 'previous' is the value of the version before it on the same
    data. The values stay as they were measured, whatever the policy would have done.
    """
    from airflow_provider_exia.cli.monitor_files import read_policy, read_readings
    from airflow_provider_exia.monitoring.backtest import Outcome, backtest

    named = read_policy(spec)
    readings = read_readings(points_file, name=points_file.name)
    entries = backtest(named.policy, readings, outcome=Outcome(outcome), model=named.model or "model")
    if out is not None:
        _draw(out, named, readings, entries)
    if as_json:
        _print_json(readings, entries, out)
        return
    news = _news(entries)
    if news:
        print_table(_COLUMNS, [_row(entry) for entry in news])
    click.echo(_summary(readings, entries))
    if out is not None:
        click.echo(f"chart: {out}")


def _news(entries: Sequence[MonitorEntry]) -> list[MonitorEntry]:
    """Return the entries that say more than that a point was heard."""
    news = []
    was_blind = False
    for entry in entries:
        is_blind = entry.blind_since is not None
        if entry.action not in (*_LEFT_OUT, "heard") or is_blind != was_blind:
            news.append(entry)
        was_blind = is_blind
    return news


def _row(entry: MonitorEntry) -> tuple[str, ...]:
    what = entry.action
    if what == "heard":
        what = "blind" if entry.blind_since is not None else "sees again"
    return (time_text(entry.event_time), entry.state, str(entry.episode or ""), what, entry.reason)


def _summary(readings: Sequence[Reading], entries: Sequence[MonitorEntry]) -> str:
    actions = Counter(entry.action for entry in entries)
    moments = [reading.event_time for reading in readings]
    parts = [_count(actions["degraded"], "episode")]
    parts += [f"{actions[name]} {name}" for name in ("refused", "promoted", "rolled back", "halted") if actions[name]]
    return (
        f"{_count(len(readings), 'point')} from {time_text(min(moments))} to {time_text(max(moments))}: "
        f"{', '.join(parts)}; it ends {entries[-1].state}."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print_json(readings: Sequence[Reading], entries: Sequence[MonitorEntry], out: Path | None) -> None:
    from airflow_provider_exia.cli.monitor_facts import facts_of_entry

    print_json(
        {
            "points": len(readings),
            "episodes": entries[-1].episode,
            "state": entries[-1].state,
            "chart": str(out) if out is not None else None,
            "entries": [facts_of_entry(entry) for entry in entries],
        }
    )


def _draw(out: Path, named: NamedPolicy, readings: Sequence[Reading], entries: Sequence[MonitorEntry]) -> None:
    from airflow_provider_exia.monitoring import chart

    policy = named.policy
    ordered = sorted(readings, key=lambda reading: reading.event_time)
    dots = [
        chart.Dot(
            place=reading.event_time,
            value=reading.value,
            series=f"version {reading.version}" if reading.version is not None else "",
        )
        for reading in ordered
    ]
    better = "inside the band" if policy.direction == "band" else policy.direction
    chart.draw(
        out,
        dots,
        words=chart.Words(
            title=f"What this policy would have done{f' with {named.model}' if named.model else ''}",
            metric=f"{policy.metric} ({better} is better)",
        ),
        thresholds=chart.thresholds_of(policy),
        bands=chart.bands_of(entries, ordered[-1].event_time),
        marks=chart.marks_of(entries),
    )
