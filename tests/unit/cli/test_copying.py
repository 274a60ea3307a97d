"""copy: from one library into another, named by a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.storage.local import LocalBlobs

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


@pytest.fixture
def there(tmp_path: Path) -> str:
    """A library that is not there yet."""
    return f"sqlite:///{tmp_path}/there/library.db file://{tmp_path}/there/blobs"


def opened(place: str) -> ModelLibrary:
    documents, blobs = place.split(" ")
    return open_library(documents, blobs=blobs)


def test_a_library_is_copied_into_one_that_is_made(run: Run, published: ModelLibrary, there: str) -> None:
    result = run("copy", "--from", "embedded", "--to", there, "--aliases")

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1][:2] == ["flight_delay/1", "flight_delay/1"]
    assert [row[-1] for row in rows[1:4]] == ["copied"] * 3
    assert result.stdout.endswith("flight_delay@champion there is now flight_delay/2\n")
    with opened(there) as copy:
        assert copy.alias("flight_delay").stack == published.alias("flight_delay").stack
        assert copy.load("flight_delay@champion") == published.load("flight_delay@champion")


@pytest.mark.usefixtures("published")
def test_a_second_copy_brings_nothing_new_and_says_so(run: Run, there: str) -> None:
    run("copy", "--from", "embedded", "--to", there)

    answer = json.loads(run("copy", "flight_delay", "--from", "embedded", "--to", there, "--json").stdout)

    assert [item["new"] for item in answer["versions"]] == [False] * 3
    assert answer["moves"] == []


def test_libraries_that_keep_their_files_in_one_place_are_refused(
    run: Run, published: ModelLibrary, tmp_path: Path
) -> None:
    blobs = published.resources.blobs
    assert isinstance(blobs, LocalBlobs)
    before = list(blobs.list(""))

    there = f"sqlite:///{tmp_path}/other.db file://{quote(str(blobs.root))}"
    result = run("copy", "--from", "embedded", "--to", there)
    onto_itself = run("copy", "--from", "embedded", "--to", "embedded")

    for refused in (result, onto_itself):
        assert refused.exit_code == 1
        assert "both libraries keep their files in one place" in refused.stderr
    assert before
    assert list(blobs.list("")) == before


@pytest.mark.usefixtures("published")
def test_a_version_that_is_out_of_use_there_is_named_and_the_others_are_copied(run: Run, there: str) -> None:
    run("copy", "--from", "embedded", "--to", there)
    with opened(there) as copy:
        copy.retire("flight_delay/2")

    result = run("copy", "--from", "embedded", "--to", there, "--aliases")
    answer = json.loads(run("copy", "--from", "embedded", "--to", there, "--json").stdout)

    assert result.exit_code == 0
    ends = [line.split(maxsplit=3)[-1] for line in result.stdout.splitlines()[1:4]]
    assert ends == ["there before", "out of use there", "there before"]
    assert result.stdout.endswith("flight_delay@champion there is now flight_delay/1\n")
    assert [item["in_use"] for item in answer["versions"]] == [True, False, True]


@pytest.mark.usefixtures("published")
def test_a_model_that_is_not_there_is_named_and_nothing_is_copied(run: Run, there: str) -> None:
    result = run("copy", "sales", "--from", "embedded", "--to", there)

    assert result.exit_code == 1
    assert "sales" in result.stderr
    with opened(there) as copy:
        assert copy.models() == []


@pytest.mark.parametrize("missing", ["--from", "--to"])
def test_both_libraries_have_to_be_named(run: Run, missing: str) -> None:
    given = {"--from": "embedded", "--to": "embedded"}
    del given[missing]

    result = run("copy", *(word for pair in given.items() for word in pair))

    assert result.exit_code == 2
    assert missing in result.stderr


def test_a_source_that_is_not_there_is_not_made(run: Run, there: str, home: Path) -> None:
    result = run("copy", "--from", "embedded", "--to", there)

    assert result.exit_code == 1
    assert "no model library at" in result.stderr
    assert not (home / "exia").exists()
