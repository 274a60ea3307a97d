"""The command that copies models from one library into another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_exia.cli.output import Column, json_option, print_json, print_table, progress
from airflow_provider_exia.cli.places import Place, place_named

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.copying import CopiedVersion
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import JournalEntry

_COLUMNS = (Column(title="FROM"), Column(title="TO"), Column(title="BYTES", right=True), Column(title=""))


def _read_place(_context: click.Context, _parameter: click.Parameter, value: str) -> Place:
    return place_named(value, environment=os.environ)


@click.command("copy")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--from", "source", metavar="LIBRARY", required=True, callback=_read_place, help="Where the models are.")
@click.option("--to", "target", metavar="LIBRARY", required=True, callback=_read_place, help="Where they shall be.")
@click.option("--aliases", is_flag=True, help="Let the aliases there name the copies of what they name here.")
@json_option
def copy(*, models: tuple[str, ...], source: Place, target: Place, aliases: bool, as_json: bool) -> None:
    """Copy the versions in use into another library.

    LIBRARY is the id of an Airflow connection of type 'exia', or 'embedded', or the URLs of documents and blobs in one
    word: 'sqlite:////srv/library.db file:///srv/blobs'.

    Without a MODEL all models are copied. Every file is verified with the keys of the library it comes from, and signed
    with those of the other one. A copy that was broken off goes on where it stopped. Retired versions and the history
    of aliases stay behind; what was retired in the other library stays out of use there.
    """
    from airflow_provider_exia.model_library.copying import check_apart

    with source.open() as here, target.open(make=True) as there:
        check_apart(here, there)
        copied: list[CopiedVersion] = []
        moves: list[JournalEntry] = []
        for model in models or here.models():
            done = _copy_model(here, there, model)
            copied += done
            if aliases:
                moves += _copy_aliases(here, there, model, done)
    if as_json:
        print_json({"versions": [_facts(item) for item in copied], "moves": [_facts_of_move(move) for move in moves]})
        return
    print_table(
        _COLUMNS,
        [(item.source.reference, item.copy.reference, str(item.source.size), _outcome(item)) for item in copied],
    )
    for move in moves:
        click.echo(f"{move.model}@{move.alias} there is now {move.model}/{move.version}")


def _copy_model(here: ModelLibrary, there: ModelLibrary, model: str) -> list[CopiedVersion]:
    from airflow_provider_exia.model_library.copying import copy_versions, versions_to_copy

    count = len(versions_to_copy(here, model))
    return list(progress(copy_versions(here, there, model), total=count, title=f"copying {model}"))


def _copy_aliases(
    here: ModelLibrary, there: ModelLibrary, model: str, copied: list[CopiedVersion]
) -> list[JournalEntry]:
    from airflow_provider_exia.model_library.copying import copy_aliases

    return copy_aliases(here, there, model, {item.source.number: item.copy.number for item in copied})


def _outcome(item: CopiedVersion) -> str:
    if not item.is_in_use:
        return "out of use there"
    return "copied" if item.is_new else "there before"


def _facts(item: CopiedVersion) -> dict[str, Any]:
    return {
        "from": item.source.reference,
        "to": item.copy.reference,
        "digest": item.copy.digest,
        "bytes": item.source.size,
        "new": item.is_new,
        "in_use": item.is_in_use,
    }


def _facts_of_move(move: JournalEntry) -> dict[str, Any]:
    return {"model": move.model, "alias": move.alias, "version": move.version, "sequence": move.sequence}
