"""Blobs on an S3 server: one bucket, and keys below a prefix.

A file up to the size of a part is one PUT, a larger one a multipart upload with its parts side by side. Each carries
the SHA-256 that is known beforehand, so a server that checks it takes no other bytes, and nothing is hashed twice.
"""

from __future__ import annotations

import base64
import io
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.blobs import BlobInfo, BlobMissing, FileDigest, OtherBytes, check_key, measure
from airflow_provider_exia.storage.documents import StorageError
from airflow_provider_exia.storage.s3_requests import OTHER_BYTES, S3Place, S3Requests
from airflow_provider_exia.storage.server_facts import ServerFacts, way_to

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["S3Blobs", "S3Place", "bucket_names"]

PART_BYTES = 16 * 1024 * 1024
PARALLEL_PARTS = 3

_CHECKSUM = "x-amz-checksum-sha256"
_COMPOSITE = re.compile(r"(?P<digest>[A-Za-z0-9+/]{43}=)(?P<parts>-[0-9]+)?")
_PROBES = ".exia-probe"  # no key begins so, hence no probe is ever listed


class S3Blobs:
    """Blobs in a bucket of an S3 server; nothing is connected before the first call.

    :param place: the bucket, and the keys to it
    :param part_bytes: a larger file is put in parts of this size; a multiple of 1 MiB, and by S3's rule at least 5
    """

    def __init__(self, place: S3Place, *, part_bytes: int = PART_BYTES) -> None:
        self.place = place
        self._part_bytes = part_bytes
        self._start = f"{place.prefix}/" if place.prefix else ""
        S3Requests(place)  # a place that cannot be one is refused now
        self._made: tuple[int, S3Requests] | None = None
        self._checks_bytes: bool | None = None
        self._bucket_seen = False

    @property
    def part_bytes(self) -> int | None:
        """The size of the parts in which a larger file is put."""
        return self._part_bytes

    def put(self, key: str, source: Path, *, digest: FileDigest | None = None) -> None:
        """Send a file to ``key``, whole or not at all."""
        name = self._name(key)
        try:
            digest = digest or measure(source, part_bytes=self._part_bytes)
            handle = os.open(source, os.O_RDONLY)
        except OSError as error:
            raise InvalidInput(f"cannot read {source} to store it: {error.strerror}; nothing was written") from error
        try:
            if os.fstat(handle).st_size != digest.size:
                raise OtherBytes(f"{source} has another size than when it was hashed; nothing was written")
            with self._requests.errors(f"cannot put {key!r}", writing=True):
                if digest.parts:
                    self._put_in_parts(name, handle, digest)
                else:
                    self._send_bytes(name, _Slice(handle, 0, digest.size), bytes.fromhex(digest.sha256))
        finally:
            os.close(handle)

    def open(self, key: str) -> BinaryIO:
        """Open a blob for streaming; the caller closes it."""
        from minio.error import S3Error

        name, requests = self._name(key), self._requests
        with requests.errors(f"cannot read {key!r}"):
            try:
                answer = requests.reading.get_object(self.place.bucket, name)
            except S3Error as error:
                if error.code == "NoSuchKey":
                    raise BlobMissing(key) from error
                raise
        return cast("BinaryIO", _Body(answer, requests, key))

    def stat(self, key: str) -> BlobInfo | None:
        """Return what is known about the blob, or None."""
        from minio.error import S3Error

        name, requests = self._name(key), self._requests
        with requests.errors(f"cannot read {key!r}"):
            try:
                found = requests.reading.stat_object(
                    self.place.bucket, name, extra_headers={"x-amz-checksum-mode": "ENABLED"}
                )
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
                self._check_bucket()
                return None
            info = _info(key, found)
        checksum = _checksum(dict(found.metadata or {}))
        if checksum is None or not self._server_checks_bytes(name):
            return info
        return BlobInfo(key=key, size=info.size, modified_at=info.modified_at, checksum=checksum)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """Yield every blob whose key starts with ``prefix``."""
        if prefix:
            check_key(prefix.removesuffix("/"))
        requests, ours = self._requests, self._start
        with requests.errors(f"cannot list {prefix!r}"):
            for found in requests.reading.list_objects(self.place.bucket, prefix=ours + prefix, recursive=True):
                key = (found.object_name or "").removeprefix(ours)
                if _is_key(key):  # what others keep in the bucket under names that no key has is no blob
                    yield _info(key, found)

    def delete(self, key: str) -> None:
        """Remove a blob; absent is success. In a bucket with versions it is hidden, and its bytes stay."""
        from minio.error import S3Error

        name, requests = self._name(key), self._requests
        with requests.errors(f"cannot delete {key!r}"):
            try:
                requests.reading.remove_object(self.place.bucket, name)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise

    def unfinished(self, prefix: str, *, before: datetime) -> Sequence[str]:
        """Name the multipart uploads that began before a moment and never ended."""
        from minio.datatypes import ListMultipartUploadsResult

        found: list[str] = []
        requests, below = self._requests, self._start + prefix
        # No prefix in the question: MinIO would take it for one whole name. The answer is sorted out here.
        query = {"uploads": "", "max-uploads": "1000", "encoding-type": "url"}
        with requests.errors("cannot list unfinished uploads"):
            while True:
                page = ListMultipartUploadsResult(requests.send("GET", query=query))
                if page.bucket_name is None:
                    raise ValueError("a page without uploads, or of something else")
                for upload in page.uploads:
                    name, began = upload.object_name or "", upload.initiated_time
                    key = name.removeprefix(self._start)
                    if name.startswith(below) and _is_key(key) and began and began < before:
                        found.append(f"{key}?{upload.upload_id}")
                if not page.is_truncated or not page.next_key_marker:
                    return found
                query |= {
                    "key-marker": page.next_key_marker,
                    "upload-id-marker": page.next_upload_id_marker or "",
                }

    def abort(self, upload: str) -> None:
        """Give up a multipart upload; absent is success."""
        from minio.error import S3Error

        key, mark, upload_id = upload.partition("?")
        if not mark or not _is_key(key) or not re.fullmatch(r"[\x21-\x7e]+", upload_id):
            raise ValueError(f"{upload!r} is no upload of {self.place}: expected a name that 'unfinished' gave")
        with self._requests.errors(f"cannot give up an upload of {key!r}"):
            try:
                self._requests.send("DELETE", self._name(key), query={"uploadId": upload_id})
            except S3Error as error:
                if error.code != "NoSuchUpload":
                    raise

    def server(self) -> ServerFacts:
        """Ask the server what it is; the times of its blobs tell its clock."""
        with self._requests.errors("cannot look at the bucket"):
            answer = self._requests.send("HEAD")
        host = urlsplit(f"//{self.place.endpoint}").hostname or ""
        way = way_to([host], encrypted=self.place.secure, checked=True)
        return ServerFacts(product=answer.headers.get("server") or "an S3 server", way=way)

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""
        made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[1].close()

    @property
    def _requests(self) -> S3Requests:
        """This process's own: a connection that a fork has copied would carry two conversations."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = (os.getpid(), S3Requests(self.place))
        return self._made[1]

    def _name(self, key: str) -> str:
        """Return the whole name of an object."""
        return self._start + check_key(key)

    def _put_in_parts(self, name: str, handle: int, digest: FileDigest) -> None:
        from xml.etree.ElementTree import fromstring

        begun = self._requests.send("POST", name, query={"uploads": ""}, headers={"x-amz-checksum-algorithm": "SHA256"})
        upload = fromstring(begun.data).findtext("{*}UploadId")  # noqa: S314 - the server's own answer
        if not upload:
            raise ValueError("no upload was begun")

        def send_part(number: int) -> str:
            start = (number - 1) * digest.part_bytes
            part = _Slice(handle, start, min(digest.part_bytes, digest.size - start))
            query = {"partNumber": str(number), "uploadId": upload}
            return self._send_bytes(name, part, digest.parts[number - 1], query=query).headers.get("etag", "")

        try:
            with ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="exia-put") as threads:
                tags = list(threads.map(send_part, range(1, len(digest.parts) + 1)))
        except BaseException:  # also a task's time-out: what was sent takes room, and no reader ever sees it
            with suppress(StorageError):
                self.abort(f"{name.removeprefix(self._start)}?{upload}")
            raise
        crash_point("blob.temporary-written")
        self._complete(name, upload, tags, digest)

    def _complete(self, name: str, upload: str, tags: Sequence[str], digest: FileDigest) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag>"
            f"<ChecksumSHA256>{_base64(sha256)}</ChecksumSHA256></Part>"
            for number, (tag, sha256) in enumerate(zip(tags, digest.parts, strict=True), start=1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        headers = {"Content-Type": "application/xml"}
        self._requests.send("POST", name, query={"uploadId": upload}, headers=headers, body=body, size=len(body))

    def _send_bytes(
        self, name: str, part: _Slice, sha256: bytes, *, query: dict[str, str] | None = None
    ) -> BaseHTTPResponse:
        headers = {_CHECKSUM: _base64(sha256), "Content-Type": "application/octet-stream"}
        return self._requests.send("PUT", name, query=query, headers=headers, body=part, size=part.size)

    def _server_checks_bytes(self, name: str) -> bool:
        """Say whether the server refuses bytes that do not have the checksum sent with them: tried once.

        :param name: of an object, beside which the probe may be written as the object was
        """
        from minio.error import S3Error

        if self._checks_bytes is None:
            probe, requests = f"{PurePosixPath(name).parent / _PROBES / uuid.uuid4().hex}", self._requests
            with requests.errors("cannot find out whether checksums are checked"):
                try:
                    requests.send("PUT", probe, headers={_CHECKSUM: _base64(bytes(32))}, body=b"probe", size=5)
                    requests.reading.remove_object(self.place.bucket, probe)
                    self._checks_bytes = False
                except S3Error as error:  # who may not write cannot find out, and reads back
                    self._checks_bytes = error.code in OTHER_BYTES
        return self._checks_bytes

    def _check_bucket(self) -> None:
        """Let no missing bucket pass for an empty one: an answer to HEAD does not say which is missing."""
        if not self._bucket_seen:
            if not self._requests.reading.bucket_exists(self.place.bucket):
                raise self._requests.no_bucket("cannot read")
            self._bucket_seen = True


class _Slice:
    """A stretch of a file as the body of a request: read as it is sent, whatever the file position is.

    :param handle: of the file
    :param start: first byte
    :param size: how many
    """

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle, self._next, self._end, self.size = handle, start, start + size, size

    def read(self, size: int) -> bytes:
        """Return the next bytes; at the end none."""
        wanted = min(size, self._end - self._next)
        chunk = os.pread(self._handle, wanted, self._next) if wanted else b""
        if wanted and not chunk:
            raise OtherBytes("the file became shorter while it was sent; nothing was written")
        self._next += len(chunk)
        return chunk


class _Body(io.RawIOBase):
    """The bytes of a blob as they come in; fewer than the server announced are an error, not an end."""

    def __init__(self, answer: BaseHTTPResponse, requests: S3Requests, key: str) -> None:
        self._answer, self._errors, self._what = answer, requests.errors, f"cannot read {key!r} to its end"

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes; at the end none."""
        with self._errors(self._what):
            return self._answer.read(None if size is None or size < 0 else size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Give the connection back, or close it if there is more to come."""
        if not self.closed:
            self._answer.close()
            self._answer.release_conn()
        super().close()


def bucket_names(place: S3Place) -> list[str]:
    """Return the names of the buckets that the keys may see.

    :param place: which server; its bucket does not matter
    """
    requests = S3Requests(place)
    try:
        with requests.errors("cannot list the buckets"):
            return sorted(bucket.name for bucket in requests.reading.list_buckets())
    finally:
        requests.close()


def _info(key: str, found: Any) -> BlobInfo:
    if found.last_modified is None:
        raise ValueError("every object of S3 has a time")
    # To the second: a list tells more of it than the answer about one object, and one blob has one time.
    return BlobInfo(key=key, size=found.size or 0, modified_at=found.last_modified.replace(microsecond=0))


def _checksum(headers: dict[str, str]) -> str | None:
    """Return the checksum in an answer as :class:`FileDigest` writes it; None: none, or another kind."""
    told = {name.lower(): value for name, value in headers.items()}.get(_CHECKSUM, "")
    match = _COMPOSITE.fullmatch(told)
    if match is None:
        return None
    return base64.b64decode(match["digest"]).hex() + (match["parts"] or "")


def _base64(sha256: bytes) -> str:
    return base64.b64encode(sha256).decode()


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except ValueError:
        return False
    return True
