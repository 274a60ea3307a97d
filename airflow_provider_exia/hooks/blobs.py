"""An object connection becomes a blob store: ``minio`` (ours), or ``aws``, read by field without the Amazon provider.

Of an ``aws`` connection the keys, a session token, the region, the endpoint and ``verify`` are read. What would need
Amazon's own library is refused by name: assumed roles, profiles, web identities, and keys from the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_exia.hooks.fields import Fields

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_exia.storage.blobs import BlobStore
    from airflow_provider_exia.storage.s3 import S3Place

MINIO_EXTRAS = ("ca_file", "region", "secure")
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key")
_AWS_IGNORED = ("config_kwargs", "service_config", "session_kwargs")
_AWS_REFUSED = (
    *("role_arn", "assume_role_method", "assume_role_kwargs", "external_id", "aws_account_id", "aws_iam_role"),
    *("profile_name", "profile", "s3_config_file", "s3_config_format", "host", *_AWS_IGNORED),
)


def open_bucket(connection: Connection, bucket: str) -> BlobStore:
    """Return the blob store in a bucket of a connection's server; nothing is connected before the first call.

    :raises InvalidInput: the connection is of another type, or one of its fields cannot be used
    """
    from airflow_provider_exia.storage.s3 import S3Blobs

    return S3Blobs(place_of(connection, bucket))


def place_of(connection: Connection, bucket: str) -> S3Place:
    """Return where the bucket is, and the keys to it.

    :raises InvalidInput: the connection is of another type, or one of its fields cannot be used
    """
    make = _KINDS.get(connection.conn_type or "")
    if make is None:
        raise Fields(connection, known=(), ignored=connection.extra_dejson).problem(
            f"it is of the type {connection.conn_type!r}, and files are kept in {' or '.join(sorted(_KINDS))}: name "
            "another connection as 'blobs'"
        )
    return make(connection, bucket)


def _minio(connection: Connection, bucket: str) -> S3Place:
    from airflow_provider_exia.storage.s3 import S3Place

    fields = Fields(connection, known=MINIO_EXTRAS)
    host, secure = _split(fields, connection.host or "", default=fields.switch("secure", default=True))
    return S3Place(
        endpoint=f"{host}:{connection.port}" if connection.port else host,
        bucket=bucket,
        secure=secure,
        region=fields.text("region"),
        ca_file=fields.text("ca_file"),
        **_login(fields, connection.login, connection.password),
    )


def _aws(connection: Connection, bucket: str) -> S3Place:
    from airflow_provider_exia.storage.s3 import S3Place

    fields = Fields(
        connection,
        known=("aws_session_token", "endpoint_url", "region_name", "verify", *_AWS_KEYS),
        refused=_AWS_REFUSED,
    )
    host, secure = _split(fields, fields.text("endpoint_url") or "https://s3.amazonaws.com", default=True)
    login, password = (fields.text(name) for name in _AWS_KEYS)
    return S3Place(
        endpoint=host,
        bucket=bucket,
        secure=secure,
        region=fields.text("region_name"),
        session_token=fields.text("aws_session_token"),
        ca_file=_verified_by(fields),
        **_login(fields, connection.login or login, connection.password or password),
    )


def _split(fields: Fields, address: str, *, default: bool) -> tuple[str, bool]:
    """Return host (with a port, where there is one) and whether it speaks TLS."""
    expected = "expected as in 'minio.example.com' or 'http://10.0.0.5:9000', without a path"
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        _ = parts.port  # not a number is a ValueError
    except ValueError:
        # Not the text itself: it may hold a password.
        raise fields.problem(f"its server's address cannot be read: {expected}") from None
    if not parts.hostname or parts.scheme not in ("", "http", "https") or parts.path.strip("/") or parts.username:
        raise fields.problem(f"{parts.hostname or 'an empty text'!r} is no address of a server: {expected}")
    return parts.netloc, parts.scheme == "https" if parts.scheme else default


def _verified_by(fields: Fields) -> str | None:
    """Return the file of certificates that Amazon's ``verify`` names, or None for the usual ones."""
    verify = fields.text("verify")
    if verify is None or verify.lower() == "true":
        return None
    if verify.lower() == "false":
        raise fields.problem(
            "'verify' is false, and no server is spoken to that nobody vouches for: name a file of certificates instead"
        )
    return verify


def _login(fields: Fields, access_key: str | None, secret_key: str | None) -> dict[str, Any]:
    if not access_key or not secret_key:
        missing = "login (the access key)" if not access_key else "password (the secret key)"
        raise fields.problem(f"its {missing} is empty: give both; keys are never taken from the machine or a profile")
    return {"access_key": access_key, "secret_key": secret_key}


_KINDS = {"aws": _aws, "minio": _minio}
