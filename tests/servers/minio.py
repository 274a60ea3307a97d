"""MinIO, built from its published module."""

from __future__ import annotations

import json

from minio.minioadmin import MinioAdmin

from tests.servers.finding import GoProgram, Program
from tests.servers.s3 import S3Server, impatient
from tests.servers.server import PASSWORD, USER

_COMMIT = "7aac2a2c5b7c"
_MODULE = f"github.com/minio/minio@v0.0.0-20260212201848-{_COMMIT}"
_FLAGS = f"-X github.com/minio/minio/cmd.Version=2026-02-12T20:18:48Z -X github.com/minio/minio/cmd.CommitID={_COMMIT}"


class Minio(S3Server):
    """A fresh place is a bucket."""

    key = "minio"
    name = "MinIO"
    program = Program("minio", GoProgram(_MODULE, _FLAGS))

    def command(self) -> list[str]:
        data, address = str(self.folder / "data"), f"127.0.0.1:{self.port}"
        return [str(self.program.path()), "server", data, "--address", address, "--quiet"]

    def prepare(self) -> None:
        (self.folder / "data").mkdir()

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "MINIO_ROOT_USER": USER,
            "MINIO_ROOT_PASSWORD": PASSWORD,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }

    def ask(self) -> str:
        self.client().list_buckets()
        http = impatient(self.trusted)
        admin = MinioAdmin(endpoint=self.address, credentials=self.credentials, secure=self.secure, http_client=http)
        told = json.loads(admin.info())["servers"][0]
        return f"{told['version']}, commit {told['commitID']}"
