"""The indexes of the MongoDB backend: made at the first write, and brought forward when a collection has grown.

A document's text is the document; the fields beside it are for indexes. So every step forward is the same one: fill
the new fields from the texts, then make the new indexes.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.storage.codec import read_body
from airflow_provider_exia.storage.documents import BODY, REVISION, Collection, Key, StoreRefused

if TYPE_CHECKING:
    from pymongo.collection import Collection as Target
    from pymongo.database import Database
    from pymongo.errors import DuplicateKeyError

SCHEMA_VERSION = 1


def check_schema(database: Database[dict[str, Any]], *, where: str, making: bool) -> bool:
    """Return whether the schema's version is written down; write it if ``making``.

    :raises StoreRefused: a newer version of this package made the collections
    """
    from pymongo.errors import DuplicateKeyError

    versions = database["exia_schema"]
    found = versions.find_one({"_id": "schema"})
    if found is None and making:
        with suppress(DuplicateKeyError):  # two at once leave the same document
            versions.update_one({"_id": "schema"}, {"$setOnInsert": {"version": SCHEMA_VERSION}}, upsert=True)
    elif found is not None and found["version"] > SCHEMA_VERSION:
        raise StoreRefused(
            f"the collections in {where} were made by a newer airflow-provider-exia (schema {found['version']}; this "
            f"one knows {SCHEMA_VERSION}): upgrade this installation"
        )
    return found is not None or making


def has_indexes(target: Target[dict[str, Any]], collection: Collection) -> bool | None:
    """Return whether every index of the collection is there; None if the whole collection is absent."""
    there = target.index_information()
    if not there:
        return None
    return all(index_name(key) in there for key in (*collection.unique, *collection.indexes))


def ensure_indexes(target: Target[dict[str, Any]], collection: Collection) -> None:
    """Fill fields that older documents lack, and make the indexes that are missing; several processes may do so."""
    from pymongo import IndexModel

    _fill_fields(target, collection)
    unique = [IndexModel(list(key), name=index_name(key), unique=True) for key in collection.unique]
    further = [IndexModel(list(key), name=index_name(key)) for key in collection.indexes]
    target.create_indexes(unique + further)


def index_name(key: Key) -> str:
    """Return the name of the index on these fields."""
    return "exia__" + "_".join(key)


def conflicting_key(collection: Collection, error: DuplicateKeyError) -> Key:
    """Return the unique key that said no."""
    details = error.details or {}
    fields = tuple(details.get("keyPattern", ()))
    if fields in collection.unique:
        return fields
    # A server before 4.4 only says it in words.
    named = re.search(r" index: (\w+) dup key", str(details.get("errmsg", "")))
    return next((key for key in collection.unique if named and named[1] == index_name(key)), collection.identity)


def _fill_fields(target: Target[dict[str, Any]], collection: Collection) -> None:
    lacking = {"$or": [{name: {"$exists": False}} for name in collection.fields]}
    for kept in target.find(lacking, [BODY, REVISION, *collection.identity]):
        document = read_body(collection, kept)
        values = {name: document[name] for name in collection.fields if name in document}
        # At another revision somebody replaced it meanwhile, and what they wrote is newer.
        target.update_one({"_id": kept["_id"], REVISION: kept[REVISION]}, {"$set": {BODY: kept[BODY], **values}})
