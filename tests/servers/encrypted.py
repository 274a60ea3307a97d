"""Servers that speak TLS by a certificate of an authority of their own, which nobody knows who was not told of it."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

import trustme

from tests.servers.consul import Consul
from tests.servers.minio import Minio
from tests.servers.mongo import Mongo
from tests.servers.postgres import Postgres
from tests.servers.server import Server


class Certificates:
    """The authority's certificate, and that of 127.0.0.1 with its key.

    :param folder: where their files go. ``client`` is one file with a client's certificate and its key
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.authority = folder, folder / "authority.pem"
        self.chain, self.key = folder / "public.crt", folder / "private.key"  # as MinIO calls them
        authority = trustme.CA()
        mine = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(self.authority))
        mine.private_key_pem.write_to_path(str(self.key))
        self.key.chmod(0o600)
        for certificate in mine.cert_chain_pems:
            certificate.write_to_path(str(self.chain), append=True)
        self.client = folder / "client.pem"
        authority.issue_cert("somebody@example.com").private_key_and_cert_chain_pem.write_to_path(str(self.client))


class Encrypted(Server):
    """A server with certificates."""

    @cached_property
    def certificates(self) -> Certificates:
        """They are made when the server is started."""
        return Certificates(self.folder / "certificates")


class EncryptedMongo(Encrypted, Mongo):
    """Answers nobody without TLS."""

    def command(self) -> list[str]:
        files = ("--tls-cert-file", str(self.certificates.chain), "--tls-key-file", str(self.certificates.key))
        return [*super().command(), *files]

    @property
    def url(self) -> str:
        return f"{super().url}/?tls=true&tlsCAFile={self.certificates.authority}"


class EncryptedPostgres(Encrypted, Postgres):
    """Speaks TLS with those who want to."""

    def command(self) -> list[str]:
        files = (f"ssl_cert_file={self.certificates.chain}", f"ssl_key_file={self.certificates.key}")
        return [*super().command(), *(option for setting in ("ssl=on", *files) for option in ("-c", setting))]

    def prepare(self) -> None:
        super().prepare()
        if self._user():
            shutil.chown(self.certificates.key, "postgres")


class EncryptedMinio(Encrypted, Minio):
    """Answers nobody without TLS."""

    def command(self) -> list[str]:
        return [*super().command(), "--certs-dir", str(self.certificates.folder)]

    @property
    def url(self) -> str:
        return super().url.replace("s3+http:", "s3+https:")

    @property
    def trusted(self) -> str:
        return str(self.certificates.authority)


class EncryptedConsul(Encrypted, Consul):
    """Answers nobody who shows no certificate."""

    def command(self) -> list[str]:
        return [*super().command(), "-config-file", str(self.folder / "tls.hcl")]

    def prepare(self) -> None:
        super().prepare()
        made = self.certificates
        (self.folder / "tls.hcl").write_text(
            f"""
            ports {{
              http = -1
              https = {self.port}
            }}
            tls {{
              https {{
                ca_file = "{made.authority}"
                cert_file = "{made.chain}"
                key_file = "{made.key}"
                verify_incoming = true
              }}
            }}
            """,
            encoding="utf-8",
        )

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")

    def trust(self) -> dict[str, str]:
        return {"verify": str(self.certificates.authority), "cert": str(self.certificates.client)}
