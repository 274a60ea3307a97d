"""tag and note, and where their answers show again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.unit.cli.conftest import Run


@pytest.mark.usefixtures("published")
def test_tags_are_set_removed_and_shown_with_a_note(run: Run) -> None:
    run("tag", "flight_delay/2", "data_set=january", "owner=ada=bob")
    run("note", "flight_delay@champion", "trained on cleaned data")

    result = run("tag", "flight_delay/2", "checked=", "--remove", "owner", "--remove", "absent")

    assert result.exit_code == 0
    assert [line.split(None, 1) for line in result.stdout.splitlines()] == [
        ["flight_delay/2"],
        ["tags", "data_set=january, checked="],
        ["note", "trained on cleaned data"],
    ]
    assert json.loads(run("tag", "flight_delay/2", "--json").stdout) == {
        "reference": "flight_delay/2",
        "tags": {"data_set": "january", "checked": ""},
        "note": "trained on cleaned data",
    }


@pytest.mark.usefixtures("published")
def test_a_bare_name_is_the_model_and_show_says_which_is_which(run: Run) -> None:
    run("tag", "flight_delay", "team=operations")
    run("note", "flight_delay/2", "trained on\ncleaned data")

    people, machines = run("show", "flight_delay").stdout, json.loads(run("show", "flight_delay", "--json").stdout)

    assert "Beside flight_delay/2\nnote  trained on cleaned data\n" in people
    assert "Beside flight_delay\ntags  team=operations\n" in people
    assert (machines["tags"], machines["note"]) == ({}, "trained on\ncleaned data")
    assert machines["of_model"] == {"tags": {"team": "operations"}, "note": ""}


@pytest.mark.usefixtures("published")
def test_show_says_nothing_where_nothing_was_written(run: Run) -> None:
    assert "Beside" not in run("show", "flight_delay").stdout


def test_versions_are_filtered_by_all_tags_that_are_named(run: Run, published: ModelLibrary) -> None:
    published.annotations.tag("flight_delay/1", {"season": "winter", "checked": "yes"})
    published.annotations.tag("flight_delay/3", {"season": "winter"})

    def listed(*tags: str) -> list[int]:
        words = [word for tag in tags for word in ("--tag", tag)]
        return [version["number"] for version in json.loads(run("versions", "flight_delay", *words, "--json").stdout)]

    assert listed() == [3, 2, 1]
    assert listed("season=winter") == [3, 1]
    assert listed("season=winter", "checked=yes") == [1]
    assert listed("season=") == []


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("tag", "flight_delay/2", "january"), 2, "'january' is no tag: expected name=value"),
        (("tag", "flight_delay/2", "Owner=ada"), 2, "'Owner' is no name of a tag"),
        (("versions", "flight_delay", "--tag", "january"), 2, "'january' is no tag: expected name=value"),
        (("tag", "flight_delay/2", "a=" + "x" * 257), 1, "at most 256 characters"),
        (("tag", "flight_delay/2", "--remove", "Owner"), 1, "'Owner' is no name of a tag"),
        (("tag", "flight_delay/9", "a=b"), 1, "no version flight_delay/9"),
        (("note", "churn", "text"), 1, "no model 'churn'"),
    ],
)
@pytest.mark.usefixtures("published")
def test_what_cannot_be_is_refused_in_one_line(run: Run, words: tuple[str, ...], code: int, problem: str) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (code, "", 1)
    assert problem in result.stderr
