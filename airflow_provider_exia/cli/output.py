"""How answers look: tables for people, one JSON document for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

Step = TypeVar("Step")

# Wide enough that a pipe never gets a wrapped or shortened cell.
_PIPE_WIDTH = 100_000

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    :param title: its heading
    :param right: whether its cells stand to the right, as numbers do
    :param wraps: whether a narrow terminal may break its cells into lines
    """

    title: str
    right: bool = False
    wraps: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings; in a pipe without colours, each row one line.

    :param rows: cells in the order of the columns
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=not column.wraps)
    _print(table, rows)


def print_facts(title: str, facts: Mapping[str, str]) -> None:
    """Print a title, and below it names and values in two columns.

    :param facts: those with an empty value are left out
    """
    from rich.table import Table

    click.secho(one_line(title), bold=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    _print(table, [(name, value) for name, value in facts.items() if value])


def progress(steps: Iterable[Step], *, total: int, title: str) -> Iterator[Step]:
    """Pass on each step, with a bar on standard error where that is a terminal.

    :param total: how many steps there are
    :param title: what is under way
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        steps, description=title, total=total, console=console, transient=True, disable=not console.is_terminal
    )


def time_text(moment: datetime | None) -> str:
    """Write a moment in UTC to the second, or nothing."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else ""


def size_text(size: int) -> str:
    """Write a number of bytes in the decimal unit that suits it."""
    units = ("B", "kB", "MB", "GB", "TB")
    value, unit = float(size), 0
    while value >= 999.95 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {units[unit]}" if unit else f"{size} B"


def pairs_text(pairs: Mapping[str, object]) -> str:
    """Write names and values in one line; floats to six digits."""
    return ", ".join(f"{name}={_value_text(value)}" for name, value in pairs.items())


def one_line(text: str) -> str:
    """Return text that cannot break a table or steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _print(table: Table, rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.measure import Measurement
    from rich.text import Text

    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console = Console(highlight=False)
    widest = console.options.update(width=_PIPE_WIDTH)
    for column in table.columns:
        if column.no_wrap:  # rich would still make it as narrow as its longest word
            column.min_width = max((Measurement.get(console, widest, cell).maximum for cell in column.cells), default=1)
    # Where even wrapping does not make it fit, a long line is better than half a digest.
    narrowest = Measurement.get(console, widest, table).minimum
    console.width = max(console.width, narrowest) if console.is_terminal else _PIPE_WIDTH
    with console.capture() as captured:
        console.print(table)
    # Through click, which meets a closed pipe calmly.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
