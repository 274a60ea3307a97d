"""Connections to servers certified by a company's own authority: trusted when it is named, else refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from airflow.sdk import Connection

from airflow_provider_exia.hooks.blobs import open_bucket
from airflow_provider_exia.hooks.documents import documents_url
from airflow_provider_exia.storage import server_facts
from airflow_provider_exia.storage.blobs import sha256_of
from airflow_provider_exia.storage.documents import (
    Collection,
    StorageError,
    StoreRefused,
    StoreUnavailable,
    WriteUnknown,
)
from airflow_provider_exia.storage.opening import open_documents
from airflow_provider_exia.storage.server_facts import TellsOfItself, Way
from tests.servers.encrypted import Encrypted, EncryptedMinio, EncryptedMongo, EncryptedPostgres
from tests.servers.proxy import Proxy
from tests.servers.server import PASSWORD, USER, Server
from tests.servers.session import fresh_blobs_url, private

MEBIBYTE = 1024**2
THINGS = Collection(name="things", fields={"name": str}, unique=(("name",),))


@dataclass(frozen=True)
class Kind:
    """How a connection of this type says that TLS is wanted, and whom it trusts.

    :param variant: the server
    :param login: who signs in there
    :param extra: of the connection, without an authority
    :param authority: the extra that names its file
    """

    variant: type[Encrypted]
    login: Mapping[str, str]
    extra: Mapping[str, object]
    authority: str


WHO = {"login": USER, "password": PASSWORD}
DOCUMENTS = {
    "mongo": Kind(EncryptedMongo, {}, {"tls": True}, "tlsCAFile"),
    "postgres": Kind(EncryptedPostgres, {**WHO, "schema": "postgres"}, {"sslmode": "verify-full"}, "sslrootcert"),
}
MINIO = Kind(EncryptedMinio, WHO, {"secure": True}, "ca_file")


@dataclass(frozen=True)
class Running:
    """A server and its connections.

    :param conn_type: their type
    :param kind: of the server
    :param port: where it is
    :param authority: of its certificate
    """

    conn_type: str
    kind: Kind
    port: int
    authority: Path

    def connect(self, authority: Path | None, *, port: int | None = None) -> Connection:
        """Return a connection that trusts an authority, or names none.

        :param port: of a proxy
        """
        extra = {**self.kind.extra, **({self.kind.authority: str(authority)} if authority else {})}
        where = {"host": "127.0.0.1", "port": port or self.port}
        return Connection(conn_id="tls", conn_type=self.conn_type, extra=json.dumps(extra), **where, **self.kind.login)


def running(conn_type: str, kind: Kind, server: Server) -> Running:
    assert isinstance(server, Encrypted)
    return Running(conn_type, kind, server.port, server.certificates.authority)


@pytest.fixture(scope="module", params=[pytest.param(key, marks=pytest.mark.servers(key)) for key in DOCUMENTS])
def documents(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Each server of documents in turn."""
    kind = DOCUMENTS[request.param]
    with private(request.param, kind.variant) as server:
        yield running(request.param, kind, server)


@pytest.fixture(scope="module")
def minio() -> Iterator[Running]:
    """The S3 server, with a bucket ``models``."""
    with private("minio", MINIO.variant) as server:
        assert isinstance(server, EncryptedMinio)
        server.client().make_bucket("models")
        yield running("minio", MINIO, server)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The certificate of an authority that has signed nothing here."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    return tmp_path / "stranger.pem"


def test_documents_are_kept_through_tls(documents: Running) -> None:
    store = open_documents(documents_url(documents.connect(documents.authority)))

    store.insert(THINGS, {"name": "a", "colour": "red"})

    assert store.get(THINGS, {"name": "a"}) == {"name": "a", "colour": "red", "revision": 1}


@pytest.mark.parametrize("trusted", ["a stranger", "nobody"])
def test_a_server_of_documents_that_nobody_vouches_for_is_told_nothing(
    documents: Running, stranger: Path, trusted: str
) -> None:
    authority = stranger if trusted == "a stranger" else None
    store = open_documents(documents_url(documents.connect(authority)))

    with pytest.raises(StorageError, match="certificate") as refused:
        store.insert(THINGS, {"name": "b"})

    assert "nothing was written" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_the_doctor_is_told_that_the_way_is_safe(documents: Running) -> None:
    store = open_documents(documents_url(documents.connect(documents.authority)))

    assert isinstance(store, TellsOfItself)
    assert store.server().way is Way.CHECKED


