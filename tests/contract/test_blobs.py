"""What every blob store promises."""

from __future__ import annotations

import hashlib
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage import server_facts
from airflow_provider_exia.storage.blobs import CHUNK_BYTES, BlobMissing, BlobStore, OtherBytes, measure
from airflow_provider_exia.storage.local import LocalBlobs
from airflow_provider_exia.storage.s3 import S3Blobs
from airflow_provider_exia.storage.s3_requests import S3Requests
from airflow_provider_exia.storage.server_facts import TellsOfItself, Way
from tests.processes import all_at_once, at_once, exit_code

if TYPE_CHECKING:
    from tests.contract.conftest import Backend, OpenBlobs

REPLACEMENTS = 200
LARGE = 20 * 1024 * 1024  # an S3 server takes it in parts


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to put."""
    path = tmp_path / "source.bin"
    path.write_bytes(b"some bytes")
    return path


def content(blobs: BlobStore, key: str) -> bytes:
    with blobs.open(key) as stream:
        return stream.read()


def keys(blobs: BlobStore, prefix: str) -> list[str]:
    return sorted(info.key for info in blobs.list(prefix))


def test_a_blob_is_read_back_byte_for_byte(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(bytes(range(256)) * (CHUNK_BYTES // 256) + b"one chunk and a bit")

    blobs.put("models/a/1/large.bin", source)

    assert content(blobs, "models/a/1/large.bin") == source.read_bytes()


def test_an_empty_file_is_a_blob_too(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "empty"
    source.touch()

    blobs.put("a/empty", source)

    assert content(blobs, "a/empty") == b""


def test_a_second_put_replaces_the_blob(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)
    source.write_bytes(b"longer than before")

    blobs.put("a/b", source)

    assert content(blobs, "a/b") == b"longer than before"
    assert keys(blobs, "") == ["a/b"]


def test_what_was_put_stays_when_the_source_changes(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)

    source.write_bytes(b"changed!!!")

    assert content(blobs, "a/b") == b"some bytes"


def test_putting_a_missing_file_is_refused_by_its_name_and_makes_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no-such-file"):
        blobs.put("a/b", tmp_path / "no-such-file")

    assert keys(blobs, "") == []


def test_stat_tells_size_and_time_of_writing(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)

    info = blobs.stat("a/b")

    assert info is not None
    assert (info.key, info.size) == ("a/b", len(b"some bytes"))
    assert abs(datetime.now(UTC) - info.modified_at) < timedelta(hours=1)


ABSENT = [
    pytest.param("a/c", id="beside"),
    pytest.param("a", id="a prefix of keys"),
    pytest.param("a/b/c", id="below a blob"),
    pytest.param("z/y/x", id="elsewhere"),
]


@pytest.mark.parametrize("key", ABSENT)
def test_an_absent_blob_has_no_stat(blobs: BlobStore, source: Path, key: str) -> None:
    blobs.put("a/b", source)

    info = blobs.stat(key)

    assert info is None


@pytest.mark.parametrize("key", ABSENT)
def test_opening_an_absent_blob_says_which(blobs: BlobStore, source: Path, key: str) -> None:
    blobs.put("a/b", source)

    with pytest.raises(BlobMissing, match=repr(key)) as missing:
        blobs.open(key)

    assert missing.value.key == key


@pytest.mark.parametrize("key", ABSENT)
def test_deleting_an_absent_blob_is_success_and_touches_no_other(blobs: BlobStore, source: Path, key: str) -> None:
    blobs.put("a/b", source)

    blobs.delete(key)

    assert keys(blobs, "") == ["a/b"]


def test_a_deleted_blob_is_gone(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)
    blobs.put("a/c", source)

    blobs.delete("a/b")

    assert blobs.stat("a/b") is None
    assert keys(blobs, "a/") == ["a/c"]


def test_list_gives_whole_segments_only(blobs: BlobStore, source: Path) -> None:
    for key in ("models/a/1/x", "models/a/2/y", "models/ab/1/x", "models/a_b/1/x", "other/a/1/x"):
        blobs.put(key, source)

    found = keys(blobs, "models/a/")

    assert found == ["models/a/1/x", "models/a/2/y"]


def test_list_of_everything_and_of_nothing(blobs: BlobStore, source: Path) -> None:
    before = keys(blobs, "")
    blobs.put("models/a/1/x", source)

    assert before == []
    assert keys(blobs, "") == ["models/a/1/x"]
    assert keys(blobs, "absent/") == []
    assert keys(blobs, "models/a/1/x/") == []


def test_what_is_written_to_try_the_server_lies_beside_the_blob(
    blobs: BlobStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(blobs, S3Blobs):
        pytest.skip("tries no server")
    asked: list[str] = []
    send = S3Requests.send

    def send_and_note(self: S3Requests, method: str, name: str = "", **more: Any) -> Any:
        asked.append(f"{method} {name}")
        return send(self, method, name, **more)

    monkeypatch.setattr(S3Requests, "send", send_and_note)
    blobs.put("team/models/m/a", source)

    blobs.stat("team/models/m/a")

    start = f"{blobs.place.prefix}/" if blobs.place.prefix else ""
    tried = [request for request in asked if request.startswith("PUT")][1:]
    assert all(request.startswith(f"PUT {start}team/models/m/.exia-probe/") for request in tried)
    assert len(tried) <= 1


def test_list_tells_what_stat_tells_but_the_checksum(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)

    listed, info = list(blobs.list("a/")), blobs.stat("a/b")

    assert info is not None
    assert listed == [replace(info, checksum=None)]


@pytest.mark.parametrize("claimed", ["right", "wrong", "none"])
def test_a_checksum_of_the_stores_own_is_that_of_the_bytes_whatever_was_claimed(
    blobs: BlobStore, source: Path, claimed: str
) -> None:
    real = measure(source, part_bytes=blobs.part_bytes)
    wrong = replace(real, sha256=hashlib.sha256(b"other bytes").hexdigest())
    digest = {"right": real, "wrong": wrong, "none": None}[claimed]

    refused = False
    try:
        blobs.put("a/b", source, digest=digest)
    except OtherBytes:
        refused = True

    info = blobs.stat("a/b")
    if claimed == "wrong" and refused:
        assert info is None
    else:
        assert not refused
        assert info is not None
        assert info.checksum in (None, real.checksum)
        assert content(blobs, "a/b") == b"some bytes"


def test_a_server_says_what_it_is_and_that_others_can_listen(
    blobs: BlobStore, blobs_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(blobs, TellsOfItself):
        pytest.skip("has no server")
    monkeypatch.setattr(server_facts, "is_this_machine", lambda _: False)

    facts = blobs.server()

    assert facts.product
    assert facts.way is (Way.PLAIN if blobs_backend.server else Way.LOCAL)


def test_a_closed_store_can_be_used_again(blobs: BlobStore, source: Path) -> None:
    blobs.put("a/b", source)

    blobs.close()
    blobs.close()

    assert content(blobs, "a/b") == b"some bytes"


TRICKS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "a/./b",
    ".hidden",
    "a/.hidden",
    ".incoming/a",
    "a\\b",
    "..\\a",
    "a\x00b",
    "a/b\n",
    "a b",
    "ä/b",
    "a/b\u2215c",
    "~root",
    "a/%2e%2e/b",
    "C:/a",
]


def calls(blobs: BlobStore, source: Path) -> dict[str, Callable[[str], object]]:
    return {
        "put": lambda key: blobs.put(key, source),
        "open": blobs.open,
        "stat": blobs.stat,
        "delete": blobs.delete,
        "list": lambda key: list(blobs.list(f"{key}/")),
    }


@pytest.mark.parametrize("call", ["put", "open", "stat", "delete", "list"])
@pytest.mark.parametrize("key", TRICKS, ids=repr)
def test_a_key_that_plays_tricks_is_refused_by_every_call(blobs: BlobStore, source: Path, call: str, key: str) -> None:
    with pytest.raises(ValueError, match="no blob key"):
        calls(blobs, source)[call](key)


SAME_STORE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SAME_STORE
@given(
    key=st.one_of(
        st.text(max_size=30),
        st.lists(st.sampled_from(["..", ".", "", "a", "b.c", "\\", "\x00", "~", "-"]), max_size=5).map("/".join),
    )
)
def test_a_key_is_refused_or_means_exactly_one_blob(blobs: BlobStore, source: Path, key: str) -> None:
    key = f"{uuid.uuid4().hex}/{key}"  # a key is never the folder of another one

    try:
        blobs.put(key, source)
    except ValueError:
        made = []
    else:
        made = [key]

    assert keys(blobs, "") == made
    for one in made:
        blobs.delete(one)


# Uploads that never ended.

LATER = timedelta(hours=1)


def put_large(open_blobs: OpenBlobs, source: Path) -> None:
    open_blobs().put("a/large", source)


@pytest.fixture
def upload(blobs_backend: Backend, open_blobs: OpenBlobs, tmp_path: Path) -> str:
    """The name of what a killed put has left."""
    if blobs_backend.unfinished_at is None:
        pytest.skip("a put is one step here and leaves nothing")
    source = tmp_path / "large.bin"
    source.write_bytes(b"x" * LARGE)
    ended = exit_code(put_large, open_blobs, source, environment={"EXIA_CRASH_POINT": blobs_backend.unfinished_at})
    assert ended == -signal.SIGKILL
    [upload] = open_blobs().unfinished("", before=datetime.now(UTC) + LATER)
    return upload


def test_a_put_that_ended_is_no_unfinished_upload(blobs: BlobStore, source: Path) -> None:
    before = list(blobs.unfinished("", before=datetime.now(UTC) + LATER))
    blobs.put("a/b", source)

    after = list(blobs.unfinished("", before=datetime.now(UTC) + LATER))

    assert (before, after) == ([], [])


def test_an_upload_that_a_killed_put_left_is_named_by_its_age_and_is_no_blob(upload: str, blobs: BlobStore) -> None:
    early = blobs.unfinished("", before=datetime.now(UTC) - LATER)
    late = blobs.unfinished("", before=datetime.now(UTC) + LATER)

    assert list(early) == []
    assert list(late) == [upload]
    assert keys(blobs, "") == []
    assert blobs.stat("a/large") is None


def test_an_upload_below_another_prefix_is_not_named_by_a_store_that_others_may_use(
    upload: str, blobs: BlobStore
) -> None:
    late = datetime.now(UTC) + LATER

    assert list(blobs.unfinished("a/", before=late)) == [upload]
    for other in ("b/", "a/larg/", "a/large/"):
        assert list(blobs.unfinished(other, before=late)) == ([upload] if isinstance(blobs, LocalBlobs) else [])


def test_an_upload_is_given_up_once_and_no_blob_with_it(upload: str, blobs: BlobStore, source: Path) -> None:
    blobs.put("a/large", source)

    blobs.abort(upload)
    blobs.abort(upload)

    assert list(blobs.unfinished("", before=datetime.now(UTC) + LATER)) == []
    assert content(blobs, "a/large") == b"some bytes"


@pytest.mark.parametrize("name", ["", "../a/b", "a/b", ".", "x" * 32, "a/b\n", "../../etc/passwd"])
def test_giving_up_what_no_store_named_touches_nothing(blobs: BlobStore, source: Path, name: str) -> None:
    blobs.put("a/b", source)

    with pytest.raises(ValueError, match="no upload"):
        blobs.abort(name)

    assert keys(blobs, "") == ["a/b"]


# Many processes.


def write_alternately(open_blobs: OpenBlobs, sources: list[Path]) -> int:
    blobs = open_blobs()
    for number in range(REPLACEMENTS):
        blobs.put("a/b", sources[number % 2])
    blobs.put("a/done", sources[0])
    return REPLACEMENTS


def read_until_done(open_blobs: OpenBlobs, _sources: list[Path]) -> dict[str, int]:
    blobs, seen = open_blobs(), {}
    while True:
        done = blobs.stat("a/done") is not None
        digest = hashlib.sha256(content(blobs, "a/b")).hexdigest()
        seen[digest] = seen.get(digest, 0) + 1
        if done:
            return seen


def test_readers_during_replacements_see_one_whole_content_or_the_other(
    shared_blobs: OpenBlobs, tmp_path: Path
) -> None:
    sources = [tmp_path / "first", tmp_path / "second"]
    sources[0].write_bytes(b"1" * 300_000)
    sources[1].write_bytes(b"2" * 500_000)
    shared_blobs().put("a/b", sources[1])

    written, *readers = all_at_once(
        [(write_alternately, (shared_blobs, sources)), *[(read_until_done, (shared_blobs, sources))] * 3]
    )

    whole = {hashlib.sha256(source.read_bytes()).hexdigest() for source in sources}
    assert written == REPLACEMENTS
    assert set().union(*readers) == whole
    assert keys(shared_blobs(), "") == ["a/b", "a/done"]


def put_own(open_blobs: OpenBlobs, folder: Path, index: int) -> None:
    source = folder / f"source-{index}"
    source.write_bytes(str(index).encode() * 1000)
    for number in range(10):
        open_blobs().put("same/key", source)
        open_blobs().put(f"new/folder/{number}/{index}", source)


def test_racing_puts_leave_one_whole_content_and_lose_no_other_key(shared_blobs: OpenBlobs, tmp_path: Path) -> None:
    at_once(8, put_own, shared_blobs, tmp_path)

    blobs = shared_blobs()
    assert content(blobs, "same/key") in {str(index).encode() * 1000 for index in range(8)}
    assert len(keys(blobs, "new/folder/")) == 80
