"""Publishing: a document PENDING, the files put and read back, the document READY. A retry finishes what was begun.

No step trusts that an earlier one was seen to succeed: after a conflict or a lost reply the loop reads again. Nothing
is ever deleted here, because a write that got no answer may still land.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import (
    DamagedFile,
    FormatRefused,
    SignatureRefused,
    VersionCollected,
)
from airflow_provider_exia.model_library.formats import PICKLES, check_format, format_named
from airflow_provider_exia.model_library.manifest import (
    blob_key,
    canonical_json,
    check_paths,
    digest_of,
    manifest_of,
    publication_of,
)
from airflow_provider_exia.model_library.names import check_key_text, check_model_name
from airflow_provider_exia.model_library.records import (
    VERSIONS,
    FileRecord,
    Lineage,
    Role,
    State,
    Version,
)
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.model_library.signing import check_signature, sign
from airflow_provider_exia.storage.blobs import BlobMissing, FileDigest, OtherBytes, measure, sha256_of
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import Query

INLINE_BYTES = 1_000_000
"""How much text one version's document keeps: far below the 16 MB of a MongoDB document, also when it is escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to publish.

    :param source: where it lies now
    :param path: its path inside the version; default: its name
    :param role: what it is for
    :param inline: keep its text in the version's document; what is too large for that goes to the blob store by itself
    """

    source: Path
    path: str = ""
    role: Role = Role.MODEL
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What to publish.

    :param model: the model's name
    :param files: at least one, with exactly one of the role ``model``
    :param format: of the file with the role ``model``
    :param work: what makes a retry the same work; default: the digest of the files
    :param metrics: name to finite number
    :param lineage: where it came from
    :param input_schema: column name to type
    """

    model: str
    files: Sequence[SourceFile]
    format: str
    work: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    input_schema: Mapping[str, str] | None = None


def publish(resources: Resources, publication: Publication) -> Version:
    """Publish files as one new version; the same work with the same bytes returns the version it already is.

    :returns: the READY version
    :raises InvalidInput: a file is missing or empty, a name, path, metric or format cannot be used
    :raises SignatureRefused: keys are configured, and none to sign with, or none that has signed what is there
    :raises DamagedFile: the document that is there was changed
    :raises VersionCollected: this very publication was retired and collected
    :raises OutcomeUnknown: the stores stopped answering; publish again with the same work
    """
    check_publishable(resources, publication.model, publication.format)
    sources = _check_sources(publication)
    digests = {path: measure(file.source, part_bytes=resources.blobs.part_bytes) for path, file in sources.items()}
    wanted = _describe(resources, publication, sources, digests)
    attempts = Attempts(resources, operation=f"publish a version of {wanted.model}", token=wanted.work)
    for attempt in attempts:
        with attempt:
            found = _read(resources, wanted)
            if found is not None and found.state is State.READY:
                check_signature(resources.keys, found)
                return found
            if found is not None and found.state is State.COLLECTED:
                raise VersionCollected(found.reference)
            pending = found if found is not None and found.state is State.PENDING else _start(resources, wanted, found)
            crash_point("publish.pending-written")
            if not _store(resources, pending, sources, digests):
                _check_unchanged(pending, sources)
                continue
            crash_point("publish.blobs-verified")
            ready = _finish(resources, pending)
            crash_point("publish.ready-written")
            return ready
    raise AssertionError("attempts end by an error")


def find_ready(resources: Resources, model: str, work: str) -> Version | None:
    """Return the newest READY version of a piece of work, or None: what a retry asks before it does the work again."""
    about = {"model": check_model_name(model), "work": check_key_text(work, what="work")}
    newest = Query(where=about, order="number", descending=True)
    versions = (from_document(Version, document) for document in resources.documents.find(VERSIONS, newest))
    return next((version for version in versions if version.state is State.READY), None)


def check_publishable(resources: Resources, model: str, format_name: str) -> None:
    """Refuse a model's name, a format, or what could not be loaded with these very keys: before any work is done.

    :raises InvalidInput: the name or the format cannot be one
    :raises FormatRefused: reading the format runs code, and there is no key to sign with
    :raises SignatureRefused: keys are configured, and none to sign with
    """
    check_model_name(model)
    format_named(format_name, allow_pickle=True)  # the key is asked for below
    if resources.keys.signing is not None:
        return
    if format_name in PICKLES:
        raise FormatRefused(
            f"a {format_name} file of {model!r} is refused without a signing key: reading it runs "
            "code, so readers must know whose; configure a key, or use skops, safetensors, onnx, json or raw"
        )
    if resources.keys.configured:
        raise SignatureRefused(
            reference=f"a version of {model}",
            problem="it would not be signed, and keys are configured here: publish with a signing key",
        )


