"""The cache of fetched files: it saves downloads, and nothing in it is believed."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from airflow_provider_exia.model_library import formats
from airflow_provider_exia.model_library.cache import FileCache
from airflow_provider_exia.model_library.exceptions import DamagedFile
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.storage.local import LocalBlobs
from tests.processes import at_once

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import Publish

VALUE = {"weights": [1, 2, 3, 4, 5, 6, 7, 8]}
BlobPath = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    """A cache that does not exist yet."""
    return FileCache(folder=tmp_path / "exia" / "cache")


@pytest.fixture
def cached(library: ModelLibrary, cache: FileCache) -> ModelLibrary:
    """The library, read through the cache."""
    return ModelLibrary(library.resources, policy=LoadPolicy(cache=cache))


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were opened in the blob store."""
    opened: list[str] = []
    real = LocalBlobs.open

    def watched(self: LocalBlobs, key: str) -> BinaryIO:
        opened.append(key)
        return real(self, key)

    monkeypatch.setattr(LocalBlobs, "open", watched)
    return opened


def kept(cache: FileCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir())


def keep(cache: FileCache, source: Path, content: bytes) -> str:
    """Put bytes into the cache."""
    source.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    cache.keep(sha256, source)
    return sha256


def test_a_model_that_is_loaded_again_costs_no_download(
    cached: ModelLibrary, publish: Publish, downloads: list[str], tmp_path: Path
) -> None:
    publish(value=VALUE)
    downloads.clear()

    first = cached.load("delay/1")
    once = list(downloads)
    again = cached.load("delay/1")
    cached.fetch("delay/1", tmp_path / "out")

    assert first == again == VALUE
    assert len(once) == 1
    assert downloads == once


def test_one_file_of_two_versions_is_kept_and_fetched_once(
    cached: ModelLibrary, publish: Publish, downloads: list[str], cache: FileCache
) -> None:
    publish(value=VALUE, work="one")
    publish(value=VALUE, work="two")
    downloads.clear()

    loaded = cached.load("delay/1"), cached.load("delay/2")

    assert loaded == (VALUE, VALUE)
    assert len(downloads) == len(kept(cache)) == 1


def test_without_a_cache_every_load_fetches(library: ModelLibrary, publish: Publish, downloads: list[str]) -> None:
    publish(value=VALUE)
    downloads.clear()

    library.load("delay/1")
    library.load("delay/1")

    assert len(downloads) == 2


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"{}"), id="other bytes"),
        pytest.param(lambda path: os.truncate(path, 5), id="truncated"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b" "), id="longer"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
    ],
)
def test_a_damaged_file_in_the_cache_is_thrown_away_and_fetched_again(
    cached: ModelLibrary, publish: Publish, downloads: list[str], cache: FileCache, damage: Callable[[Path], Any]
) -> None:
    publish(value=VALUE)
    cached.load("delay/1")
    (name,) = kept(cache)
    damage(cache.folder / name)
    downloads.clear()

    assert cached.load("delay/1") == VALUE

    assert len(downloads) == 1
    assert hashlib.sha256((cache.folder / name).read_bytes()).hexdigest() == name


def test_a_damaged_file_in_cache_and_store_is_refused(
    cached: ModelLibrary, publish: Publish, cache: FileCache, blob_path: BlobPath
) -> None:
    version = publish(value=VALUE)
    cached.load("delay/1")
    (name,) = kept(cache)
    (cache.folder / name).write_bytes(b"{}")
    blob_path(version).write_bytes(b"{}")

    with pytest.raises(DamagedFile, match="2 bytes, not"):
        cached.load("delay/1")

    assert kept(cache) == []


def test_what_was_damaged_on_its_way_is_not_kept(
    cached: ModelLibrary, publish: Publish, cache: FileCache, blob_path: BlobPath
) -> None:
    version = publish(value=VALUE)
    blob_path(version).write_bytes(b"{}")

    with pytest.raises(DamagedFile):
        cached.load("delay/1")

    assert not cache.folder.exists()


