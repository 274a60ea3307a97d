"""The commands that move: promote, rollback, retire, restore. Each makes at most one entry in the model's journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from airflow_provider_exia.cli.facts import facts_of_entry
from airflow_provider_exia.cli.output import json_option, print_json
from airflow_provider_exia.cli.places import with_library

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import JournalEntry

_alias_option = click.option("--alias", default="champion", show_default=True, help="The alias to move.")
_expected_option = click.option(
    "--expected",
    type=click.IntRange(min=0),
    help="Refuse unless the alias's last move is this one of 'exia history'; 0: it was never set.",
)
_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
_token_option = click.option("--token", help="Name this move: a repetition finds it instead of moving again.")


@click.command()
@click.argument("reference")
@_alias_option
@_expected_option
@_reason_option
@_token_option
@json_option
@with_library
def promote(
    library: ModelLibrary,
    *,
    reference: str,
    alias: str,
    expected: int | None,
    reason: str,
    token: str | None,
    as_json: bool,
) -> None:
    """Let an alias name a version.

    REFERENCE is name/3, or name@latest, or name@other_alias.
    """
    entry = library.promote(reference, alias=alias, expected=expected, reason=reason, token=token)
    _report(entry, _standing_of_alias(entry), as_json=as_json)


@click.command()
@click.argument("model")
@_alias_option
@_expected_option
@_reason_option
@_token_option
@json_option
@with_library
def rollback(
    library: ModelLibrary,
    *,
    model: str,
    alias: str,
    expected: int | None,
    reason: str,
    token: str | None,
    as_json: bool,
) -> None:
    """Let an alias of MODEL name its version before again.

    Twice in a row goes back two versions; to undo a rollback, promote.
    """
    entry = library.rollback(model, alias=alias, expected=expected, reason=reason, token=token)
    _report(entry, _standing_of_alias(entry), as_json=as_json)


@click.command()
@click.argument("reference")
@_reason_option
@_token_option
@json_option
@with_library
def retire(library: ModelLibrary, *, reference: str, reason: str, token: str | None, as_json: bool) -> None:
    """Take a version out of use.

    It cannot be promoted or rolled back to until it is restored; a version that an alias names is not retired.
    """
    entry = library.retire(reference, reason=reason, token=token)
    version = f"{entry.model}/{entry.version}"
    _report(entry, f"{version} is out of use; 'exia restore {version}' takes that back.", as_json=as_json)


@click.command()
@click.argument("reference")
@_reason_option
@_token_option
@json_option
@with_library
def restore(library: ModelLibrary, *, reference: str, reason: str, token: str | None, as_json: bool) -> None:
    """Take back the retirement of a version."""
    entry = library.restore(reference, reason=reason, token=token)
    _report(entry, f"{entry.model}/{entry.version} is in use again and can be promoted.", as_json=as_json)


def _report(entry: JournalEntry, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts_of_entry(entry))
    else:
        click.echo(sentence)


def _standing_of_alias(entry: JournalEntry) -> str:
    alias = str(entry.alias)
    stack = entry.aliases[alias].stack
    option = "" if alias == "champion" else f" --alias {alias}"
    back = (
        f"'exia rollback {entry.model}{option}' goes back to version {stack[1]}"
        if len(stack) > 1
        else "there is no earlier version to roll back to"
    )
    return f"{entry.model}@{alias} is now version {stack[0]} (move {entry.sequence}); {back}."
