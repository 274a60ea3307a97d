"""Which library a command works on, and that looking never makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from airflow_provider_exia.cli.places import Place, choose_place
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import ModelLibrary, open_library

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Run

ENVIRONMENT = {"EXIA_DOCUMENTS": "sqlite:////e/library.db", "EXIA_BLOBS": "file:///e/blobs", "AIRFLOW_HOME": "/air"}


def test_options_win_over_the_environment() -> None:
    place = choose_place(
        connection=None, documents="sqlite:////o/library.db", blobs="file:///o/blobs", environment=ENVIRONMENT
    )

    assert place == Place(documents="sqlite:////o/library.db", blobs="file:///o/blobs")


def test_a_connection_wins_over_the_environment() -> None:
    assert choose_place(connection="mine", documents=None, blobs=None, environment=ENVIRONMENT) == Place(
        connection="mine"
    )


def test_the_environment_wins_over_the_embedded_default() -> None:
    place = choose_place(connection=None, documents=None, blobs=None, environment=ENVIRONMENT)

    assert place == Place(documents="sqlite:////e/library.db", blobs="file:///e/blobs")


@pytest.mark.parametrize(
    ("environment", "home"),
    [({"AIRFLOW_HOME": "/air"}, "/air"), ({"AIRFLOW_HOME": "~/air"}, "/home/ada/air"), ({}, "/home/ada/airflow")],
)
def test_the_embedded_default_lies_in_airflow_home(
    environment: dict[str, str], home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    place = choose_place(connection=None, documents=None, blobs=None, environment=environment)

    assert place == Place(documents=f"sqlite:///{home}/exia/library.db", blobs=f"file://{home}/exia/blobs")


@pytest.mark.parametrize(
    ("connection", "documents", "blobs", "environment"),
    [
        ("mine", "sqlite:////o/library.db", None, {}),
        ("mine", None, "file:///o/blobs", {}),
        (None, "sqlite:////o/library.db", None, ENVIRONMENT),  # never half from here and half from there
        (None, None, "file:///o/blobs", ENVIRONMENT),
        (None, None, None, {"EXIA_DOCUMENTS": "sqlite:////e/library.db"}),
        (None, None, None, {"EXIA_BLOBS": "file:///e/blobs"}),
    ],
)
def test_two_libraries_or_half_a_library_is_wrong_usage(
    connection: str | None, documents: str | None, blobs: str | None, environment: dict[str, str]
) -> None:
    with pytest.raises(click.UsageError):
        choose_place(connection=connection, documents=documents, blobs=blobs, environment=environment)


@pytest.mark.parametrize("name", ["plain", "with space", "50%20 #1", "ünï", "what?", "a&b=c;d"])
def test_embedded_locations_can_be_opened_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    documents, blobs = embedded_locations(tmp_path / name)
    (tmp_path / "model.json").write_text("{}")

    with open_library(documents, blobs=blobs) as library:
        library.publish("price", tmp_path / "model.json", format="json")

    with Place(documents=documents, blobs=blobs).open() as library:
        assert library.models() == ["price"]
    assert (tmp_path / name / "exia" / "library.db").is_file()
    assert list((tmp_path / name / "exia" / "blobs").rglob("model.json"))


@pytest.mark.parametrize(
    "words",
    [
        ("models",),
        ("versions", "flight_delay"),
        ("show", "flight_delay"),
        ("history", "flight_delay"),
        ("promote", "flight_delay/1"),
        ("rollback", "flight_delay"),
    ],
)
def test_no_command_makes_a_library(run: Run, home: Path, words: tuple[str, ...]) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no model library at sqlite:///{home}/exia/library.db" in result.stderr
    assert "publish a first model there" in result.stderr
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("published")
def test_the_library_can_be_named_before_and_after_the_command(run: Run, home: Path, tmp_path: Path) -> None:
    documents, blobs = embedded_locations(home)

    before = run("--documents", documents, "--blobs", blobs, "models")
    after = run("models", "--documents", documents, "--blobs", blobs)
    after_wins = run(
        "--documents", "sqlite:////nowhere/library.db", "--blobs", blobs, "models", "--documents", documents
    )

    assert before.stdout == after.stdout == after_wins.stdout != ""


@pytest.mark.usefixtures("published")
def test_the_library_can_be_named_in_the_environment(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, blobs = embedded_locations(home)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("EXIA_DOCUMENTS", documents)
    monkeypatch.setenv("EXIA_BLOBS", blobs)

    assert "flight_delay" in run("models").stdout


@pytest.mark.parametrize(
    "documents", ["sqlite://", "sqlite:///", "sqlite:library.db", "consul://server/library", "library.db"]
)
def test_a_url_that_names_no_store_is_said_in_one_sentence(run: Run, documents: str) -> None:
    result = run("models", "--documents", documents, "--blobs", "file:///srv/blobs")

    assert result.exit_code == 1
    assert result.stderr.startswith("exia: ")
    assert "as in sqlite:////" in result.stderr.replace("'", "")


def test_every_command_closes_the_library(run: Run, published: ModelLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(ModelLibrary, "close", lambda _library: closed.append(True))

    run("models")
    run("show", "flight_delay/9")

    assert closed == [True, True]
