"""What is particular to blobs on an S3 server, without one: addresses, secrets, short answers, lost connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from ssl import SSLCertVerificationError, SSLEOFError, SSLError
from urllib.parse import quote

import pytest
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as HTTPSError

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage import s3_requests
from airflow_provider_exia.storage.blobs import BlobMissing, OtherBytes, measure
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown
from airflow_provider_exia.storage.opening import open_blobs
from airflow_provider_exia.storage.s3 import S3Blobs, S3Place, bucket_names

SECRET = "se/cret"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to put."""
    path = tmp_path / "source.bin"
    path.write_bytes(b"some bytes")
    return path


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], S3Blobs]]:
    """Opens a blob store whose server answers every connection with these bytes and then hangs up."""
    listeners = []

    def start(answer: bytes) -> S3Blobs:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed: the test is over
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        return S3Blobs(S3Place(endpoint=endpoint, bucket="bucket", access_key="exia", secret_key=SECRET, secure=False))

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def refusal(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def test_an_answer_that_is_cut_is_an_error_and_not_a_shorter_blob(answering: Callable[[bytes], S3Blobs]) -> None:
    blobs = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part")

    with blobs.open("a/b") as stream, pytest.raises(StoreUnavailable, match="cannot read 'a/b' to its end"):
        stream.read()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", WriteUnknown),
        (refusal("403 Forbidden", "AccessDenied"), StoreRefused),
        (refusal("403 Forbidden", "InvalidAccessKeyId"), StoreRefused),
        (refusal("403 Forbidden", "SignatureDoesNotMatch"), StoreRefused),
        (refusal("400 Bad Request", "XMinioAdminBucketQuotaExceeded"), StoreRefused),
        (refusal("507 Insufficient Storage", "XMinioStorageFull"), StoreRefused),
        (refusal("503 Slow Down", "SlowDown"), StoreUnavailable),
        (refusal("400 Bad Request", "RequestTimeout"), StoreUnavailable),
        (refusal("500 Internal Server Error", "InternalError"), WriteUnknown),
        (refusal("400 Bad Request", "BadDigest"), OtherBytes),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", WriteUnknown),
    ],
    ids=["hang-up", "denied", "key", "signature", "quota", "full", "busy", "slow", "broken", "digest", "proxy"],
)
def test_a_put_tells_a_no_from_no_word(
    answering: Callable[[bytes], S3Blobs], source: Path, answer: bytes, expected: type[StorageError]
) -> None:
    with pytest.raises(StorageError) as error:
        answering(answer).put("a/b", source)

    assert type(error.value) is expected
    assert SECRET not in str(error.value)


def test_a_missing_bucket_is_refused_with_how_to_make_it(answering: Callable[[bytes], S3Blobs], source: Path) -> None:
    blobs = answering(refusal("404 Not Found", "NoSuchBucket"))

    for call in (lambda: blobs.put("a/b", source), lambda: blobs.open("a/b"), lambda: list(blobs.list(""))):
        with pytest.raises(StoreRefused, match="there is no bucket 'bucket': make it, as in 'mc mb SERVER/bucket'"):
            call()


