"""The vocabulary of blob stores."""

from __future__ import annotations

import hashlib
import io

import pytest

from airflow_provider_exia.storage.blobs import CHUNK_BYTES, sha256_of


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_stream_is_read_to_its_end(size: int) -> None:
    content = b"x" * size

    found = sha256_of(io.BytesIO(content))

    assert found == (hashlib.sha256(content).hexdigest(), size)
