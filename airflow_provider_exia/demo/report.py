"""What the demo shows: progress while it runs, then the story as a table and the year as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from airflow_provider_exia.demo.airflow_settings import USERNAME
from airflow_provider_exia.demo.events import Event, Story, Week

if TYPE_CHECKING:
    from airflow_provider_exia.demo.airflow_processes import RunningAirflow

_COLOURS = ("#3b6ea5", "#d98c2b", "#5a9367", "#8e6bb0", "#b8433f", "#6d6d6d")


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
        if isinstance(happening, Week):
            bar = "█" * round(happening.brier * 60)
            self._console.print(
                f"week {happening.week:2d}  version {happening.version} serves  Brier {happening.brier:.4f}  {bar}"
            )
            return
        self._console.print(
            f"[bold]week {happening.week:2d}  version {happening.version} {happening.action}[/bold]: {happening.detail}"
        )

    def finish(self, story: Story, *, seconds: float) -> None:
        """Print the story as a table, draw the chart, and say where to look further."""
        self._console.print(_table(story))
        chart = self._folder / "story.png"
        draw(story, chart)
        self._console.print(f"{len(story.weeks)} weeks, {len(story.events)} events in {seconds:.0f} s")
        self._console.print(f"chart: {chart}", soft_wrap=True)
        self._console.print(
            f"journal: AIRFLOW_HOME={self._folder / 'airflow'} exia history flight_delay", soft_wrap=True
        )

    def address(self, airflow: RunningAirflow) -> None:
        """Say where the Airflow UI is and how to log in."""
        password = airflow.settings.secrets.password
        self._console.print(f"[bold]Airflow UI: {airflow.url}  user {USERNAME}  password {password}[/bold]")
        self._console.print("Ctrl-C stops it")


def draw(story: Story, path: Path) -> None:
    """Draw the weekly Brier score, who served, and what happened."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    versions = sorted({week.version for week in story.weeks})
    colours = {version: _COLOURS[place % len(_COLOURS)] for place, version in enumerate(versions)}
    axes.plot([week.week for week in story.weeks], [week.brier for week in story.weeks], color="#cccccc", zorder=1)
    for version in versions:
        served = [week for week in story.weeks if week.version == version]
        axes.scatter(
            [week.week for week in served],
            [week.brier for week in served],
            color=colours[version],
            s=26,
            zorder=2,
            label=f"served by version {version}",
        )
    _mark_events(axes, story)
    axes.set(xlabel="week of 2013", ylabel="Brier score (lower is better)", ylim=(0, None))
    axes.set_title("Will the flight be late? Each week predicted by the champion")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", ncols=2, fontsize=9)
    figure.savefig(path, dpi=130)


def _mark_events(axes: Any, story: Story) -> None:
    """Write what happened after a week along a line between that week and the next."""
    for week in sorted({event.week for event in story.events}):
        names = ", ".join(f"{event.version} {event.action}" for event in story.events if event.week == week)
        axes.axvline(week + 0.5, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
        axes.annotate(
            names,
            xy=(week + 0.5, 0),
            xytext=(3, 4),
            textcoords="offset points",
            rotation=90,
            fontsize=8,
            color="#333333",
        )


def _table(story: Story) -> Table:
    table = Table(title="The story of flight_delay", title_justify="left")
    for column in ("week", "version", "what happened", "numbers"):
        table.add_column(column, overflow="fold")
    for event in story.events:
        table.add_row(str(event.week), str(event.version), event.action, event.detail)
    return table
