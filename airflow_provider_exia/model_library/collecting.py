"""Garbage collection: the only thing that deletes a blob, in passes that may stop anywhere and be repeated.

What is deleted can never be wanted again: a document says so before (ABANDONED or COLLECTED at the blob's number, or
already at a higher one), so a delete that lands days later is harmless. No clock decides that; the grace time only
keeps the collector from giving up work that still goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library import aliases, journal
from airflow_provider_exia.model_library.exceptions import MoveRefused, VersionCollected
from airflow_provider_exia.model_library.records import VERSIONS, Action, JournalEntry, State, Version
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import Query, WriteConflict, WriteUnknown

if TYPE_CHECKING:
    from airflow_provider_exia.storage.blobs import BlobInfo

GRACE = timedelta(hours=72)
SHORTEST_GRACE = timedelta(hours=24)

_DEAD = (State.ABANDONED, State.COLLECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a pass met, and what it says of it.

    :param name: a version's reference, a blob's key or an upload
    :param why: the reason, in words
    :param size: bytes; 0 for what is no blob
    """

    name: str
    why: str
    size: int = 0


@dataclass(slots=True, kw_only=True)
class CollectReport:
    """What one pass did, or would do.

    :param dry_run: whether nothing was changed
    :param abandoned: publications that did not go on for the grace time
    :param collected: retired versions whose files go
    :param deleted: blobs
    :param aborted: uploads that never ended
    :param kept: what may be garbage later, or cannot be placed; nothing of it was touched
    """

    dry_run: bool
    abandoned: list[Finding] = field(default_factory=list)
    collected: list[Finding] = field(default_factory=list)
    deleted: list[Finding] = field(default_factory=list)
    aborted: list[Finding] = field(default_factory=list)
    kept: list[Finding] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Bytes of the deleted blobs."""
        return sum(blob.size for blob in self.deleted)


def check_grace(grace: timedelta) -> timedelta:
    """Return a grace time that is long enough.

    :raises InvalidInput: it is shorter than the floor, so an upload that still goes on could be given up
    """
    if grace < SHORTEST_GRACE:
        hours = grace.total_seconds() / 3600
        raise InvalidInput(
            f"a grace time of {hours:g} h is too short: expected 24 h or more, and more than the longest upload takes"
        )
    return grace


def collect(
    resources: Resources,
    model: str,
    *,
    by: str,
    grace: timedelta = GRACE,
    delete: bool = False,
    watch: Callable[[Finding], None] = lambda _finding: None,
) -> CollectReport:
    """Make one pass over a model.

    :param by: who does it, for the journal
    :param grace: how long a publication may take, and how long a retired version can be restored
    :param delete: False: change nothing, and report what would be done
    :param watch: told of each blob that goes
    :raises OutcomeUnknown: the stores stopped answering; make another pass
    """
    before = resources.clock.now() - check_grace(grace)
    report = CollectReport(dry_run=not delete)
    planned = dict(_abandon_all(resources, model, before, report))
    planned |= _collect_retired(resources, model, before, by, report)
    # First the documents, then the blobs: a blob that is newer than the reading is above every number that was read.
    versions = {version.publication: version for version in _versions(resources, model)}
    if report.dry_run:
        versions |= {version.publication: version for version in planned.values()}
    start = f"{resources.prefix}/{model}/"
    for blob in resources.blobs.list(start):
        _sort(resources, blob, blob.key.removeprefix(start), versions, report, watch)
    return report


def abort_uploads(resources: Resources, *, grace: timedelta = GRACE, delete: bool = False) -> CollectReport:
    """Give up the uploads of all models that began before the grace time and never ended.

    :param delete: False: change nothing, and report what would be done
    """
    report = CollectReport(dry_run=not delete)
    before = resources.clock.now() - check_grace(grace)
    for upload in resources.blobs.unfinished(f"{resources.prefix}/", before=before):  # others may use the bucket too
        if delete:
            resources.blobs.abort(upload)
            crash_point("collect.upload-aborted")
        report.aborted.append(Finding(name=upload, why="it never ended"))
    return report


def _abandon_all(
    resources: Resources, model: str, before: datetime, report: CollectReport
) -> Iterator[tuple[int, Version]]:
    for version in _versions(resources, model, State.PENDING):
        if version.created_at > before:
            report.kept.append(Finding(name=version.reference, why="its publication began within the grace time"))
            continue
        try:
            if not report.dry_run:
                _abandon(resources, version)
        except (WriteConflict, WriteUnknown):  # it went on, or nobody knows: the next pass sees
            report.kept.append(Finding(name=version.reference, why="its publication went on, or gave no answer"))
            continue
        report.abandoned.append(Finding(name=version.reference, why="its publication did not go on"))
        yield version.number, replace(version, state=State.ABANDONED)


def _abandon(resources: Resources, pending: Version) -> None:
    abandoned = replace(pending, state=State.ABANDONED)
    resources.documents.swap(VERSIONS, to_document(abandoned), revision=pending.revision)
    crash_point("collect.abandoned")


def _collect_retired(
    resources: Resources, model: str, before: datetime, by: str, report: CollectReport
) -> Mapping[int, Version]:
    """Collect what was retired before the grace time; finish what an earlier pass began."""
    planned = {}
    ready = {version.number: version for version in _versions(resources, model, State.READY)}
    for number, entry in _newest_by_version(resources, model).items():
        version = ready.get(number)
        if version is None or entry.action not in (Action.RETIRE, Action.COLLECT):
            continue
        try:
            if report.dry_run:
                aliases.check_collectable(resources, model, number, before=before)
            else:
                _write_entry(resources, version, before, by)
        except VersionCollected:
            pass  # the entry is there; what follows it may not be
        except MoveRefused as error:
            report.kept.append(Finding(name=version.reference, why=str(error)))
            continue
        if not report.dry_run:
            _finish(resources, version)
        planned[number] = replace(version, state=State.COLLECTED)
        report.collected.append(Finding(name=version.reference, why=f"retired at {entry.at:%Y-%m-%dT%H:%M:%SZ}"))
    return planned


def _write_entry(resources: Resources, version: Version, before: datetime, by: str) -> None:
    """Append the collect entry, after which nobody can restore or promote the version."""
    collection = aliases.collection(resources, version.model, version.number, before=before)
    signing = journal.Signing(by=by, token=resources.new_token())
    journal.append(resources, version.model, collection, signing)
    crash_point("collect.entry-written")


def _finish(resources: Resources, version: Version) -> None:
    """Make the document COLLECTED, after which its blobs may go."""
    key = {"model": version.model, "publication": version.publication}
    for attempt in Attempts(resources, operation=f"collect {version.reference}", token=version.reference):
        with attempt:
            document = resources.documents.get(VERSIONS, key)
            found = None if document is None else from_document(Version, document)
            if found is None or found.state is not State.READY:
                return
            collected = replace(found, state=State.COLLECTED, inline=None)  # what lies in the document goes here
            resources.documents.swap(VERSIONS, to_document(collected), revision=found.revision)
            crash_point("collect.document-collected")
            return


def _sort(
    resources: Resources,
    blob: BlobInfo,
    name: str,
    versions: Mapping[str, Version],
    report: CollectReport,
    watch: Callable[[Finding], None],
) -> None:
    """Delete a blob that nobody can want again; report one that belongs to no document."""
    publication, _, rest = name.partition("/")
    number, _, path = rest.partition("/")
    version = versions.get(publication)
    if version is None or not path or not number.isdecimal() or number.startswith("0"):
        report.kept.append(
            Finding(name=blob.key, why="no document names it: newer than this pass, or not ours", size=blob.size)
        )
    elif _is_garbage(int(number), version):
        _delete(resources, blob, _reason(int(number), version), report, watch)
    elif int(number) > version.number:
        report.kept.append(Finding(name=blob.key, why="newer than this pass", size=blob.size))
    elif path not in {file.path for file in version.files}:
        why = f"{version.reference} has no such file; the collector judges by number alone"
        report.kept.append(Finding(name=blob.key, why=why, size=blob.size))


def _is_garbage(number: int, version: Version) -> bool:
    """Say whether a blob under this number can never be wanted again."""
    return number < version.number or (number == version.number and version.state in _DEAD)


def _reason(number: int, version: Version) -> str:
    if number < version.number:
        return f"of an earlier attempt at what is now {version.reference}"
    return f"{version.reference} is {version.state.lower()}"


def _delete(
    resources: Resources, blob: BlobInfo, why: str, report: CollectReport, watch: Callable[[Finding], None]
) -> None:
    finding = Finding(name=blob.key, why=why, size=blob.size)
    try:
        if not report.dry_run:
            resources.blobs.delete(blob.key)
            crash_point("collect.blob-deleted")
    except WriteUnknown:
        report.kept.append(replace(finding, why="no answer whether it was deleted: the next pass sees"))
        return
    report.deleted.append(finding)
    watch(finding)


def _versions(resources: Resources, model: str, state: State | None = None) -> Iterator[Version]:
    where: dict[str, str | int] = {"model": model}
    if state is not None:
        where["state"] = state.value
    for document in resources.documents.find(VERSIONS, Query(where=where, order="number")):
        yield from_document(Version, document)


def _newest_by_version(resources: Resources, model: str) -> dict[int, JournalEntry]:
    newest: dict[int, JournalEntry] = {}
    for entry in journal.entries(resources, model):
        newest.setdefault(entry.version, entry)
    return newest
