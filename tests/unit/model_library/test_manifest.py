"""The names that are computed from content."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.manifest import (
    blob_key,
    canonical_json,
    check_path,
    check_paths,
    digest_of,
    publication_of,
)
from airflow_provider_exia.model_library.records import FileRecord, Role, State, Version

SEGMENTS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}", fullmatch=True)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
FILES = st.lists(
    st.builds(
        FileRecord,
        path=PATHS,
        role=st.sampled_from(Role),
        sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        size=st.integers(1, 2**40),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda file: file.path,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé☃\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("path", ["model.skops", "a/b/c.json", "A-1_2.x", "a..b", "-", "a" * 128])
def test_a_plain_relative_path_is_taken(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a/", ".hidden", "a/.hidden"),
        *("a\\b", "..\\a", "C:\\a", "a\x00", "a\n", "a b", "ä", "a/%2e%2e/b", "~", "~root/a", "a:b", "a" * 129),
        "/".join(["abcdefg"] * 65),
        None,
        3,
        b"a",
    ],
    ids=repr,
)
def test_a_path_that_plays_tricks_is_refused_with_an_example(path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"cannot name a file of a version: .*as in 'model\.skops'"):
        check_path(path)


@given(
    st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "\\", "\x00", "~"]), max_size=4).map("/".join)
)
@example("a/../../b")
def test_a_path_is_refused_or_stays_below_its_folder(path: str) -> None:
    try:
        check_path(path)
    except InvalidInput:
        return

    joined = PurePosixPath("/folder") / path
    assert joined.as_posix() == f"/folder/{path}"
    assert not {".", ".."} & set(path.split("/"))


@given(st.lists(PATHS, min_size=1, max_size=6, unique=True))
def test_paths_that_are_no_folder_of_each_other_are_taken(paths: list[str]) -> None:
    clashing = any(other.startswith(f"{path}/") for path in paths for other in paths)

    try:
        check_paths(paths)
    except InvalidInput:
        refused = True
    else:
        refused = False

    assert refused == clashing


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["a", "b", "a"], "two files have the path 'a'"),
        (["a/b", "a"], "'a' cannot be a file and the folder of 'a/b'"),
        (["a", "a-b", "a/b/c"], "'a' cannot be a file and the folder of 'a/b/c'"),
    ],
)
def test_paths_that_get_in_each_others_way_are_refused(paths: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        check_paths(paths)


@given(FILES, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_files(files: list[FileRecord], random: Any) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)

    assert digest_of(shuffled, "json") == digest_of(files, "json")


@settings(max_examples=50)
@given(FILES, FILES)
def test_other_files_have_another_digest(one: list[FileRecord], other: list[FileRecord]) -> None:
    same = sorted(one, key=lambda file: file.path) == sorted(other, key=lambda file: file.path)

    assert (digest_of(one, "json") == digest_of(other, "json")) == same


def test_the_digest_covers_path_role_bytes_size_and_format() -> None:
    file = {"path": "a", "role": Role.MODEL, "sha256": "0" * 64, "size": 1}
    others: list[dict[str, Any]] = [{"path": "b"}, {"role": Role.OTHER}, {"sha256": "1" * 64}, {"size": 2}]

    digests = [digest_of([FileRecord(**file | other)], "json") for other in ({}, *others)]
    digests.append(digest_of([FileRecord(**file)], "raw"))

    assert len(set(digests)) == 6


def test_digest_and_publication_never_change_between_versions_of_this_package() -> None:
    file = FileRecord(path="model.json", role=Role.MODEL, sha256="ab" * 32, size=7)

    digest = digest_of([file], "json")

    # What is in the stores was named by these rules; other values here orphan every published file.
    assert digest == "88dda90cad20b17bfd89ed7b7307a995a95b7dbb8d7050053b21f9b1e6a0a2bf"
    assert publication_of("work", digest) == "3266ffa889db1ddc3b2bcc7625415bf65b3c3f97df8b3acfb9ef2afb026f69ea"


@given(JSON)
def test_canonical_json_is_one_spelling_of_the_same_value(value: Any) -> None:
    written = canonical_json(value)

    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(), min_size=2))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))

    assert canonical_json(backwards) == canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_canonical_json_has_no_nan(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": [value]})


def test_a_blob_key_is_computed_from_publication_number_and_path() -> None:
    version = Version(
        model="delay",
        number=3,
        publication="abc",
        work="w",
        digest="d",
        format="json",
        files=(),
        state=State.PENDING,
        created_at=datetime(2013, 1, 1, tzinfo=UTC),
    )

    assert blob_key("models", version, "a/model.json") == "models/delay/abc/3/a/model.json"
    with pytest.raises(InvalidInput):
        blob_key("models", version, "../model.json")
