"""A connection of the type ``exia`` becomes a model library; what is wrong with it is one sentence.

Servers are named by the ids of their own connections, never by a URL: Airflow shows an extra in clear, and a password
not.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.fields import Fields

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_exia.model_library.cache import FileCache
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.loading import LoadPolicy
    from airflow_provider_exia.model_library.permissions import Permissions
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.model_library.signing import Keys
    from airflow_provider_exia.storage.blobs import BlobStore
    from airflow_provider_exia.storage.documents import DocumentStore
    from airflow_provider_exia.task_identity import Actor

CONN_TYPE = "exia"
STORES = ("documents", "blobs")
EXTRAS = (
    *STORES,
    *("bucket", "prefix", "formats", "trusted_types", "importable", "max_bytes", "refuse_other_major"),
    *("public_keys", "protected_aliases", "cache"),
)
_LOCAL = {"documents": "sqlite:", "blobs": "file:"}
_NEXT_KEY = re.compile(r"[\s,]+(?=[a-z0-9-]+:)")
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

Lookup: TypeAlias = Callable[[str], "Connection"]
"""Gives the connection with an id, or raises :class:`InvalidInput`."""


def open_connected(
    connection: Connection | None,
    lookup: Lookup,
    *,
    trusted_types: tuple[str, ...] = (),
    allow_pickle: bool = False,
    by: Actor | None = None,
) -> ModelLibrary:
    """Return the library that a connection names; without a connection the embedded one.

    :param lookup: gives the connections that this one names
    :param trusted_types: types that a model file may hold beyond the connection's
    :param allow_pickle: read pickle and joblib files too, which run code, where a configured key has signed the version
    :param by: who acts, where a call does not say so itself
    :raises InvalidInput: the connection, or one that it names, cannot be used
    """
    from airflow_provider_exia.model_library.library import ModelLibrary

    fields = None if connection is None else _fields_of(connection)
    policy = _policy(fields)
    return ModelLibrary(
        _resources(fields, lookup),
        policy=replace(policy, trusted_types=(*policy.trusted_types, *trusted_types), allow_pickle=allow_pickle),
        by=by,
        protected=_protected(fields),
    )


def named_connections(connection: Connection) -> list[str]:
    """Return the ids of the connections that a connection names, in a way that an event loop may use."""
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        return []  # opening says what is wrong
    named = [str(extra.get(store) or "").strip() for store in STORES] if isinstance(extra, dict) else []
    return [name for name in named if name and _is_id(name)]


def _fields_of(connection: Connection) -> Fields:
    if connection.conn_type != CONN_TYPE:
        raise InvalidInput(
            f"connection {connection.conn_id!r} is of the type {connection.conn_type!r}, expected {CONN_TYPE!r}: name "
            "another connection, or change its type"
        )
    fields = Fields(connection, known=EXTRAS)
    given = [store for store in STORES if fields.text(store)]
    if len(given) == 1:
        (missing,) = set(STORES) - set(given)
        raise fields.problem(f"{missing!r} is empty; give both 'documents' and 'blobs', or neither")
    if not given and fields.text("bucket"):  # the embedded library has none, and would be taken without a word
        raise fields.problem("it has a bucket and no stores; give both 'documents' and 'blobs', or no bucket")
    return fields


def _resources(fields: Fields | None, lookup: Lookup) -> Resources:
    from airflow_provider_exia.model_library.embedded import airflow_home, embedded_locations
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.storage.opening import open_blobs, open_documents

    if fields is None or fields.text("documents") is None:
        documents, blobs = embedded_locations(airflow_home(os.environ))
        stores: tuple[DocumentStore, BlobStore] = open_documents(documents), open_blobs(blobs)
    else:
        stores = _documents(fields, lookup), _blobs(fields, lookup)
    return Resources(
        documents=stores[0],
        blobs=stores[1],
        new_token=lambda: uuid.uuid4().hex,
        keys=_keys(fields),
        prefix=_prefix(fields),
    )


def _documents(fields: Fields, lookup: Lookup) -> DocumentStore:
    from airflow_provider_exia.hooks.documents import documents_url
    from airflow_provider_exia.storage.opening import open_documents

    place = _place(fields, "documents")
    return open_documents(place if _is_local(place, "documents") else documents_url(lookup(place)))


def _blobs(fields: Fields, lookup: Lookup) -> BlobStore:
    from airflow_provider_exia.hooks.blobs import open_bucket
    from airflow_provider_exia.storage.opening import open_blobs

    place, bucket = _place(fields, "blobs"), fields.text("bucket")
    if _is_local(place, "blobs"):
        return open_blobs(place)
    if bucket is None:
        raise fields.problem("'bucket' is empty; give the bucket for the files, which must exist")
    return open_bucket(lookup(place), bucket)


def _place(fields: Fields, store: str) -> str:
    place = fields.text(store) or ""
    if not _is_local(place, store) and not _is_id(place):
        example = {"documents": "sqlite:////srv/exia/library.db", "blobs": "file:///srv/exia/blobs"}[store]
        raise fields.problem(  # not the text itself: it may hold a password
            f"{store!r} is no id of a connection: give one, since an extra is shown in clear and a server's password "
            f"belongs into a connection of its own; only a place on this machine is a URL, as in {example!r}"
        )
    return place


def _is_local(place: str, store: str) -> bool:
    return place.startswith(_LOCAL[store])


def _is_id(place: str) -> bool:
    return not set(place) & set(":/@")


def _prefix(fields: Fields | None) -> str:
    prefix = (fields.text("prefix") if fields else None) or "models"
    if fields and not _PREFIX.fullmatch(prefix):
        raise fields.problem(f"prefix is {prefix!r}, expected words joined by '/', as in 'models' or 'team-a/models'")
    return prefix


def _keys(fields: Fields | None) -> Keys:
    from airflow_provider_exia.model_library.signing import Keys, read_keys

    if fields is None:
        return Keys()
    public = _public_keys(fields)
    signing, *older = _NEXT_KEY.split((fields.connection.password or "").strip())
    try:
        return read_keys(signing, (*public, *older))
    except InvalidInput as error:
        raise fields.problem(str(error)) from error


def _public_keys(fields: Fields) -> tuple[str, ...]:
    from airflow_provider_exia.model_library.signing import ED25519_PUBLIC

    public = fields.words("public_keys")
    for place, text in enumerate(public, start=1):
        if not text.startswith(f"{ED25519_PUBLIC}:"):
            raise fields.problem(
                f"accepted key {place} in 'public_keys' is no public key, as in '{ED25519_PUBLIC}:...': an extra is "
                "shown in clear, so a secret belongs into the password, behind the key that signs"
            )
    return public


def _protected(fields: Fields | None) -> Permissions | None:
    from airflow_provider_exia.model_library.permissions import read_permissions

    if fields is None:
        return None
    try:
        return read_permissions(fields.extra.get("protected_aliases"))
    except InvalidInput as error:
        raise fields.problem(f"protected_aliases: {error}") from error


def _policy(fields: Fields | None) -> LoadPolicy:
    from airflow_provider_exia.model_library.formats import format_named
    from airflow_provider_exia.model_library.loading import LoadPolicy

    if fields is None:
        return LoadPolicy()
    policy = LoadPolicy(
        trusted_types=fields.words("trusted_types"),
        importable=fields.words("importable"),
        max_bytes=fields.positive("max_bytes", what="a number of bytes"),
        refuse_other_major=fields.switch("refuse_other_major"),
        cache=_cache(fields),
    )
    formats = fields.words("formats")
    return replace(policy, formats=frozenset(format_named(name).name for name in formats)) if formats else policy


def _cache(fields: Fields) -> FileCache | None:
    from airflow_provider_exia.model_library.cache import FileCache

    folder = fields.text("cache")
    if folder is None:
        return None
    if not Path(folder).is_absolute():
        raise fields.problem(f"cache is {folder!r}, expected the absolute path of a folder")
    return FileCache(folder=Path(folder))
