"""An object connection becomes a bucket, field by field, and nothing in it is passed over in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.blobs import place_of
from airflow_provider_exia.storage.s3 import S3Place

KEYS = {"login": "access", "password": "secret"}


def connection(conn_type: str, extra: Any = None, **fields: Any) -> Connection:
    return Connection(conn_id="store", conn_type=conn_type, extra=json.dumps(extra or {}), **fields)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (connection("minio", host="store", port=9000, **KEYS), {"endpoint": "store:9000"}),
        (connection("minio", {"secure": False}, host="store", **KEYS), {"endpoint": "store", "secure": False}),
        # The form's switch stands on true until somebody moves it.
        (
            connection("minio", {"secure": True}, host="http://store:9000", **KEYS),
            {"endpoint": "store:9000", "secure": False},
        ),
        (connection("minio", {"region": "eu"}, host="https://store/", **KEYS), {"endpoint": "store", "region": "eu"}),
        (
            connection("minio", {"ca_file": "/ca.pem"}, host="store", **KEYS),
            {"endpoint": "store", "ca_file": "/ca.pem"},
        ),
        (connection("aws", **KEYS), {"endpoint": "s3.amazonaws.com"}),
        (
            connection("aws", {"region_name": "eu-west-1", "aws_session_token": "token"}, **KEYS),
            {"endpoint": "s3.amazonaws.com", "region": "eu-west-1", "session_token": "token"},
        ),
        (
            connection("aws", {"aws_access_key_id": "access", "aws_secret_access_key": "secret"}),
            {"endpoint": "s3.amazonaws.com"},
        ),
        (connection("aws", {"verify": True}, **KEYS), {"endpoint": "s3.amazonaws.com"}),
        (connection("aws", {"verify": "/ca.pem"}, **KEYS), {"endpoint": "s3.amazonaws.com", "ca_file": "/ca.pem"}),
        (connection("aws", {"endpoint_url": "http://store:8333"}, **KEYS), {"endpoint": "store:8333", "secure": False}),
    ],
)
def test_a_connection_says_where_the_bucket_is(given: Connection, expected: dict[str, Any]) -> None:
    assert place_of(given, "models") == S3Place(bucket="models", access_key="access", secret_key="secret", **expected)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (connection("http", {"a": 1}), "it is of the type 'http', and files are kept in aws or minio"),
        (connection("minio", **KEYS), "'an empty text' is no address of a server"),
        (connection("minio", host="store/bucket", **KEYS), "'store' is no address of a server: .* without a path"),
        (connection("minio", host="ftp://store", **KEYS), "'store' is no address of a server"),
        (connection("minio", host="http://a:b@store", **KEYS), "'store' is no address of a server"),
        (connection("minio", host="http://a:secret[@store", **KEYS), "its server.s address cannot be read: expected"),
        (connection("minio", host="a:secret", **KEYS), "its server's address cannot be read"),
        (connection("minio", host="store", password="secret"), r"its login \(the access key\) is empty"),
        (connection("minio", host="store", login="access"), r"its password \(the secret key\) is empty"),
        (connection("aws", {"verify": False}, **KEYS), "'verify' is false, .*: name a file of certificates"),
        (connection("minio", {"secure": "si"}, host="store", **KEYS), "secure is 'si', expected true or false"),
        (connection("minio", {"tls": True}, host="store", **KEYS), "'tls' in its extra is not known: expected one of"),
        (connection("aws"), r"its login \(the access key\) is empty: give both; keys are never taken from the machine"),
        (
            connection("aws", {"role_arn": "arn:aws:iam::1:role/a"}, **KEYS),
            "'role_arn' in its extra is not supported here",
        ),
        (connection("aws", {"profile_name": "a"}, **KEYS), "'profile_name' in its extra is not supported here"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(given: Connection, problem: str) -> None:
    with pytest.raises(InvalidInput, match=f"connection 'store': {problem}") as caught:
        place_of(given, "models")

    assert "secret" not in str(caught.value).replace("the secret key", "")