@pytest.mark.parametrize("documents", [pytest.param("postgres", marks=pytest.mark.servers("postgres"))], indirect=True)
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize(
    ("mode", "way"), [("require", Way.UNCHECKED), ("prefer", Way.UNCHECKED), ("disable", Way.PLAIN)]
)
def test_the_way_to_postgresql_is_what_became_of_the_wish(
    documents: Running, monkeypatch: pytest.MonkeyPatch, driver: str, mode: str, way: Way
) -> None:
    monkeypatch.setattr(server_facts, "is_this_machine", lambda _: False)
    wishing = replace(documents, kind=replace(documents.kind, extra={"sslmode": mode}))
    _, where = documents_url(wishing.connect(None)).split(":", 1)

    with closing(open_documents(f"postgresql+{driver}:{where}")) as store:
        assert isinstance(store, TellsOfItself)
        assert store.server().way is way


def test_a_write_whose_answer_is_lost_within_tls_leaves_its_outcome_open(documents: Running) -> None:
    with Proxy(documents.port) as proxy:
        store = open_documents(proxy.through(documents_url(documents.connect(documents.authority))))
        store.insert(THINGS, {"name": "first"})
        proxy.reset_after(1, "reply")

        with pytest.raises(WriteUnknown):
            store.insert(THINGS, {"name": "second"})

        proxy.pass_all()
        assert store.get(THINGS, {"name": "second"}) is not None


@pytest.mark.servers("minio")
def test_files_are_kept_through_tls(minio: Running, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    bucket = open_bucket(minio.connect(minio.authority), "models")

    bucket.put("rules/model.json", tmp_path / "model.json")

    with bucket.open("rules/model.json") as stream:
        assert stream.read() == b"{}"
    assert bucket.server().way is Way.CHECKED


@pytest.mark.servers("minio")
@pytest.mark.parametrize("variable", [True, False])
def test_without_a_file_of_its_own_a_connection_trusts_what_the_environment_names(
    minio: Running, stranger: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(minio.authority if variable else stranger))
    given = minio.connect(None if variable else minio.authority)

    assert list(open_bucket(given, "models").list("absent/")) == []


@pytest.mark.servers("minio")
@pytest.mark.parametrize("trusted", ["a stranger", "nobody"])
def test_an_s3_server_that_nobody_vouches_for_is_sent_nothing(minio: Running, stranger: Path, trusted: str) -> None:
    bucket = open_bucket(minio.connect(stranger if trusted == "a stranger" else None), "models")

    with pytest.raises(StoreRefused, match="no secure connection: .*; nothing was sent") as refused:
        list(bucket.list("absent/"))

    assert PASSWORD not in str(refused.value)


@pytest.mark.servers("minio")
def test_a_put_that_is_cut_off_within_tls_leaves_its_outcome_open(minio: Running, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(8 * MEBIBYTE))
    with Proxy(minio.port) as proxy:
        bucket = open_bucket(minio.connect(minio.authority, port=proxy.port), "models")
        assert bucket.stat("rules/model.bin") is None  # the connection is there
        proxy.reset_after(MEBIBYTE, "request")

        with pytest.raises(WriteUnknown, match="no answer"):
            bucket.put("rules/model.bin", tmp_path / "model.bin")


@pytest.mark.servers("minio")
def test_a_read_that_is_cut_off_within_tls_may_be_tried_again(minio: Running, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(8 * MEBIBYTE))
    open_bucket(minio.connect(minio.authority), "models").put("rules/large.bin", tmp_path / "model.bin")
    with Proxy(minio.port) as proxy:
        bucket = open_bucket(minio.connect(minio.authority, port=proxy.port), "models")
        proxy.reset_after(MEBIBYTE, "reply")

        with bucket.open("rules/large.bin") as stream, pytest.raises(StoreUnavailable):
            sha256_of(stream)


@pytest.mark.servers("minio")
def test_a_server_that_speaks_no_tls_is_sent_nothing() -> None:
    place = urlsplit(fresh_blobs_url("minio"))
    where = {"host": place.hostname, "port": place.port, "login": USER, "password": PASSWORD}
    plain = Connection(conn_id="plain", conn_type="minio", extra=json.dumps({"secure": True}), **where)

    with pytest.raises(StoreRefused, match="no secure connection: .*; nothing was sent"):
        list(open_bucket(plain, place.path[1:]).list("absent/"))
