"""Copying versions from one library into another: embedded into servers, or development into production.

A copy is a publication of the same work with the same bytes, so a copy that was broken off goes on where it stopped.
It gets a number and a signature of its own; where it came from, with the source's signature, stays in its lineage.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.probing import share_blobs
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, Origin, State, Version
from airflow_provider_exia.model_library.signing import check_signature
from airflow_provider_exia.storage.codec import from_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.records import AliasState, JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedVersion:
    """A version and what it is in the other library.

    :param source: the version that was copied
    :param copy: the version that it is there
    :param is_new: whether this copy brought it there; False: it was there before
    :param is_in_use: whether it can be used there; False: it was retired or collected there, and stays so
    """

    source: Version
    copy: Version
    is_new: bool
    is_in_use: bool = True


def check_apart(source: ModelLibrary, target: ModelLibrary) -> None:
    """Refuse two libraries over one place for files, or one library twice.

    :raises InvalidInput: they keep their files in one place
    :raises StorageError: a store does not answer, or refuses
    """
    if share_blobs(target.resources, source.resources):
        raise InvalidInput(
            "both libraries keep their files in one place, so garbage collection of the one would delete files of the "
            "other: copy into a bucket, folder or prefix of its own"
        )


def versions_to_copy(source: ModelLibrary, model: str) -> list[Version]:
    """Return the versions of a model that are in use, oldest first: those READY and not retired."""
    retired = source.retired(model)
    in_use = [v for v in source.versions(model) if v.state is State.READY and v.number not in retired]
    return sorted(in_use, key=lambda version: version.number)


def copy_versions(source: ModelLibrary, target: ModelLibrary, model: str) -> Iterator[CopiedVersion]:
    """Copy the versions of a model that are in use, oldest first; each is in the target when it is yielded.

    Their tags and notes, and those of the model, come with them; what somebody wrote in the target stays, and what
    somebody took out of use there stays out of use.

    :raises DamagedFile: a stored file is not what was published
    :raises SignatureRefused: the source's keys have not signed a version, or the target has no key to sign with
    """
    out_of_use = target.retired(model)
    for version in versions_to_copy(source, model):
        copied = _copy_version(source, target, version, out_of_use)
        _copy_annotation(source, target, version.reference, copied.copy.reference)
        _copy_annotation(source, target, model, model)
        yield copied


def copy_aliases(
    source: ModelLibrary, target: ModelLibrary, model: str, numbers: Mapping[int, int]
) -> list[JournalEntry]:
    """Let the target's aliases name the copies of what the source's name, with what a rollback would return to.

    One that names the right copy already is not moved, so a repetition makes no entry in the journal. What is out of
    use in the target is left out: an alias whose version here is out of use there stays where it is, if it was ever set
    there.

    :param numbers: number of each version in the source to the number of its copy
    :returns: the moves that were made, oldest first
    :raises AliasMoved: somebody moved one of the target's aliases meanwhile
    """
    moves: list[JournalEntry] = []
    out_of_use = target.retired(model)
    usable = {number: copy for number, copy in numbers.items() if copy not in out_of_use}
    for alias, state in sorted(source.aliases(model).items()):
        wanted = tuple(usable[number] for number in state.stack if number in usable)
        present = target.alias(model, alias)
        if present.stack and state.live not in usable:
            continue  # where it went instead was decided there; what was live here before is nobody's choice
        expected = present.since
        for number in _to_promote(wanted, present):
            entry = target.promote(
                f"{model}/{number}",
                alias=alias,
                expected=expected,
                reason=f"copied with the versions of {model}, as its move {state.since} there left it",
            )
            expected = entry.sequence
            moves.append(entry)
    return moves


def _copy_version(source: ModelLibrary, target: ModelLibrary, version: Version, out_of_use: Set[int]) -> CopiedVersion:
    present = _find_copy(target, version)
    if present is not None and present.state in (State.READY, State.COLLECTED):
        if present.state is State.READY:
            check_signature(target.resources.keys, present)
        in_use = present.number not in out_of_use
        return CopiedVersion(source=version, copy=present, is_new=False, is_in_use=in_use)
    with tempfile.TemporaryDirectory(prefix="exia-") as folder:
        source.fetch(version, folder)
        copy = target.publish(
            version.model,
            _sources_in(Path(folder), version),
            format=version.format,
            metrics=version.metrics,
            lineage=replace(version.lineage, origins=(*version.lineage.origins, _origin_of(version))),
            input_schema=version.input_schema,
            work=version.work,
        )
    return CopiedVersion(source=version, copy=copy, is_new=True)


def _find_copy(target: ModelLibrary, version: Version) -> Version | None:
    """Return what the target knows under the publication's name, which is the same in every library."""
    key = {"model": version.model, "publication": version.publication}
    document = target.resources.documents.get(VERSIONS, key)
    return None if document is None else from_document(Version, document)


def _sources_in(folder: Path, version: Version) -> list[SourceFile]:
    return [
        SourceFile(
            source=folder / file.path,
            path=file.path,
            role=file.role,
            inline=version.inline_text(file.path) is not None,
        )
        for file in version.files
    ]


def _copy_annotation(source: ModelLibrary, target: ModelLibrary, reference: str, copy: str) -> None:
    here, there = source.annotations.of(reference), target.annotations.of(copy)
    missing = {name: text for name, text in here.tags.items() if name not in there.tags}
    if missing:
        target.annotations.tag(copy, missing)
    if here.note and not there.note:
        target.annotations.note(copy, here.note)


def _origin_of(version: Version) -> Origin:
    return Origin(number=version.number, signature=version.signature, ready_at=version.ready_at)


def _to_promote(wanted: tuple[int, ...], present: AliasState) -> tuple[int, ...]:
    """Return what to promote, in order, so that the alias stands as wanted without going back in between.

    Where the wanted version is live already, what lies below it stays: to bring that in order would go back.
    """
    if wanted[:1] == present.stack[:1] or not wanted:
        return ()
    known = len(present.stack)
    if wanted[len(wanted) - known :] == present.stack:  # also when it was never set
        return tuple(reversed(wanted[: len(wanted) - known]))
    return wanted[:1]  # it went another way there: only what is live is taken over