def test_a_file_exchanged_between_check_and_load_is_not_what_the_loader_sees(
    cached: ModelLibrary, publish: Publish, cache: FileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(value=VALUE)
    cached.load("delay/1")
    (name,) = kept(cache)
    real = formats.FORMATS["json"]

    class Exchanging:
        name, suffix, libraries = "json", ".json", ()

        def load(self, path: Path, **arguments: Any) -> Any:
            (cache.folder / name).write_bytes(b'"exchanged"')  # in place: a hard link would show it
            return real.load(path, **arguments)

    monkeypatch.setitem(formats.FORMATS, "json", Exchanging())

    assert cached.load("delay/1") == VALUE


def test_folder_and_files_are_their_owners_alone(cached: ModelLibrary, publish: Publish, cache: FileCache) -> None:
    publish(value=VALUE)
    cached.load("delay/1")

    (name,) = kept(cache)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache.folder / name).stat().st_mode) == 0o600


def test_what_was_not_used_for_longest_is_thrown_out(tmp_path: Path) -> None:
    cache = FileCache(folder=tmp_path / "cache", max_bytes=30)
    names = [keep(cache, tmp_path / "source", bytes([number]) * 10) for number in range(3)]
    for age, name in zip((300, 200, 100), names, strict=True):
        os.utime(cache.folder / name, times=(time.time() - age,) * 2)
    used = cache.open(names[0])
    assert used is not None
    used.close()

    newest = keep(cache, tmp_path / "source", b"newest----")

    assert kept(cache) == sorted([names[0], names[2], newest])


def test_what_others_have_in_the_folder_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    cache = FileCache(folder=tmp_path / "cache", max_bytes=30)
    (cache.folder / ("0" * 64)).mkdir(parents=True)
    (cache.folder / ".exia-folder").mkdir()
    notes = cache.folder / "notes.txt"
    notes.write_bytes(b"x" * 100)
    for path in cache.folder.iterdir():
        os.utime(path, times=(time.time() - 100 * 3600,) * 2)
    theirs = kept(cache)

    mine = [keep(cache, tmp_path / "source", bytes([number]) * 20) for number in range(2)]

    assert kept(cache) == sorted([*theirs, mine[1]])


def test_a_file_larger_than_the_cache_throws_nothing_out(tmp_path: Path) -> None:
    cache = FileCache(folder=tmp_path / "cache", max_bytes=30)
    small = keep(cache, tmp_path / "source", b"small")

    keep(cache, tmp_path / "source", b"x" * 31)

    assert kept(cache) == [small]


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    cache = FileCache(folder=tmp_path / "cache")
    cache.folder.mkdir()
    old, young = cache.folder / ".exia-old", cache.folder / ".exia-young"
    for path, age in ((old, 25), (young, 23)):
        path.touch()
        os.utime(path, times=(time.time() - age * 3600,) * 2)

    name = keep(cache, tmp_path / "source", b"bytes")

    assert kept(cache) == sorted([young.name, name])


@pytest.mark.parametrize("name", ["../../precious", "/etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", ""])
def test_a_name_that_is_no_digest_reaches_no_file(cache: FileCache, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"bytes")

    for use in (cache.open, cache.discard, lambda bad: cache.keep(bad, source)):
        with pytest.raises(ValueError, match="is no SHA-256"):
            use(name)


def test_a_cache_that_cannot_be_used_is_logged_and_loads_go_on(
    library: ModelLibrary, publish: Publish, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    policy = LoadPolicy(cache=FileCache(folder=tmp_path / "file" / "cache"))
    publish(value=VALUE)

    loaded = ModelLibrary(library.resources, policy=policy).load("delay/1")

    assert loaded == VALUE
    assert "cannot be used (read: Not a directory)" in caplog.text
    assert "cannot be used (write: Not a directory)" in caplog.text


def use_one_cache(folder: Path, index: int) -> int:
    """Keep and read files of a cache that holds a third of them; return how many were read."""
    cache = FileCache(folder=folder / "cache", max_bytes=10_000)
    source, read = folder / f"source-{index}", 0
    for turn in range(120):
        content = bytes([(turn * (index + 1)) % 30]) * 1000
        sha256 = hashlib.sha256(content).hexdigest()
        stream = cache.open(sha256)
        if stream is None:
            source.write_bytes(content)
            cache.keep(sha256, source)
            continue
        with stream:
            assert stream.read() == content  # whole, although others write and throw out
        read += 1
    return read


def test_many_processes_share_a_cache(tmp_path: Path) -> None:
    read = at_once(8, use_one_cache, tmp_path)

    files = list((tmp_path / "cache").iterdir())
    assert sum(read) > 0
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in files)
    assert len(files) <= 10
