"""The vocabulary of blob stores."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from airflow_provider_exia.storage import blobs
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, HashBeside, measure, sha256_of


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_stream_is_read_to_its_end(size: int) -> None:
    content = b"x" * size

    found = sha256_of(io.BytesIO(content))

    assert found == (hashlib.sha256(content).hexdigest(), size)


def test_a_hash_beside_takes_chunks_in_their_order() -> None:
    chunks = [b"a" * CHUNK_BYTES, b"b", b"c" * CHUNK_BYTES, b"d" * (CHUNK_BYTES + 1)]

    with HashBeside() as digest:
        for chunk in chunks:
            digest.update(chunk)
        found = digest.hexdigest()

    assert found == hashlib.sha256(b"".join(chunks)).hexdigest()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_is_measured_whole_and_in_parts_in_one_pass(tmp_path: Path, extra: int) -> None:
    source, part_bytes = tmp_path / "file", 2 * CHUNK_BYTES
    source.write_bytes(b"1" * part_bytes + b"2" * part_bytes + b"3" * extra)

    digest = measure(source, part_bytes=part_bytes)

    content = source.read_bytes()
    parts = [content[start : start + part_bytes] for start in range(0, len(content), part_bytes)]
    assert (digest.sha256, digest.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert digest.parts == tuple(hashlib.sha256(part).digest() for part in parts)
    assert digest.checksum == f"{hashlib.sha256(b''.join(digest.parts)).hexdigest()}-{2 + extra}"


@pytest.mark.parametrize("part_bytes", [None, CHUNK_BYTES])
def test_a_file_of_one_part_has_the_checksum_of_its_bytes(tmp_path: Path, part_bytes: int | None) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x" * CHUNK_BYTES)

    digest = measure(source, part_bytes=part_bytes)

    assert digest.parts == ()
    assert digest.checksum == hashlib.sha256(source.read_bytes()).hexdigest()


def test_parts_grow_when_a_file_would_have_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MOST_PARTS", 3)  # the real 10,000 parts of 16 MiB are 156 GiB
    source = tmp_path / "file"
    source.write_bytes(b"x" * (7 * CHUNK_BYTES))

    digest = measure(source, part_bytes=CHUNK_BYTES)

    assert (digest.part_bytes, len(digest.parts)) == (4 * CHUNK_BYTES, 2)
