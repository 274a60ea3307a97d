"""The hook of the connection type ``minio``: a MinIO server, or any other that speaks S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from airflow_provider_exia.exceptions import ExiaError

if TYPE_CHECKING:
    from airflow_provider_exia.storage.blobs import BlobStore


class MinioHook(BaseHook):
    """Gives the buckets of a server that speaks S3.

    :param minio_conn_id: a connection of the type ``minio``
    """

    conn_name_attr = "minio_conn_id"
    default_conn_name = "minio_default"
    conn_type = "minio"
    hook_name = "MinIO or S3 server"

    def __init__(self, minio_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.minio_conn_id = minio_conn_id

    def bucket(self, name: str) -> BlobStore:
        """Return the blob store in a bucket; nothing is connected before its first call.

        :param name: the bucket, which must exist
        """
        from airflow_provider_exia.hooks.blobs import open_bucket

        return open_bucket(self.get_connection(self.minio_conn_id), name)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for the buckets that the keys may see; for the button in the Airflow UI."""
        from airflow_provider_exia.hooks.blobs import place_of
        from airflow_provider_exia.storage.s3 import bucket_names

        try:
            names = bucket_names(place_of(self.get_connection(self.minio_conn_id), bucket=""))
        except ExiaError as error:
            return False, str(error).removeprefix(f"connection {self.minio_conn_id!r}: ")
        return True, f"the server answers; these keys see {len(names)} buckets: {', '.join(names[:5]) or 'none'}"
