"""What the demo shows: progress while it runs, then the story as a table and the year as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from airflow_provider_exia.cli.facts import snapshot_text
from airflow_provider_exia.demo.airflow_settings import USERNAME
from airflow_provider_exia.demo.events import Event, Story, Week

if TYPE_CHECKING:
    from airflow_provider_exia.demo.airflow_processes import RunningAirflow
    from airflow_provider_exia.model_library.records import Version
    from airflow_provider_exia.monitoring.policy import Policy


class Report:
    """Prints on the terminal and draws into a folder.

    :param folder: the demo's
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        console = Console(highlight=False)
        # A file or a pipe has no width of its own, and 80 columns break every line of the table.
        self._console = console if console.is_terminal else Console(highlight=False, width=120)

    def step(self, sentence: str) -> None:
        """Tell what is under way."""
        self._console.print(f"[dim]{sentence}[/dim]")

    def tell(self, happening: Event | Week) -> None:
        """Tell one event or one week as it comes."""
        if isinstance(happening, Event):
            event = f"week {happening.week:2d}  version {happening.version} {happening.action}"
            self._console.print(f"[bold]{event}[/bold]: {happening.detail}")
            return
        score = "unknown" if happening.brier is None else f"{happening.brier:.4f}  {'█' * round(happening.brier * 60)}"
        self._console.print(
            f"week {happening.week:2d}  version {happening.version} serves, {happening.state:<11} Brier {score}"
        )

    def finish(self, story: Story, policy: Policy, *, seconds: float) -> None:
        """Print the story as a table, draw the chart, and say where to look further."""
        self._console.print(_table(story))
        chart = self._folder / "story.png"
        draw(story, policy, chart)
        self._console.print(f"{len(story.weeks)} weeks, {len(story.events)} events in {seconds:.0f} s")
        self._console.print(f"chart: {chart}", soft_wrap=True)

    def journal(self, connection: str) -> None:
        """Say how to read the journal.

        :param connection: the option that names the library; empty for the one in the demo's folder
        """
        self._console.print(f"journal: {self._command(connection, 'history flight_delay')}", soft_wrap=True)

    def snapshot(self, connection: str, version: Version) -> None:
        """Name the snapshot of parameters that a version was trained with, and say how to read it.

        :param connection: as in :meth:`journal`
        """
        command = self._command(connection, f"show {version.reference}")
        told = snapshot_text(version.lineage.snapshot)
        self._console.print(f"snapshot: {version.reference} was trained with {told}: {command}", soft_wrap=True)

    def address(self, airflow: RunningAirflow) -> None:
        """Say where the Airflow UI is and how to log in."""
        password = airflow.settings.secrets.password
        self._console.print(f"[bold]Airflow UI: {airflow.url}  user {USERNAME}  password {password}[/bold]")
        self._console.print("Ctrl-C stops it")

    def _command(self, connection: str, words: str) -> str:
        return f"exia {connection} {words}" if connection else f"AIRFLOW_HOME={self._folder / 'airflow'} exia {words}"


def draw(story: Story, policy: Policy, path: Path) -> None:
    """Draw the weekly Brier score, who served, the monitor's states, and what happened."""
    from airflow_provider_exia.monitoring import chart

    dots = [chart.Dot(place=week.week, value=week.brier, series=f"version {week.version}") for week in story.weeks]
    bands = [
        chart.Band(start=week.week - 0.5, end=week.week + 0.5, state=week.state, blind=week.blind)
        for week in story.weeks
    ]
    marks = [
        chart.Mark(
            place=event.week,
            kind=event.action,
            label=event.action if event.action in ("blind", "rolled back") else f"{event.action} {event.version}",
        )
        for event in story.events
        if event.action not in ("baked", "degraded")
    ]
    words = chart.Words(
        title="Will the flight be late? Each week predicted by the champion",
        metric="Brier score (lower is better)",
        time="week of 2013",
    )
    chart.draw(path, dots, words=words, thresholds=chart.thresholds_of(policy), bands=bands, marks=marks)


def _table(story: Story) -> Table:
    table = Table(title="The story of flight_delay", title_justify="left")
    for column in ("week", "version", "what happened", "numbers"):
        table.add_column(column, overflow="fold")
    for event in story.events:
        table.add_row(str(event.week), str(event.version), event.action, event.detail)
    return table
