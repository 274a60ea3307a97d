"""``exia doctor``: one line each, and an exit code that a script can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


@pytest.mark.usefixtures("published")
def test_the_embedded_library_is_well(run: Run, home: Path) -> None:
    result = run("doctor")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split()[:2] == ["ok", "library"]
    assert f"sqlite:///{home}/exia/library.db" in lines[0]
    assert {line.split()[0] for line in lines} == {"ok", "warning"}
    assert run("models").stdout.count("flight_delay") == 1


def test_no_library_is_a_failure_and_makes_none(run: Run, home: Path) -> None:
    result = run("doctor")

    assert result.exit_code == 1
    assert result.stdout.startswith("failure  library ")
    assert "publish a first model there to make it" in result.stdout
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("published")
def test_a_store_that_fails_is_a_line_and_the_exit_code(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = run("doctor", "--documents", f"sqlite:///{tmp_path}/library.db", "--blobs", f"file://{tmp_path}/file")
    assert result.exit_code == 1  # no such library

    (tmp_path / "library.db").touch()
    result = run("doctor", "--documents", f"sqlite:///{tmp_path}/library.db", "--blobs", f"file://{tmp_path}/file")

    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("failure")] == ["blobs"]


@pytest.mark.usefixtures("published")
def test_the_findings_as_json(run: Run) -> None:
    found = json.loads(run("doctor", "--json").stdout)

    assert {"about", "verdict", "words"} == set(found[0])
    assert [one["about"] for one in found][:2] == ["library", "documents"]


@pytest.mark.parametrize("option", ["--documents", "--blobs"])
def test_a_password_among_the_arguments_is_refused_and_not_repeated(run: Run, option: str) -> None:
    result = run("doctor", option, "mongodb://ann:secret@db/exia")

    assert result.exit_code == 2
    assert f"{option} holds a password, which every user of this machine can read" in result.stderr
    assert "secret" not in result.output


def test_a_password_in_the_environment_is_not_shown(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXIA_DOCUMENTS", "mongodb://ann:se/cr@t@127.0.0.1:1/exia?serverSelectionTimeoutMS=1")
    monkeypatch.setenv("EXIA_BLOBS", f"file://{tmp_path}/blobs")

    result = run("doctor")

    assert result.exit_code == 1
    assert "se/cr" not in result.output
    assert "cr@t" not in result.output
