"""Requests to an S3 server: where it is, how long it is waited for, and what its errors mean here.

Reading goes through minio-py's client. Writing is signed with minio-py's signer and sent here, because that client
hashes every body once more, takes a part only from memory and hands on no checksum of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlunsplit

from airflow_provider_exia.exceptions import ExiaError, InvalidInput, MissingExtra
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, OtherBytes, check_key
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown

if TYPE_CHECKING:
    from minio import Minio
    from minio.error import MinioException, S3Error
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.exceptions import SSLError

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
RETRIES = 1
DEFAULT_REGION = "us-east-1"

OTHER_BYTES = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
_BUSY = {408, 425, 429, 503}
_BUSY_WITH_400 = "RequestTimeout"  # the body came too slowly, so it was not kept
_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"}
_UPLOAD_GONE = "NoSuchUpload"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket on an S3 server, and the keys to it.

    :param endpoint: host, with a port where it is not the usual one
    :param bucket: must exist
    :param access_key: who we are
    :param secret_key: never shown
    :param session_token: goes with temporary keys; never shown
    :param prefix: comes before every key, without a slash at its end; empty: none
    :param secure: through TLS
    :param region: of the bucket; default: the one in the host's name, else ``us-east-1``
    :param ca_file: certificates to trust; default: those in ``SSL_CERT_FILE``, else those of the distribution certifi
    """

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    prefix: str = ""
    secure: bool = True
    region: str | None = None
    ca_file: str | None = None

    def __str__(self) -> str:
        path = "/".join(part for part in (self.bucket, self.prefix) if part)
        return f"{'https' if self.secure else 'http'}://{self.endpoint}/{path}"


class S3Requests:
    """The clients of one process for one place.

    :param place: where to
    """

    def __init__(self, place: S3Place) -> None:
        try:
            from minio import Minio, helpers
            from minio.credentials.credentials import Credentials
        except ImportError as error:
            raise MissingExtra(library="minio", extra="minio", purpose="a blob store on an S3 server") from error
        try:
            if place.prefix:
                check_key(place.prefix)
            scheme = "https" if place.secure else "http"
            self._addresses = helpers.BaseURL(f"{scheme}://{place.endpoint}", place.region)
            if place.bucket:
                helpers.check_bucket_name(place.bucket, s3_check=self._addresses.is_aws_host)
        except ValueError as error:
            raise InvalidInput(f"{place} cannot be a blob store: {error}") from error
        self.place = place
        self._region = self._addresses.region or DEFAULT_REGION
        self._credentials = Credentials(place.access_key, place.secret_key, place.session_token)
        self._pool = _pool(place)
        self.reading: Minio = Minio(
            place.endpoint,
            place.access_key,
            place.secret_key,
            place.session_token,
            secure=place.secure,
            region=self._region,
            http_client=self._pool,
        )

    def send(
        self,
        method: str,
        name: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        size: int = 0,
    ) -> BaseHTTPResponse:
        """Sign and send one request; return its answer, read to the end.

        :param name: the whole name of an object; None for the bucket
        :param body: bytes, or what has a ``read`` and its checksum in ``headers``
        :param size: of the body
        :raises S3Error: the server says no
        """
        from minio import time
        from minio.signer import sign_v4_s3

        url = self._addresses.build(
            method=method,
            region=self._region,
            bucket_name=self.place.bucket,
            object_name=name,
            query_params=dict(query or {}),
        )
        now = time.utcnow()
        wanted: dict[str, Any] = {
            "Host": url.netloc,
            "Content-Length": str(size),
            "x-amz-date": time.to_amz_date(now),
            "x-amz-content-sha256": _content_sha256(body),
            **(headers or {}),
        }
        if self.place.session_token:
            wanted["x-amz-security-token"] = self.place.session_token
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=self._region,
            headers=wanted,
            credentials=self._credentials,
            content_sha256=wanted["x-amz-content-sha256"],
            date=now,
        )
        answer = self._pool.urlopen(method, urlunsplit(url), body=body, headers=cast("Mapping[str, str]", signed))
        if answer.status not in (200, 204):
            raise _error_in(answer)
        if b"<Error>" in answer.data[:200]:  # completing an upload may fail after its 200 was sent
            raise _error_in(answer)
        return answer

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.clear()

    @contextmanager
    def errors(self, what: str, *, writing: bool = False) -> Iterator[None]:
        """Turn the client's errors into the store's own.

        :param what: is under way, for the message
        :param writing: without an answer, nobody knows whether it was done
        """
        from xml.etree.ElementTree import ParseError

        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            yield
        except MinioException as error:
            if _status(error) // 100 == 3:
                raise self._sent_elsewhere(what, writing=writing) from error
            if isinstance(error, S3Error):
                raise self._said_no(error, what, writing=writing) from error
            # no S3 answer at all: a proxy's page, or an empty body
            kind = WriteUnknown if writing else StoreUnavailable
            raise kind(f"{what} at {self.place}: no answer of an S3 server: {error}") from error
        except HTTPError as error:
            raise _no_answer(error, f"{what} at {self.place}", writing=writing) from error
        except ExiaError:
            raise  # some are a ValueError too
        except (ParseError, ValueError) as error:  # an answer that cannot be read: never one to a whole write
            raise StoreRefused(
                f"{what} at {self.place}: it answered something that is no S3: is {self.place.endpoint} the address of "
                "the S3 API (not of its console)?"
            ) from error

    def no_bucket(self, what: str) -> StoreRefused:
        """Return the error that says how to make the bucket: we make none, since who may read it is not ours to say."""
        bucket = self.place.bucket
        return StoreRefused(
            f"{what} at {self.place}: there is no bucket {bucket!r}: make it, as in 'mc mb SERVER/{bucket}' or "
            f"'aws s3 mb s3://{bucket}', or name another one"
        )

    def _sent_elsewhere(self, what: str, *, writing: bool) -> StoreRefused:
        return StoreRefused(
            f"{what} at {self.place}: the server sends us elsewhere: the bucket is in another region or at another "
            f"endpoint, give that one in the connection or the URL{'; nothing was written' if writing else ''}"
        )

    def _said_no(self, error: S3Error, what: str, *, writing: bool) -> StorageError:
        code, status = error.code or "", error.response.status
        message = f"{what} at {self.place}: {code}: {(error.message or 'no reason given').rstrip('.')}"
        if code == "NoSuchBucket":
            return self.no_bucket(what)
        if code in OTHER_BYTES:
            return OtherBytes(f"{message}; nothing was written")
        if code == _UPLOAD_GONE:
            return WriteUnknown(f"{message}; somebody gave it up, or it was completed")
        busy = status in _BUSY or code == _BUSY_WITH_400
        if code in _FULL or status == 507 or (400 <= status < 500 and not busy and status != 409):
            return StoreRefused(f"{message}; nothing was written" if writing else message)
        if busy or not writing:
            return StoreUnavailable(f"{message}; nothing was written" if writing else message)
        return WriteUnknown(message)


