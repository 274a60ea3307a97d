"""models, versions, show and history: what people read and what machines read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.publishing import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.unit.cli.conftest import Run


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


@pytest.mark.usefixtures("published")
def test_models_lists_each_model_with_its_aliases_and_newest_version(run: Run) -> None:
    result = run("models")

    headings, row = cells(result.stdout)
    assert headings == ["MODEL", "ALIASES", "NEWEST", "VERSIONS", "PUBLISHED"]
    assert row[:4] == ["flight_delay", "champion 2", "3", "3"]
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.usefixtures("published")
def test_models_as_json_says_what_a_move_has_to_expect(run: Run) -> None:
    (model,) = json.loads(run("models", "--json").stdout)

    assert model["model"] == "flight_delay"
    assert model["aliases"] == {"champion": {"version": 2, "since": 2, "stack": [2, 1]}}
    assert model["newest_ready_at"].endswith("Z")


def test_an_empty_library_is_no_error_and_an_empty_list_for_machines(run: Run, library: ModelLibrary) -> None:
    library.models()  # makes the file

    people, machines = run("models"), run("models", "--json")

    assert (people.exit_code, people.stdout) == (0, "")
    assert people.stderr == "No model was published in this library yet.\n"
    assert json.loads(machines.stdout) == []


def test_versions_lists_the_newest_first_with_what_the_journal_says(run: Run, published: ModelLibrary) -> None:
    published.retire("flight_delay/3")

    rows = cells(run("versions", "flight_delay").stdout)[1:]

    assert [row[:2] for row in rows] == [
        ["flight_delay/3", "retired"],
        ["flight_delay/2", "ready"],
        ["flight_delay/1", "ready"],
    ]
    assert rows[1][2:6] == ["champion", "brier=0.2", "json", "2.7 kB"]


def test_versions_as_json_counts_bytes_and_keeps_state_and_retirement_apart(run: Run, published: ModelLibrary) -> None:
    published.retire("flight_delay/3")

    newest, champion, _first = json.loads(run("versions", "flight_delay", "--json").stdout)

    assert (newest["state"], newest["retired"]) == ("READY", True)
    assert (champion["retired"], champion["aliases"], champion["size"]) == (False, ["champion"], 2713)
    assert champion["metrics"] == {"brier": 0.2}


@pytest.mark.usefixtures("published")
def test_models_and_versions_are_listed_page_by_page(run: Run) -> None:
    pages = [run("versions", "flight_delay", "--limit", "2", *more) for more in ([], ["--before", "2"])]

    assert [[row[0] for row in cells(page.stdout)[1:]] for page in pages] == [
        ["flight_delay/3", "flight_delay/2"],
        ["flight_delay/1"],
    ]
    assert [row[0] for row in cells(run("models", "--limit", "1").stdout)[1:]] == ["flight_delay"]
    behind = run("models", "--after", "flight_delay")
    assert (behind.exit_code, behind.stdout, behind.stderr) == (0, "", "No model comes behind 'flight_delay'.\n")
    assert "is not in the range x>=1" in run("models", "--limit", "0").stderr


@pytest.mark.usefixtures("published")
def test_show_tells_everything_about_a_version(run: Run) -> None:
    text = run("show", "flight_delay").stdout

    for line in (
        ["flight_delay/2"],
        ["state", "ready"],
        ["aliases", "champion"],
        ["metrics", "brier=0.2"],
        ["data up to", "2013-02-01T00:00:00Z"],
        ["parameters", "depth=5, rate=0.1"],
        ["trained on", "4 blocks: 2013-01-01, 2013-01-02, 2013-01-03, ... 2013-01-04"],
        ["code version", "9f3c"],
        ["carrier", "category"],
    ):
        assert line in cells(text)
    assert ["holdout.csv", "holdout", "2.7 kB"] in [row[:3] for row in cells(text)]


def test_show_as_json_is_the_version_with_files_lineage_and_schema(run: Run, published: ModelLibrary) -> None:
    shown = json.loads(run("show", "flight_delay/2", "--json").stdout)

    version = published.resolve("flight_delay/2")
    assert shown["reference"] == "flight_delay/2"
    assert shown["digest"] == version.digest
    assert {file["path"]: file["sha256"] for file in shown["files"]} == {
        file.path: file.sha256 for file in version.files
    }
    assert shown["lineage"]["data_digest"] == "d" * 64
    assert shown["input_schema"] == {"carrier": "category", "hour": "int64"}
    assert "revision" not in shown


def test_show_prints_what_lies_in_the_document(run: Run, library: ModelLibrary) -> None:
    library.publish_inline("rules", {"limit": 15})

    assert 'model.json (in the document)\n{"limit":15}\n' in run("show", "rules/1").stdout
    assert json.loads(run("show", "rules/1", "--json").stdout)["inline"] == {"model.json": '{"limit":15}'}


def test_show_prints_the_beginning_of_a_long_text_and_nothing_that_a_terminal_obeys(
    run: Run, library: ModelLibrary, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("\x1b]0;title\x07" + "x" * 2_000)
    library.publish("notes", [SourceFile(source=tmp_path / "notes.txt", inline=True)], format="raw")

    shown = run("show", "notes/1").stdout

    assert "\x1b" not in shown
    assert "]0;title" in shown
    assert "xxx ... and 1010 more characters: see --json\n" in shown


def test_a_retired_version_can_be_looked_at_by_its_number(run: Run, published: ModelLibrary) -> None:
    published.retire("flight_delay/3")

    result = run("show", "flight_delay/3")

    assert ["state", "retired"] in cells(result.stdout)


@pytest.mark.usefixtures("published")
def test_history_lists_moves_newest_first(run: Run) -> None:
    rows = cells(run("history", "flight_delay").stdout)[1:]

    assert [[row[0], *row[2:]] for row in rows] == [
        ["2", "promote", "flight_delay/2", "champion", "test", "better by 0.0021"],
        ["1", "promote", "flight_delay/1", "champion", "test", "first champion"],
    ]


@pytest.mark.usefixtures("published")
def test_history_as_json_holds_every_entry(run: Run) -> None:
    entries = json.loads(run("history", "flight_delay", "--json").stdout)

    assert [entry["sequence"] for entry in entries] == [2, 1]
    assert entries[0]["aliases"] == {"champion": {"since": 2, "stack": [2, 1]}}


def test_history_of_one_alias_leaves_out_the_others(run: Run, published: ModelLibrary) -> None:
    published.promote("flight_delay/3", alias="challenger")

    entries = json.loads(run("history", "flight_delay", "--alias", "challenger", "--json").stdout)

    assert [entry["version"] for entry in entries] == [3]


@pytest.mark.usefixtures("published")
def test_history_of_an_alias_that_never_moved_says_so(run: Run) -> None:
    result = run("history", "flight_delay", "--alias", "challenger")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "'challenger' of 'flight_delay' has never moved" in result.stderr


def test_a_reason_can_neither_break_a_row_nor_steer_the_terminal(run: Run, published: ModelLibrary) -> None:
    published.promote("flight_delay/3", reason="[bold]first[/bold]\nsecond \x1b[31mred " + "long " * 100)

    result = run("history", "flight_delay")

    assert len(result.stdout.splitlines()) == 4
    assert "[bold]first[/bold] second" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stdout.splitlines()[1].endswith("long long")  # nothing is cut off in a pipe


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("versions", "nope"), "no model 'nope'"),
        (("versions", "Bad-Name"), "'Bad-Name' is no model name"),
        (("show", "flight_delay/9"), "no version flight_delay/9"),
        (("show", "flight_delay@nope"), "has no alias 'nope'"),
        (("show", "nope/1"), "no model 'nope'"),
        (("history", "flight_delay", "--alias", "latest"), "'latest' is no alias"),
    ],
)
@pytest.mark.usefixtures("published")
def test_what_is_not_there_is_said_in_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    result = run(*words, "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("exia: ")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_is_said_in_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)

    result = run("models", "--documents", f"sqlite:///{tmp_path / 'text'}", "--blobs", "file:///nowhere")

    assert result.exit_code == 1
    assert "is not a SQLite database" in result.stderr
