"""Verification of what is stored: every document, every file of every READY version, every journal. Nothing is changed.

It runs beside writers and a collector: what looks damaged because it moved meanwhile is read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_exia.model_library import journal
from airflow_provider_exia.model_library.aliases import check_in_use, check_ready
from airflow_provider_exia.model_library.exceptions import ModelLibraryError, UnknownModel
from airflow_provider_exia.model_library.loading import LoadPolicy, check_manifest
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import (
    MODEL_JOURNAL,
    VERSIONS,
    FileRecord,
    JournalEntry,
    State,
    Version,
)
from airflow_provider_exia.model_library.signing import check_signature
from airflow_provider_exia.storage.blobs import BlobMissing, sha256_of
from airflow_provider_exia.storage.codec import DamagedDocument, from_document
from airflow_provider_exia.storage.documents import Query

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.storage.documents import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Something that was looked at, and what is wrong with it.

    :param name: a version's reference, or a model's journal or alias
    :param size: bytes that were read and hashed
    :param problems: what is damaged, in words; empty: nothing
    """

    name: str
    size: int = 0
    problems: tuple[str, ...] = ()


def count(resources: Resources, model: str) -> int:
    """Return how many things :func:`verify` looks at: for a bar, so what comes meanwhile is not counted."""
    return len(_read_versions(resources, model)) + 1


def verify(resources: Resources, model: str) -> Iterator[Verified]:
    """Look at a model's versions, oldest first, then at its journal with the aliases.

    :raises UnknownModel: there is no such model
    :raises StoreUnavailable: a store does not answer, which says nothing of what it keeps
    :raises StoreRefused: a store gives nothing: no permission, no such bucket
    """
    documents = _read_versions(resources, model)
    if not documents:
        raise UnknownModel(model)
    for number, document in documents:
        yield _verify_version(resources, f"{model}/{number}", document)
    yield Verified(name=f"{model}: journal", problems=tuple(_problems_of_journal(resources, model)))


def _read_versions(resources: Resources, model: str) -> list[tuple[int, Document | DamagedDocument]]:
    """Return number to document of a model's versions, oldest first; or why it cannot be read."""
    try:
        found = resources.documents.find(VERSIONS, Query(where={"model": model}, order="number"))
        return [(document["number"], document) for document in found]
    except DamagedDocument:  # which one it is, its key says
        return list(_read_one_by_one(resources, model))


def _read_one_by_one(resources: Resources, model: str) -> Iterator[tuple[int, Document | DamagedDocument]]:
    number = 1
    while _is_any(resources, model, number):
        try:
            document = resources.documents.get(VERSIONS, {"model": model, "number": number})
        except DamagedDocument as error:
            yield number, error
        else:
            if document is not None:
                yield number, document
        number += 1


def _is_any(resources: Resources, model: str, number: int) -> bool:
    """Say whether there is a version with this number or a higher one."""
    query = Query(where={"model": model}, order="number", at_least=number, limit=1)
    try:
        return bool(resources.documents.find(VERSIONS, query))
    except DamagedDocument:
        return True


def _verify_version(resources: Resources, name: str, document: Document | DamagedDocument) -> Verified:
    if isinstance(document, DamagedDocument):
        return Verified(name=name, problems=(str(document),))
    try:
        version = from_document(Version, document)
    except DamagedDocument as error:
        return Verified(name=name, problems=(str(error),))
    if version.state is not State.READY:
        return Verified(name=name)
    try:
        check_manifest(version, LoadPolicy())
    except ModelLibraryError as error:  # where its files lie follows from what was changed
        return Verified(name=name, problems=(str(error),))
    problems = (*_problems_of_signature(resources, version), *_problems_of_files(resources, version))
    return Verified(name=name, size=version.size, problems=problems)


def _problems_of_signature(resources: Resources, version: Version) -> Iterator[str]:
    try:
        check_signature(resources.keys, version)
    except ModelLibraryError as error:
        yield str(error)


def _problems_of_files(resources: Resources, version: Version) -> Iterator[str]:
    for file in version.files:
        if problem := _problem_of_file(resources, version, file):
            yield f"{file.path}: {problem}"


def _problem_of_file(resources: Resources, version: Version, file: FileRecord) -> str:
    try:
        with _open(resources, version, file) as stream:
            sha256, size = sha256_of(stream)
    except BlobMissing as error:
        return "" if _is_collected(resources, version) else f"there is none at {error.key!r} in the blob store"
    if size != file.size:
        return f"it has {size} bytes, not {file.size}"
    return "" if sha256 == file.sha256 else f"its SHA-256 is {sha256}, not {file.sha256}"


def _open(resources: Resources, version: Version, file: FileRecord) -> BinaryIO:
    text = version.inline_text(file.path)
    if text is not None:
        return BytesIO(text.encode())
    return resources.blobs.open(blob_key(resources.prefix, version, file.path))


def _is_collected(resources: Resources, version: Version) -> bool:
    """Say whether a version was collected while we looked at it: that is written before its first file goes."""
    document = resources.documents.get(VERSIONS, {"model": version.model, "number": version.number})
    return document is not None and document["state"] == State.COLLECTED.value


def _problems_of_journal(resources: Resources, model: str) -> Iterator[str]:
    newest: JournalEntry | None = None
    expected = 1
    try:
        documents = resources.documents.find(MODEL_JOURNAL, Query(where={"model": model}, order="sequence"))
    except DamagedDocument as error:
        yield str(error)
        return
    for document in documents:
        sequence = document["sequence"]
        if sequence != expected:
            yield f"entry {expected} is missing: the next one is {sequence}"
        expected = sequence + 1
        try:
            entry = from_document(JournalEntry, document)
        except DamagedDocument as error:
            yield f"entry {sequence}: {error}"
            continue
        if newest is not None and entry.at < newest.at:
            yield f"entry {sequence} is of an earlier time than entry {newest.sequence}"
        newest = entry
    if newest is not None and newest.sequence == expected - 1:
        yield from _problems_of_aliases(resources, model)


def _problems_of_aliases(resources: Resources, model: str) -> list[str]:
    """Look at every version in a stack, until no move comes between reading the aliases and their versions."""
    while True:
        entry = journal.newest_entry(resources, model)
        named = [(alias, number) for alias, state in entry.aliases.items() for number in state.stack] if entry else []
        problems = [
            f"alias {alias!r} can reach version {number}: {problem}"
            for alias, number in named
            if (problem := _why_not_usable(resources, model, number))
        ]
        if not problems or entry == journal.newest_entry(resources, model):
            return problems


def _why_not_usable(resources: Resources, model: str, number: int) -> str:
    try:
        check_in_use(resources, model, number)
        check_ready(resources, model, number)
    except (ModelLibraryError, DamagedDocument) as error:
        return str(error)
    return ""
