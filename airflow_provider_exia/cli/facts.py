"""What the commands say about models, versions and moves: the JSON for machines and the words for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.cli.output import pairs_text, time_text

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.annotations import Annotation
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import AliasState, JournalEntry, Lineage, Version

_SHOWN_BLOCKS = 3
_SHOWN_CHARACTERS = 1_000


def find_version(library: ModelLibrary, reference: str) -> Version:
    """Return the version that a reference names; one named by its number also when it cannot be used.

    :raises NotFound: there is none
    """
    from airflow_provider_exia.model_library.exceptions import UnknownVersion
    from airflow_provider_exia.model_library.names import parse_reference

    parsed = parse_reference(reference)
    if parsed.number is None:
        return library.resolve(reference)
    found = library.versions(parsed.model, before=parsed.number + 1, limit=1)
    if not found or found[0].number != parsed.number:
        raise UnknownVersion(reference)
    return found[0]


def aliases_by_version(aliases: Mapping[str, AliasState]) -> dict[int, list[str]]:
    """Return version number to the aliases that name it."""
    names: dict[int, list[str]] = {}
    for name, state in sorted(aliases.items()):
        names.setdefault(state.live, []).append(name)
    return names


def facts_of_model(library: ModelLibrary, model: str) -> dict[str, Any]:
    """Return the JSON of one model."""
    from airflow_provider_exia.model_library.records import State

    versions = [version for version in library.versions(model) if version.state is State.READY]
    newest = versions[0] if versions else None
    aliases = {
        name: {"version": state.live, "since": state.since, "stack": list(state.stack)}
        for name, state in sorted(library.aliases(model).items())
    }
    return {
        "model": model,
        "versions": len(versions),
        "newest": newest.number if newest else None,
        "newest_ready_at": _document(newest)["ready_at"] if newest else None,
        "aliases": aliases,
    }


def facts_of_version(version: Version, *, aliases: Sequence[str], retired: bool) -> dict[str, Any]:
    """Return the JSON of one version: its document, and what the model's journal says about it.

    :param aliases: those that name it
    :param retired: whether it is out of use
    """
    return {
        "reference": version.reference,
        "aliases": list(aliases),
        "retired": retired,
        "size": version.size,
        **_document(version),
    }


def facts_of_annotation(annotation: Annotation) -> dict[str, Any]:
    """Return the JSON of the tags and the note of a version or model."""
    return {"tags": dict(annotation.tags), "note": annotation.note}


def texts_of_annotation(annotation: Annotation) -> dict[str, str]:
    """Return the tags and the note as names and texts for people."""
    return {"tags": pairs_text(annotation.tags), "note": annotation.note}


def facts_of_entry(entry: JournalEntry) -> dict[str, Any]:
    """Return the JSON of one journal entry."""
    return _document(entry)


def standing(version: Version, retired: Collection[int]) -> str:
    """Return in one word whether the version can be used.

    :param retired: numbers of the model's versions that are out of use
    """
    from airflow_provider_exia.model_library.records import State

    return "retired" if version.state is State.READY and version.number in retired else version.state.lower()


def lineage_texts(lineage: Lineage) -> dict[str, str]:
    """Return the lineage as names and texts for people; empty where nothing is known."""
    return {
        "data up to": time_text(lineage.as_of),
        "data digest": lineage.data_digest or "",
        "parameters": pairs_text(lineage.parameters),
        "snapshot": snapshot_text(lineage.snapshot),
        "trained on": _blocks_text(lineage.training_blocks or ()),
        "DAG run": pairs_text(lineage.dag_run or {}),
        "code version": lineage.code_version or "",
        "environment": pairs_text(lineage.environment),
        "champion then": lineage.champion or "",
    }


def snapshot_text(snapshot: Mapping[str, Any] | None) -> str:
    """Return what names a snapshot of parameters; empty where there is none."""
    if snapshot is None:
        return ""
    return (
        f"{len(snapshot['values'])} parameters below {snapshot['prefix']} in Consul, digest {snapshot['digest'][:12]}"
    )


def inline_text(text: str) -> str:
    """Return the text of an inline file for people: its beginning, without what a terminal would obey."""
    shown = "".join(
        mark if mark.isprintable() or mark == "\n" else "\N{REPLACEMENT CHARACTER}" for mark in text[:_SHOWN_CHARACTERS]
    )
    more = len(text) - len(shown)
    return f"{shown} ... and {more} more characters: see --json" if more else shown


def _blocks_text(blocks: Sequence[str]) -> str:
    shown = ", ".join(blocks[:_SHOWN_BLOCKS])
    more = f", ... {blocks[-1]}" if len(blocks) > _SHOWN_BLOCKS else ""
    return f"{len(blocks)} blocks: {shown}{more}" if blocks else ""


def _document(record: Version | JournalEntry) -> dict[str, Any]:
    from airflow_provider_exia.storage.codec import to_document

    document = to_document(record)
    del document["revision"]  # the store's own bookkeeping
    return document