def _content_sha256(body: Any) -> str:
    if body is None or isinstance(body, bytes):
        return hashlib.sha256(body or b"").hexdigest()
    return "UNSIGNED-PAYLOAD"  # its checksum is a signed header


def _pool(place: S3Place) -> PoolManager:
    """Return the connections of one process.

    One repetition, for a write only if nothing was sent, and none of what was waited for: the library itself goes on
    until its deadline. No redirection is followed: it would carry a signed request to an address nobody configured.
    """
    import os

    import certifi
    from urllib3 import PoolManager, Retry, Timeout
    from urllib3.exceptions import ProtocolError, SSLError
    from urllib3.exceptions import TimeoutError as WaitedFor

    class Repetition(Retry):
        def increment(
            self,
            method: str | None = None,
            url: str | None = None,
            response: BaseHTTPResponse | None = None,
            error: Exception | None = None,
            *rest: Any,
            **named: Any,
        ) -> Repetition:
            if isinstance(error, SSLError) and not _never_began(error):
                error = ProtocolError(f"the connection was lost within TLS: {error}", error)
            if isinstance(error, SSLError | WaitedFor):
                raise error
            return super().increment(method, url, response, error, *rest, **named)

    options: dict[str, Any] = {"blocksize": CHUNK_BYTES // 4}
    if place.secure:
        trusted = place.ca_file or os.environ.get("SSL_CERT_FILE") or certifi.where()
        if not os.path.isfile(trusted):
            raise InvalidInput(
                f"{place}: there is no file {trusted} here, with the certificates to trust: put it there"
            )
        options |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": trusted}
    return PoolManager(
        maxsize=10,
        timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=Repetition(
            total=RETRIES,
            redirect=False,
            backoff_factor=0.1,
            status_forcelist=(500, 502, 503, 504),
            allowed_methods={"GET", "HEAD", "DELETE"},
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
        **options,
    )


def _error_in(answer: BaseHTTPResponse) -> Exception:
    from xml.etree.ElementTree import ParseError

    from minio.error import InvalidResponseError, S3Error

    try:
        return S3Error.fromxml(answer)
    except (ParseError, UnicodeDecodeError):
        start = answer.data[:200].decode(errors="replace")
        return InvalidResponseError(answer.status, answer.headers.get("content-type"), start)


def _status(error: MinioException) -> int:
    """Return the status of an answer: each kind of error keeps it under another name."""
    response = getattr(error, "response", None)
    return int(getattr(response, "status", 0) or getattr(error, "status_code", 0) or getattr(error, "_code", 0))


def _no_answer(error: Exception, what: str, *, writing: bool) -> StorageError:
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

    cause = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    if isinstance(cause, SSLError) and _never_began(cause):
        return StoreRefused(f"{what}: no secure connection: {cause}; nothing was sent")
    if isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return StoreUnavailable(f"{what}: no connection: {cause}; nothing was sent")
    if writing:
        return WriteUnknown(f"{what}: no answer: {cause}")
    return StoreUnavailable(f"{what}: no answer: {cause}")


def _never_began(error: SSLError) -> bool:
    """Say whether there was no secure connection at all; to lose one is an error of TLS too."""
    import ssl

    cause = error.args[0] if error.args else None
    speaks_no_tls = getattr(cause, "reason", None) == "WRONG_VERSION_NUMBER"
    return speaks_no_tls or isinstance(cause, ssl.SSLCertVerificationError)