def _check_sources(publication: Publication) -> dict[str, SourceFile]:
    check_paths(file.path or file.source.name for file in publication.files)
    sources = {file.path or file.source.name: file for file in publication.files}
    for path, file in sources.items():
        if file.role not in set(Role):
            raise InvalidInput(f"{file.source}: its role is {file.role!r}, expected one of {', '.join(Role)}")
        if not file.source.is_file():
            raise InvalidInput(f"{file.source}: no such file to publish as {path!r} of {publication.model!r}")
        if file.source.stat().st_size == 0:
            raise InvalidInput(f"{file.source}: the file is empty; a version needs the bytes of a model")
    models = [file for file in sources.values() if file.role == Role.MODEL]
    if len(models) != 1:
        raise InvalidInput(
            f"a version of {publication.model!r} needs exactly one file with the role 'model', not {len(models)}"
        )
    check_format(publication.format, models[0].source, allow_pickle=True)  # check_publishable has asked for the key
    return sources


def _describe(
    resources: Resources,
    publication: Publication,
    sources: Mapping[str, SourceFile],
    digests: Mapping[str, FileDigest],
) -> Version:
    """Return the version as it shall be, with no number yet."""
    files = [_file_record(path, file, digests[path]) for path, file in sorted(sources.items())]
    digest = digest_of(files, publication.format)
    work = digest if publication.work is None else check_key_text(publication.work, what="work")
    _check_facts(publication)
    wanted = Version(
        model=publication.model,
        number=0,
        publication=publication_of(work, digest),
        work=work,
        digest=digest,
        format=publication.format,
        files=tuple(files),
        state=State.PENDING,
        metrics={name: float(value) for name, value in publication.metrics.items()},
        lineage=publication.lineage,
        input_schema=publication.input_schema,
        created_at=resources.clock.now(),
        inline=_inline_texts(publication.model, files, sources),
    )
    return from_document(Version, to_document(wanted))  # what cannot be stored is refused before a number is taken


def _file_record(path: str, file: SourceFile, digest: FileDigest) -> FileRecord:
    return FileRecord(path=path, role=Role(file.role), sha256=digest.sha256, size=digest.size)


def _inline_texts(model: str, files: Sequence[FileRecord], sources: Mapping[str, SourceFile]) -> dict[str, str] | None:
    """Return path to text of what the document keeps; None where that is nothing, or too much for one document."""
    inline = [file for file in files if sources[file.path].inline]
    if not inline or sum(file.size for file in inline) > INLINE_BYTES:
        return None
    texts = {}
    for file in inline:
        source = sources[file.path].source
        content = source.read_bytes()
        if sha256_of(BytesIO(content)) != (file.sha256, file.size):
            raise InvalidInput(f"{source}: the file changed while it was published: write it to its end first")
        try:
            texts[file.path] = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"{source}: {file.path!r} of {model!r} is not UTF-8 text, which is all that a document holds: publish "
                "it without 'inline'"
            ) from error
    return texts


def _check_unchanged(pending: Version, sources: Mapping[str, SourceFile]) -> None:
    """Refuse a source that is not what it was when the publication began: its bytes will never be the stored ones."""
    for file in pending.files:
        source = sources[file.path]
        if _file_record(file.path, source, measure(source.source)) != file:
            raise InvalidInput(
                f"{source.source}: the file changed while it was published as {pending.reference}: write it to its end "
                "first, then publish again"
            )


def _check_facts(publication: Publication) -> None:
    if not isinstance(publication.metrics, Mapping):
        raise InvalidInput(
            f"the metrics of {publication.model!r} are a {type(publication.metrics).__name__}: expected names and "
            'numbers, as in {"brier": 0.2}'
        )
    for name, metric in publication.metrics.items():
        if not _is_finite_number(metric):
            raise InvalidInput(f"metric {name!r} of {publication.model!r} is {metric!r}: expected a finite number")
    for name, value in publication.lineage.parameters.items():
        try:
            canonical_json({name: value})
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(
                f"parameter {name!r} of {publication.model!r} is {value!r}: expected a JSON value"
            ) from error
    as_of = publication.lineage.as_of
    if as_of is not None and as_of.tzinfo is None:
        raise InvalidInput(
            f"'as_of' of {publication.model!r} is {as_of.isoformat()}, without a time zone: give an aware datetime, "
            "for example in UTC"
        )


