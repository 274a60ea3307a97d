"""From a URL to a store: the one place that knows which kinds of stores there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

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

    :param url: as in ``file:///var/lib/exia/blobs`` or ``s3+https://ACCESS:SECRET@host:9000/bucket/prefix``, with
        ``?region=eu-west-1`` where the region matters, and ``?ca_file=/etc/ssl/company.pem`` for other certificates to
        trust
    :raises InvalidInput: there is no blob store of that kind
    :raises MissingExtra: its client is not installed
    """
    from airflow_provider_exia.storage.local import LocalBlobs

    if url.startswith("s3"):
        return _open_bucket(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        # Not the text itself: it may hold a password.
        raise InvalidInput(
            f"the address that begins with {url.partition(':')[0]!r} is no blob store: expected a folder's URL, as in "
            "'file:///var/lib/exia/blobs'"
        )
    return LocalBlobs(Path(unquote(parts.path)))


def _open_bucket(url: str) -> BlobStore:
    from airflow_provider_exia.storage.s3 import S3Blobs, S3Place

    # Nothing of the text itself in an error: it holds a secret.
    form = "s3+https://ACCESS:SECRET@HOST:PORT/BUCKET[/PREFIX][?region=REGION&ca_file=FILE]"
    expected = f"expected {form!r}, each part percent-encoded"
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        _ = parts.port  # not a number is a ValueError
    except ValueError:
        raise InvalidInput(f"the blob store's address cannot be read: {expected}") from None
    if parts.scheme not in ("s3+http", "s3+https"):
        raise InvalidInput(f"{parts.scheme!r} is no blob store: {expected}")
    bucket, _, prefix = unquote(parts.path).strip("/").partition("/")
    needed = {"access key": parts.username, "secret": parts.password, "host": parts.hostname, "bucket": bucket}
    missing = [name for name, value in needed.items() if not value]
    if missing or set(options) - {"ca_file", "region"} or parts.fragment:
        problem = f"without {' and '.join(missing)}" if missing else "with something behind the bucket and prefix"
        raise InvalidInput(f"the blob store's address is {problem}: {expected}")
    return S3Blobs(
        S3Place(
            endpoint=parts.netloc.rpartition("@")[2],
            bucket=bucket,
            prefix=prefix,
            access_key=unquote(parts.username or ""),
            secret_key=unquote(parts.password or ""),
            secure=parts.scheme == "s3+https",
            region=options.get("region"),
            ca_file=options.get("ca_file"),
        )
    )
