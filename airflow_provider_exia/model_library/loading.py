"""The one door through which a stored model becomes files and an object here.

In this order: reference resolved, document checked, key computed, size and SHA-256 checked while streaming to a
private file, format allowed by configuration. Only then does a loader see the file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import DamagedFile, FormatRefused, VersionCollected
from airflow_provider_exia.model_library.formats import FORMATS, format_named
from airflow_provider_exia.model_library.manifest import blob_key, check_paths, digest_of, publication_of
from airflow_provider_exia.model_library.names import check_model_name
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Role, State, Version
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, BlobMissing
from airflow_provider_exia.storage.codec import from_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources

_RESOLUTIONS = 3


class OtherEnvironment(UserWarning):
    """A model is loaded with another major version of its library than it was trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPolicy:
    """What may be loaded; it comes from the operator's configuration, never from the artifact.

    :param formats: names of the formats that may be read
    :param trusted_types: types beyond the library's own list that may be built
    :param max_bytes: largest version that is fetched; None for no limit
    :param refuse_other_major: refuse instead of warn when the library's major version differs from the training's
    """

    formats: frozenset[str] = frozenset(FORMATS)
    trusted_types: tuple[str, ...] = ()
    max_bytes: int | None = None
    refuse_other_major: bool = False


def fetch(resources: Resources, resolve: Callable[[], Version], folder: Path, policy: LoadPolicy) -> Version:
    """Write a version's verified files below ``folder``.

    :param resolve: says which version; asked again when the version was collected in between
    :returns: the version whose files are there now
    :raises DamagedFile: a stored file is not what was published; that file is not left in the folder
    :raises VersionCollected: the files are gone
    """
    for remaining in reversed(range(_RESOLUTIONS)):
        try:
            version = resolve()
            _check_manifest(version, policy)
            _fetch_files(resources, version, folder)
        except VersionCollected:
            if not remaining:
                raise
        else:
            return version
    raise AssertionError("the last resolution returns or raises")


def load(resources: Resources, resolve: Callable[[], Version], policy: LoadPolicy) -> tuple[Any, Version]:
    """Return the model object of a version, and the version.

    :raises FormatRefused: the configuration does not allow its format, or a type in it
    :raises DamagedFile: a stored file is not what was published; no loader has seen it
    """
    with tempfile.TemporaryDirectory(prefix="exia-") as folder:
        version = fetch(resources, resolve, Path(folder), policy)
        model_file = version.file(Role.MODEL)
        if model_file is None:
            raise DamagedFile(reference=version.reference, path="", problem="no file has the role 'model'")
        if version.format not in policy.formats:
            raise FormatRefused(
                f"{version.reference} is a {version.format} file, and only {', '.join(sorted(policy.formats))} may be "
                "loaded here: see 'formats' of the connection or operator"
            )
        _check_environment(version, policy)
        loader = format_named(version.format)
        return loader.load(Path(folder) / model_file.path, trusted_types=policy.trusted_types), version


def _check_manifest(version: Version, policy: LoadPolicy) -> None:
    """Refuse a document whose parts do not belong together, or whose files are too large."""
    try:
        check_model_name(version.model)
        check_paths(file.path for file in version.files)
    except InvalidInput as error:
        raise DamagedFile(reference=version.reference, path="(manifest)", problem=str(error)) from error
    digest = digest_of(version.files, version.format)
    if digest != version.digest or publication_of(version.work, digest) != version.publication:
        raise DamagedFile(reference=version.reference, path="(manifest)", problem="its list of files was changed")
    if policy.max_bytes is not None and version.size > policy.max_bytes:
        raise FormatRefused(
            f"{version.reference} has {version.size} bytes, more than the {policy.max_bytes} allowed here: see "
            "'max_bytes' of the connection or operator"
        )


def _fetch_files(resources: Resources, version: Version, folder: Path) -> None:
    for file in version.files:
        try:
            _fetch_file(resources, version, file, folder)
        except BlobMissing as error:
            # COLLECTED is written before the first delete: a version that is READY even now lost its file otherwise.
            if not _is_ready(resources, version):
                raise VersionCollected(version.reference) from error
            problem = f"there is none at {error.key!r} in the blob store; restore it from a backup or publish again"
            raise DamagedFile(reference=version.reference, path=file.path, problem=problem) from error


def _fetch_file(resources: Resources, version: Version, file: FileRecord, folder: Path) -> None:
    key = blob_key(resources.prefix, version, file.path)
    target = folder / file.path
    with resources.blobs.open(key) as stream:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=target.parent, prefix=".exia-")
        try:
            digest, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as writer:
                while size <= file.size and (chunk := stream.read(CHUNK_BYTES)):
                    digest.update(chunk)
                    size += len(chunk)
                    writer.write(chunk)
            _check_bytes(version, file, size, digest.hexdigest())
            os.replace(partial, target)
        finally:
            Path(partial).unlink(missing_ok=True)


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


def _check_environment(version: Version, policy: LoadPolicy) -> None:
    for library in format_named(version.format).libraries:
        trained = version.lineage.environment.get(library)
        if trained is None:
            continue
        try:
            here = distribution_version(library)
        except PackageNotFoundError:
            continue  # the loader itself says which extra is missing
        if trained.partition(".")[0] == here.partition(".")[0]:
            continue
        message = f"{version.reference} was trained with {library} {trained}; here is {here}"
        if policy.refuse_other_major:
            raise FormatRefused(f"{message}: install the same major version, or train again")
        warnings.warn(message, OtherEnvironment, stacklevel=2)
