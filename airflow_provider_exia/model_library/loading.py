"""The one door through which a stored model becomes files and an object here.

In this order: reference resolved, document and signature checked, key computed, size and SHA-256 checked while
streaming to a private file, format allowed by configuration. Only then does a loader see the file: the very copy that
was hashed as it was written, in a folder that is its process's own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.cache import FileCache
from airflow_provider_exia.model_library.distributions import (
    OtherEnvironment as OtherEnvironment,  # readers of models look for it here
)
from airflow_provider_exia.model_library.distributions import installed_version, is_other_major, other_version
from airflow_provider_exia.model_library.exceptions import DamagedFile, FormatRefused, VersionCollected
from airflow_provider_exia.model_library.formats import DEFAULT_FORMATS, PICKLES, Format, Trust, format_named
from airflow_provider_exia.model_library.manifest import blob_key, check_paths, digest_of, publication_of
from airflow_provider_exia.model_library.names import check_model_name
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Role, State, Version
from airflow_provider_exia.model_library.signing import check_signature
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, BlobMissing, HashBeside
from airflow_provider_exia.storage.codec import from_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources

_RESOLUTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPolicy:
    """What may be loaded; it comes from the operator's configuration, never from the artifact.

    :param formats: names of the formats that may be read
    :param trusted_types: types beyond the library's own list that may be built
    :param importable: packages whose code may be imported where a model is a reference to code
    :param max_bytes: largest version that is fetched, and most that an archive in it unpacks to; None for no limit
    :param refuse_other_major: refuse instead of warn when the library's major version differs from the training's
    :param allow_pickle: read pickle and joblib files too, which run code, if a configured key has signed the version
    :param cache: keeps fetched files for the next load; None for no cache
    """

    formats: frozenset[str] = DEFAULT_FORMATS
    trusted_types: tuple[str, ...] = ()
    importable: tuple[str, ...] = ()
    max_bytes: int | None = None
    refuse_other_major: bool = False
    allow_pickle: bool = False
    cache: FileCache | None = None

    @property
    def trust(self) -> Trust:
        """What a loader may build or import."""
        return Trust(
            types=self.trusted_types,
            importable=self.importable,
            refuse_other_major=self.refuse_other_major,
            max_bytes=self.max_bytes,
        )


def fetch(resources: Resources, resolve: Callable[[], Version], folder: Path, policy: LoadPolicy) -> Version:
    """Write a version's verified files below ``folder``.

    :param resolve: says which version; asked again when the version was collected in between
    :returns: the version whose files are there now
    :raises SignatureRefused: keys are configured, and none of them has signed it
    :raises DamagedFile: a stored file is not what was published; none of the version's files is left in the folder
    :raises VersionCollected: the files are gone
    """
    return _fetch(resources, resolve, folder, policy)[0]


def load(resources: Resources, resolve: Callable[[], Version], policy: LoadPolicy) -> tuple[Any, Version]:
    """Return the model object of a version, and the version.

    :raises FormatRefused: the configuration does not allow its format, or a type in it
    :raises SignatureRefused: keys are configured, and none of them has signed it
    :raises DamagedFile: a stored file is not what was published; no loader has seen it
    """
    with tempfile.TemporaryDirectory(prefix="exia-") as folder:
        version, signed = _fetch(resources, resolve, Path(folder), policy)
        model_file = version.file(Role.MODEL)
        if model_file is None:
            raise DamagedFile(reference=version.reference, path="", problem="no file has the role 'model'")
        loader = _loader(version, policy, signed=signed)
        _check_environment(version, loader, policy)
        return loader.load(Path(folder) / model_file.path, trust=policy.trust), version


def _fetch(
    resources: Resources, resolve: Callable[[], Version], folder: Path, policy: LoadPolicy
) -> tuple[Version, bool]:
    """Return also whether a configured key has signed the version."""
    for remaining in reversed(range(_RESOLUTIONS)):
        try:
            version = resolve()
            check_manifest(version, policy)
            signed = check_signature(resources.keys, version)
            _fetch_files(resources, version, folder, policy.cache)
        except VersionCollected:
            if not remaining:
                raise
        else:
            return version, signed
    raise AssertionError("the last resolution returns or raises")


def _loader(version: Version, policy: LoadPolicy, *, signed: bool) -> Format:
    """Return what reads the version's format, if the operator's configuration allows it for this version."""
    runs_code = version.format in PICKLES and policy.allow_pickle
    if runs_code and not signed:
        raise FormatRefused(
            f"{version.reference} is a {version.format} file, which runs code when it is read, and no configured key "
            "says whose: configure the key of its publisher"
        )
    if version.format not in policy.formats and not runs_code:
        raise FormatRefused(
            f"{version.reference} is a {version.format} file, and only {', '.join(sorted(policy.formats))} may be "
            "loaded here: see 'formats' of the connection or operator"
        )
    return format_named(version.format, allow_pickle=runs_code)


def check_manifest(version: Version, policy: LoadPolicy) -> None:
    """Refuse a document whose parts do not belong together, or whose files are too large."""
    try:
        check_model_name(version.model)
        check_paths(file.path for file in version.files)
    except InvalidInput as error:
        raise DamagedFile(reference=version.reference, path="(manifest)", problem=str(error)) from error
    if not set(version.inline or ()) <= {file.path for file in version.files}:
        problem = "it holds a text that is none of its files"
        raise DamagedFile(reference=version.reference, path="(manifest)", problem=problem)
    digest = digest_of(version.files, version.format)
    if digest != version.digest or publication_of(version.work, digest) != version.publication:
        raise DamagedFile(reference=version.reference, path="(manifest)", problem="its list of files was changed")
    if policy.max_bytes is not None and version.size > policy.max_bytes:
        raise FormatRefused(
            f"{version.reference} has {version.size} bytes, more than the {policy.max_bytes} allowed here: see "
            "'max_bytes' of the connection or operator"
        )


def _fetch_files(resources: Resources, version: Version, folder: Path, cache: FileCache | None) -> None:
    """Write all files, or none: they come into the folder when the last one has been verified."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".exia-") as private:
        for file in version.files:
            try:
                _fetch_file(resources, version, file, Path(private), cache)
            except BlobMissing as error:
                # COLLECTED is written before the first delete: a version that is READY even now lost it otherwise.
                if not _is_ready(resources, version):
                    raise VersionCollected(version.reference) from error
                problem = (
                    f"there is none at {error.key!r} in the blob store; restore it from a backup, or publish it again "
                    "with another 'work'"
                )
                raise DamagedFile(reference=version.reference, path=file.path, problem=problem) from error
        for file in version.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(private) / file.path, target)


