"""From a URL to a store: the one place that knows which kinds of stores there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.storage.blobs import BlobStore
    from airflow_provider_exia.storage.documents import DocumentStore


def open_documents(url: str) -> DocumentStore:
    """Return the document store at a URL; nothing is connected before the first call.

    :param url: as in ``sqlite:////var/lib/exia/library.db``, ``postgresql://user:password@host/exia`` or
        ``mongodb://user:password@host:27017/exia``
    :raises InvalidInput: there is no document store of that kind
    :raises MissingExtra: its client is not installed
    """
    kind = url.partition(":")[0]
    if kind in ("mongodb", "mongodb+srv"):
        from airflow_provider_exia.storage.mongo import MongoDocuments

        return MongoDocuments(url)
    if kind.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mariadb"):
        from airflow_provider_exia.storage.sql import SqlDocuments

        return SqlDocuments(url)
    # Not the text itself: it may hold a password.
    raise InvalidInput(
        f"{kind!r} is no document store: expected a URL of SQLite, PostgreSQL, MySQL or MongoDB, as in "
        "'sqlite:////var/lib/exia/library.db' or 'mongodb://user:password@host:27017/exia'"
    )


def open_blobs(url: str) -> BlobStore:
    """Return the blob store at a URL; nothing is connected before the first call.

    :param url: as in ``file:///var/lib/exia/blobs``
    :raises InvalidInput: there is no blob store of that kind
    """
    from airflow_provider_exia.storage.local import LocalBlobs

    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise InvalidInput(f"{url!r} is no blob store: expected a folder's URL, as in 'file:///var/lib/exia/blobs'")
    return LocalBlobs(Path(unquote(parts.path)))