def _is_finite_number(value: object) -> bool:
    if isinstance(value, str | bytes | bool):  # float() would take them, and True would be 1 beside measured numbers
        return False
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]  # what is none raises
    except (TypeError, ValueError, OverflowError):
        return False


def _read(resources: Resources, wanted: Version) -> Version | None:
    key = {"model": wanted.model, "publication": wanted.publication}
    document = resources.documents.get(VERSIONS, key)
    if document is None:
        return None
    found = from_document(Version, document)
    if manifest_of(found) != manifest_of(replace(wanted, number=found.number)):
        # Its names are computed from this very list: somebody else changed it, and we would put our name under that.
        raise DamagedFile(reference=found.reference, path="(manifest)", problem="its list of files was changed")
    _check_inline(found)
    return found


def _check_inline(found: Version) -> None:
    """Refuse a document whose own text is wrong: unlike a blob, it is not put again."""
    for file in found.files:
        text = found.inline_text(file.path)
        if text is not None and sha256_of(BytesIO(text.encode())) != (file.sha256, file.size):
            raise DamagedFile(reference=found.reference, path=file.path, problem="its text in the document was changed")


def _start(resources: Resources, wanted: Version, abandoned: Version | None) -> Version:
    """Write the PENDING document under a new number."""
    number = _next_number(resources, wanted)
    crash_point("publish.number-taken")
    earlier = find_ready(resources, wanted.model, wanted.work)
    pending = replace(
        wanted,
        number=number,
        supersedes=earlier.number if earlier else None,
        created_at=resources.clock.now(),
    )
    if abandoned is None:
        resources.documents.insert(VERSIONS, to_document(pending))
        return replace(pending, revision=1)
    resources.documents.swap(VERSIONS, to_document(pending), revision=abandoned.revision)
    return replace(pending, revision=abandoned.revision + 1)


def _next_number(resources: Resources, wanted: Version) -> int:
    attempts = Attempts(resources, operation=f"take a version number of {wanted.model}", token=wanted.work)
    for attempt in attempts:
        with attempt:
            return resources.documents.next_number(f"versions:{wanted.model}")
    raise AssertionError("attempts end by an error")


def _store(
    resources: Resources, version: Version, sources: Mapping[str, SourceFile], digests: Mapping[str, FileDigest]
) -> bool:
    """Put every file that is not in the document, then say whether the store holds their very bytes."""
    blobs = [file for file in version.files if version.inline_text(file.path) is None]
    for file in blobs:
        key, source = blob_key(resources.prefix, version, file.path), sources[file.path].source
        try:
            resources.blobs.put(key, source, digest=digests[file.path])
        except OtherBytes:  # changed here or on the way
            return False
        crash_point("publish.blob-written")
    return all(_is_stored(resources, version, file, digests[file.path]) for file in blobs)


def _is_stored(resources: Resources, version: Version, file: FileRecord, digest: FileDigest) -> bool:
    """Say whether the store holds the file's very bytes: by what it computed over them itself, else by reading back."""
    key = blob_key(resources.prefix, version, file.path)
    info = resources.blobs.stat(key)
    if info is None or info.size != file.size:
        return False
    if info.checksum == digest.checksum:
        return True
    try:
        with resources.blobs.open(key) as stream:
            return sha256_of(stream) == (file.sha256, file.size)
    except BlobMissing:
        return False


def _finish(resources: Resources, pending: Version) -> Version:
    """Sign the version and make it READY.

    It is signed here, by the one who has read its bytes back, and not when it got its number: it may have been begun
    without this key, and what never became READY needs no signature.
    """
    signer = resources.keys.signing
    ready = replace(
        pending,
        state=State.READY,
        ready_at=resources.clock.now(),
        signature=sign(signer, pending) if signer else None,
    )
    resources.documents.swap(VERSIONS, to_document(ready), revision=pending.revision)
    return replace(ready, revision=pending.revision + 1)