@pytest.mark.parametrize(
    "answer",
    [
        refusal("301 Moved Permanently", "PermanentRedirect"),
        refusal("307 Temporary Redirect", "TemporaryRedirect"),
        b"HTTP/1.1 301 Moved Permanently\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 308 Permanent Redirect\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["region", "name service", "to TLS", "empty"],
)
def test_a_bucket_that_is_elsewhere_is_refused_with_what_to_give(
    answering: Callable[[bytes], S3Blobs], source: Path, answer: bytes
) -> None:
    blobs = answering(answer)

    for call in (lambda: blobs.put("a/b", source), lambda: blobs.stat("a/b"), lambda: list(blobs.list(""))):
        with pytest.raises(StoreRefused, match="in another region or at another endpoint, give that one in the conn"):
            call()


@pytest.mark.parametrize(
    "page",
    [b"<!doctype html><meta><p>Log in", b"<html><body>Log in</body></html>", b"<p>\xfcber uns</p>", b""],
    ids=["page", "page that is XML", "page in Latin-1", "nothing"],
)
def test_an_answer_of_something_else_is_refused_with_what_to_look_at(
    answering: Callable[[bytes], S3Blobs], tmp_path: Path, page: bytes
) -> None:
    place = answering(f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page).place
    blobs = S3Blobs(place, part_bytes=2**20)
    (large := tmp_path / "large.bin").write_bytes(bytes(2**20 + 1))

    for call in (
        lambda: blobs.put("a/b", large),
        lambda: blobs.stat("a/b"),
        lambda: list(blobs.list("")),
        lambda: blobs.unfinished("", before=datetime.now(UTC)),
        lambda: bucket_names(place),
    ):
        with pytest.raises(
            StoreRefused, match=r"no S3.*: is 127\.0\.0\.1:\d+ the address of the S3 API \(not of its con"
        ):
            call()


def test_a_missing_object_is_a_missing_blob(answering: Callable[[bytes], S3Blobs]) -> None:
    with pytest.raises(BlobMissing, match="'a/b'"):
        answering(refusal("404 Not Found", "NoSuchKey")).open("a/b")


def test_no_server_means_nothing_was_sent(source: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    blobs = open_blobs(f"s3+http://exia:{SECRET.replace('/', '%2F')}@127.0.0.1:{port}/bucket")

    for call in (lambda: blobs.put("a/b", source), lambda: blobs.stat("a/b"), lambda: blobs.open("a/b")):
        with pytest.raises(StoreUnavailable, match="no connection: .*; nothing was sent"):
            call()


def test_a_server_that_says_nothing_is_given_up_after_the_time_out(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_requests, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # its backlog accepts, and nobody reads
        blobs = open_blobs(f"s3+http://exia:secret@127.0.0.1:{listener.getsockname()[1]}/bucket")

        with pytest.raises(WriteUnknown, match="no answer: .*timed out"):
            blobs.put("a/b", source)


def test_a_server_that_says_nothing_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_requests, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        blobs = open_blobs(f"s3+http://exia:secret@127.0.0.1:{listener.getsockname()[1]}/bucket")
        listener.settimeout(0)

        for call in (lambda: blobs.open("a/b"), lambda: blobs.stat("a/b"), lambda: blobs.delete("a/b")):
            with pytest.raises(StoreUnavailable, match="no answer: .*timed out"):
                call()
            listener.accept()[0].close()
            with pytest.raises(BlockingIOError):  # no second connection
                listener.accept()


LOST = SSLEOFError(8, "EOF occurred in violation of protocol")
PLACE = S3Place(endpoint="h", bucket="models", access_key="exia", secret_key=SECRET)


def test_a_read_that_was_lost_within_tls_is_asked_once_more() -> None:
    once = s3_requests._pool(PLACE).connection_pool_kw["retries"]

    assert once.increment("GET", "/", error=HTTPSError(LOST)).total == once.total - 1


@pytest.mark.parametrize(
    ("method", "lost"), [("PUT", LOST), ("GET", SSLCertVerificationError(1, "certificate verify failed"))]
)
def test_a_write_that_was_lost_within_tls_is_not_sent_again_nor_what_a_certificate_forbids(
    method: str, lost: SSLError
) -> None:
    once = s3_requests._pool(PLACE).connection_pool_kw["retries"]

    with pytest.raises(HTTPError, match="EOF occurred|certificate verify failed"):
        once.increment(method, "/", error=HTTPSError(lost))


def test_a_source_of_another_size_than_its_digest_is_refused_before_any_request(source: Path) -> None:
    blobs = open_blobs("s3+http://exia:secret@127.0.0.1:1/bucket")
    digest = measure(source)
    source.write_bytes(b"longer than before")

    with pytest.raises(OtherBytes, match=r"source\.bin has another size than when it was hashed; nothing was written"):
        blobs.put("a/b", source, digest=digest)


def test_a_place_shows_no_secret() -> None:
    place = S3Place(endpoint="h", bucket="models", access_key="exia", secret_key=SECRET, session_token="to-ken")

    shown = f"{place!r} {place}"

    assert SECRET not in shown
    assert "to-ken" not in shown
    assert "https://h/models" in shown


def test_an_address_is_taken_apart_and_decoded(tmp_path: Path) -> None:
    (authority := tmp_path / "ca.pem").touch()
    blobs = open_blobs(
        "s3+https://ex%40ia:se%2Fcret@minio.example.com:9000/models/team/a"
        f"?region=eu-west-1&ca_file={quote(str(authority))}"
    )

    assert isinstance(blobs, S3Blobs)
    assert blobs.place == S3Place(
        endpoint="minio.example.com:9000",
        bucket="models",
        prefix="team/a",
        access_key="ex@ia",
        secret_key=SECRET,
        region="eu-west-1",
        ca_file=str(authority),
    )


@pytest.mark.parametrize("by", ["address", "environment"])
def test_a_file_of_certificates_that_is_not_there_is_named(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", "/absent.pem")

    with pytest.raises(InvalidInput, match=r"https://h/bucket: there is no file /absent\.pem here") as refused:
        open_blobs("s3+https://a:HIDDEN@h/bucket" + ("?ca_file=/absent.pem" if by == "address" else ""))

    assert "HIDDEN" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3://a:HIDDEN@h/bucket", "'s3' is no blob store"),
        ("s3+http://h/bucket", "without access key and secret"),
        ("s3+http://a:HIDDEN@h", "without bucket"),
        ("s3+http://a:HIDDEN@/bucket", "without host"),
        ("s3+http://a:HIDDEN@h:port/bucket", "cannot be read"),
        ("s3+http://a:HIDDEN@h/bucket?tls=no", "with something behind"),
        ("s3+http://a:HIDDEN@h/b", "cannot be a blob store"),
        ("s3+http://a:HIDDEN@h/bucket/../other", "cannot be a blob store"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_without_its_secret(url: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as refused:
        open_blobs(url)

    assert "HIDDEN" not in str(refused.value)
