"""The commands that look: models, versions, show, history. They make no library and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from airflow_provider_exia.cli.annotating import read_tags
from airflow_provider_exia.cli.facts import (
    aliases_by_version,
    facts_of_annotation,
    facts_of_entry,
    facts_of_model,
    facts_of_version,
    find_version,
    inline_text,
    lineage_texts,
    standing,
    texts_of_annotation,
)
from airflow_provider_exia.cli.output import (
    Column,
    json_option,
    pairs_text,
    print_facts,
    print_json,
    print_table,
    size_text,
    time_text,
)
from airflow_provider_exia.cli.places import with_library
from airflow_provider_exia.clock import from_text

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import JournalEntry, Version

_MODEL_COLUMNS = (
    Column(title="MODEL"),
    Column(title="ALIASES", wraps=True),
    Column(title="NEWEST", right=True),
    Column(title="VERSIONS", right=True),
    Column(title="PUBLISHED"),
)
_VERSION_COLUMNS = (
    Column(title="VERSION"),
    Column(title="STATE"),
    Column(title="ALIASES", wraps=True),
    Column(title="METRICS", wraps=True),
    Column(title="FORMAT"),
    Column(title="SIZE", right=True),
    Column(title="PUBLISHED"),
)
_FILE_COLUMNS = (Column(title="FILE"), Column(title="ROLE"), Column(title="SIZE", right=True), Column(title="SHA256"))
_ENTRY_COLUMNS = (
    Column(title="MOVE", right=True),
    Column(title="WHEN"),
    Column(title="ACTION"),
    Column(title="VERSION"),
    Column(title="ALIAS"),
    Column(title="BY"),
    Column(title="REASON", wraps=True),
)


_limit_option = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="How many at the most; default: all."
)


@click.command()
@_limit_option
@click.option("--after", metavar="MODEL", help="Only models behind this one: the last of the page before.")
@json_option
@with_library
def models(library: ModelLibrary, *, limit: int | None, after: str | None, as_json: bool) -> None:
    """List the models with their aliases."""
    facts = [facts_of_model(library, model) for model in library.models(limit=limit, after=after)]
    if as_json:
        print_json(facts)
    elif not facts:
        behind = f"No model comes behind {after!r}." if after else "No model was published in this library yet."
        click.echo(behind, err=True)
    else:
        rows = [
            (
                fact["model"],
                ", ".join(f"{name} {alias['version']}" for name, alias in fact["aliases"].items()),
                str(fact["newest"] or ""),
                str(fact["versions"]),
                time_text(fact["newest_ready_at"] and from_text(fact["newest_ready_at"])),
            )
            for fact in facts
        ]
        print_table(_MODEL_COLUMNS, rows)


@click.command()
@click.argument("model")
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", callback=read_tags, help="Only versions with this tag."
)
@_limit_option
@click.option("--before", type=int, metavar="NUMBER", help="Only versions below this one: the last of the page before.")
@json_option
@with_library
def versions(
    library: ModelLibrary, *, model: str, tags: dict[str, str], limit: int | None, before: int | None, as_json: bool
) -> None:
    """List the versions of MODEL, newest first."""
    found = library.versions(model, limit=None if tags else limit, before=before)
    retired = library.retired(model)
    if tags:
        annotated = library.annotations.of_versions(model)
        found = [v for v in found if v.number in annotated and tags.items() <= annotated[v.number].tags.items()][:limit]
    aliases = aliases_by_version(library.aliases(model))
    if as_json:
        print_json(
            [
                facts_of_version(version, aliases=aliases.get(version.number, ()), retired=version.number in retired)
                for version in found
            ]
        )
        return
    rows = [
        (
            version.reference,
            standing(version, retired),
            ", ".join(aliases.get(version.number, ())),
            pairs_text(version.metrics),
            version.format,
            size_text(version.size),
            time_text(version.ready_at),
        )
        for version in found
    ]
    print_table(_VERSION_COLUMNS, rows)


@click.command()
@click.argument("reference")
@json_option
@with_library
def show(library: ModelLibrary, *, reference: str, as_json: bool) -> None:
    """Show one version: files, metrics, lineage, schema.

    REFERENCE is name/3, name@champion, name@latest, or the name alone, which means its champion.
    """
    version = find_version(library, reference)
    retired = library.retired(version.model)
    aliases = aliases_by_version(library.aliases(version.model)).get(version.number, [])
    annotation, of_model = library.annotations.of(version.reference), library.annotations.of(version.model)
    if as_json:
        facts = facts_of_version(version, aliases=aliases, retired=version.number in retired)
        print_json({**facts, **facts_of_annotation(annotation), "of_model": facts_of_annotation(of_model)})
        return
    _print_version(version, state=standing(version, retired), aliases=", ".join(aliases))
    for title, written in ((f"Beside {version.reference}", annotation), (f"Beside {version.model}", of_model)):
        if written.tags or written.note:
            click.echo()
            print_facts(title, texts_of_annotation(written))


@click.command()
@click.argument("model")
@click.option("--alias", help="Only this alias's moves.")
@json_option
@with_library
def history(library: ModelLibrary, *, model: str, alias: str | None, as_json: bool) -> None:
    """List every move in MODEL's journal, newest first."""
    from airflow_provider_exia.model_library.names import check_alias

    entries = library.history(model, alias=alias if alias is None else check_alias(alias))
    if as_json:
        print_json([facts_of_entry(entry) for entry in entries])
    elif not entries:
        what = f"The alias {alias!r} of {model!r} has never moved" if alias else f"Nothing of {model!r} has moved yet"
        click.echo(f"{what}: 'exia versions {model}' lists what can be promoted.", err=True)
    else:
        print_table(_ENTRY_COLUMNS, [_row_of_entry(entry) for entry in entries])


def _row_of_entry(entry: JournalEntry) -> tuple[str, ...]:
    version = f"{entry.model}/{entry.version}"
    return (
        str(entry.sequence),
        time_text(entry.at),
        entry.action.value,
        version,
        entry.alias or "",
        entry.by,
        entry.reason,
    )


def _print_version(version: Version, *, state: str, aliases: str) -> None:
    facts = {
        "state": state,
        "aliases": aliases,
        "published": time_text(version.ready_at) or f"not yet, begun {time_text(version.created_at)}",
        "format": version.format,
        "size": size_text(version.size),
        "digest": version.digest,
        "supersedes": f"{version.model}/{version.supersedes}" if version.supersedes is not None else "",
        "metrics": pairs_text(version.metrics),
    }
    print_facts(version.reference, facts)
    click.echo()
    rows = [(file.path, file.role.value, size_text(file.size), file.sha256) for file in version.files]
    print_table(_FILE_COLUMNS, rows)
    for path, text in (version.inline or {}).items():
        click.echo(f"\n{path} (in the document)\n{inline_text(text)}")
    for title, more in (("Lineage", lineage_texts(version.lineage)), ("Input schema", version.input_schema or {})):
        if any(more.values()):
            click.echo()
            print_facts(title, more)
