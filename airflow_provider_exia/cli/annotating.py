"""The commands that write beside a version or a model: tag, note. Neither changes what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from airflow_provider_exia.cli.facts import facts_of_annotation, texts_of_annotation
from airflow_provider_exia.cli.output import json_option, print_facts, print_json
from airflow_provider_exia.cli.places import with_library

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.annotations import Annotation
    from airflow_provider_exia.model_library.library import ModelLibrary


def read_tags(_context: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    """Return the tags that are written as ``name=value``.

    :raises click.BadParameter: one is not, or has a name that it cannot have
    """
    from airflow_provider_exia.exceptions import InvalidInput
    from airflow_provider_exia.model_library.names import check_tag_name

    tags: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise click.BadParameter(f"{word!r} is no tag: expected name=value.")
        try:
            tags[check_tag_name(name)] = text
        except InvalidInput as error:
            raise click.BadParameter(f"{error}.") from error
    return tags


@click.command()
@click.argument("reference")
@click.argument("tags", nargs=-1, metavar="[NAME=VALUE]...", callback=read_tags)
@click.option("--remove", multiple=True, metavar="NAME", help="Remove this tag; can be given several times.")
@json_option
@with_library
def tag(library: ModelLibrary, *, reference: str, tags: dict[str, str], remove: tuple[str, ...], as_json: bool) -> None:
    """Set, remove or show tags.

    REFERENCE is name/3, name@champion or name@latest for a version. Here the name alone means the model itself, not its
    champion. Without a tag nothing changes.
    """
    annotations = library.annotations
    found = annotations.of(reference)
    if remove:
        found = annotations.untag(found.reference, *remove)
    if tags:
        found = annotations.tag(found.reference, tags)
    _report(found, as_json=as_json)


@click.command()
@click.argument("reference")
@click.argument("text")
@json_option
@with_library
def note(library: ModelLibrary, *, reference: str, text: str, as_json: bool) -> None:
    """Write a note, in place of the one there.

    REFERENCE is name/3, name@champion or name@latest for a version. Here the name alone means the model itself, not its
    champion. An empty TEXT removes the note.
    """
    _report(library.annotations.note(reference, text), as_json=as_json)


def _report(annotation: Annotation, *, as_json: bool) -> None:
    if as_json:
        print_json({"reference": annotation.reference, **facts_of_annotation(annotation)})
    else:
        print_facts(annotation.reference, texts_of_annotation(annotation))
