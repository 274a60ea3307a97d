"""What the S3 servers share: their URLs, and a client that does not wait."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import urllib3
from minio import Minio as Client
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from tests.servers.server import PASSWORD, USER, BlobServer, fresh_name


class S3Server(BlobServer):
    """A server that speaks S3."""

    not_yet = (HTTPError, MinioException)

    @property
    def url(self) -> str:
        return self.given or f"s3+http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """The host and port in its URL."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def credentials(self) -> StaticProvider:
        """The access key and the secret in its URL."""
        parts = urlsplit(self.url)
        return StaticProvider(unquote(parts.username or ""), unquote(parts.password or ""))

    @property
    def secure(self) -> bool:
        """Whether it is spoken to through TLS."""
        return urlsplit(self.url).scheme.endswith("https")

    @property
    def trusted(self) -> str | None:
        """The file of certificates that its clients trust; None for the usual ones."""
        return None

    def client(self) -> Client:
        """Return a client that tries once and gives up soon."""
        http = impatient(self.trusted)
        return Client(self.address, credentials=self.credentials, secure=self.secure, http_client=http)

    def fresh_blobs_url(self) -> str:
        bucket = fresh_name()
        self.client().make_bucket(bucket)
        return urlsplit(self.url)._replace(path=f"/{bucket}").geturl()


def impatient(trusted: str | None = None) -> urllib3.PoolManager:
    """Return an HTTP client that tries once and gives up soon.

    :param trusted: file of certificates; None for the usual ones
    """
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=10), retries=False, ca_certs=trusted)
