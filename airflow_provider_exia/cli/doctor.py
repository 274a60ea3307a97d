"""The command that says what is wrong with a library, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from airflow_provider_exia.cli.output import json_option, one_line, print_json
from airflow_provider_exia.cli.places import chosen_place, library_options
from airflow_provider_exia.exceptions import ExiaError

if TYPE_CHECKING:
    from airflow_provider_exia.cli.places import Place
    from airflow_provider_exia.model_library.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command()
@json_option
@library_options(hidden=True)
def doctor(*, as_json: bool) -> int:
    """Look at everything the library needs, and say what to mend.

    Connections, both stores (a probe is written, read and removed), servers, permissions, clocks, formats, keys and the
    cache folder. The exit code is 1 after a failure; a warning is none.
    """
    found = []
    for finding in _findings(chosen_place()):
        found.append(finding)
        if not as_json:
            verdict = click.style(f"{finding.verdict:<7}", fg=_COLOURS[finding.verdict])
            click.echo(f"{verdict}  {finding.about:<17}  {one_line(finding.words)}")
    if as_json:
        print_json([{"about": one.about, "verdict": one.verdict, "words": one.words} for one in found])
    return int(any(finding.verdict == "failure" for finding in found))


def _findings(place: Place) -> Iterator[Finding]:
    from airflow_provider_exia.model_library.doctor import Finding, Verdict, examine

    try:
        library = place.open()
    except ExiaError as error:
        yield Finding(about="library", verdict=Verdict.FAILURE, words=str(error))
        return
    yield Finding(about="library", verdict=Verdict.OK, words=place.describe())
    with library:
        yield from examine(library)