def _fetch_file(
    resources: Resources, version: Version, file: FileRecord, private: Path, cache: FileCache | None
) -> None:
    key = blob_key(resources.prefix, version, file.path)
    target = private / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    text = version.inline_text(file.path)
    if text is not None:
        _write_verified(BytesIO(text.encode()), version, file, target)
        return
    if cache is not None and _take(cache, version, file, target):
        return
    with resources.blobs.open(key) as stream:
        _write_verified(stream, version, file, target)
    if cache is not None:
        cache.keep(file.sha256, target)


def _take(cache: FileCache, version: Version, file: FileRecord, target: Path) -> bool:
    """Take a file from the cache, verified like one from the store; say whether it was there and whole."""
    stream = cache.open(file.sha256)
    if stream is None:
        return False
    try:
        with stream:
            _write_verified(stream, version, file, target)
    except DamagedFile:
        cache.discard(file.sha256)
        return False
    return True


def _write_verified(stream: BinaryIO, version: Version, file: FileRecord, target: Path) -> None:
    """Write what a stream holds, hashing what is written; only its owner can read the file."""
    size, mode = 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with HashBeside() as digest, os.fdopen(os.open(target, mode, 0o600), "wb") as writer:
        while size <= file.size and (chunk := stream.read(CHUNK_BYTES)):
            digest.update(chunk)
            size += len(chunk)
            writer.write(chunk)
    _check_bytes(version, file, size, digest.hexdigest())


def _is_ready(resources: Resources, version: Version) -> bool:
    document = resources.documents.get(VERSIONS, {"model": version.model, "number": version.number})
    return document is not None and from_document(Version, document).state is State.READY


def _check_bytes(version: Version, file: FileRecord, size: int, sha256: str) -> None:
    if size != file.size:
        more = " or more" if size > file.size else ""
        problem = f"{size} bytes{more}, not {file.size}"
        raise DamagedFile(reference=version.reference, path=file.path, problem=problem)
    if sha256 != file.sha256:
        raise DamagedFile(
            reference=version.reference, path=file.path, problem=f"its SHA-256 is {sha256}, not {file.sha256}"
        )


def _check_environment(version: Version, loader: Format, policy: LoadPolicy) -> None:
    for library in loader.libraries:
        trained = version.lineage.environment.get(library)
        if trained is None:
            continue
        here = installed_version(library)  # None: the loader itself says which extra is missing
        if here is not None and is_other_major(trained, here):
            message = f"{version.reference} was trained with {library} {trained}; here is {here}"
            other_version(message, refuse=policy.refuse_other_major)
