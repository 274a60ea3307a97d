"""gc and verify: what they say, what they change, and how they end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import VERSIONS, State
from airflow_provider_exia.storage.documents import StoreUnavailable
from airflow_provider_exia.storage.local import LocalBlobs

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.unit.cli.conftest import Run


@pytest.fixture
def retired(published: ModelLibrary, monkeypatch: pytest.MonkeyPatch) -> ModelLibrary:
    """The library with its third version retired, a week later."""
    published.retire("flight_delay/3")
    monkeypatch.setattr(SystemClock, "now", lambda _clock: datetime.now(UTC) + timedelta(days=7))
    return published


def blob_of(library: ModelLibrary, number: int, home: Path) -> Path:
    """Return where the model's file of a version lies."""
    version = next(each for each in library.versions("flight_delay") if each.number == number)
    return home / "exia" / "blobs" / blob_key("models", version, "model.json")


def damage_document(library: ModelLibrary, model: str) -> None:
    """Let another program add a field to the newest document of a model."""
    version = library.versions(model)[0]
    key: dict[str, str | int] = {"model": model, "number": version.number}
    document = library.resources.documents.get(VERSIONS, key)
    assert document is not None
    library.resources.documents.swap(VERSIONS, {**document, "foreign": 1}, revision=version.revision)


def publish_other(library: ModelLibrary, folder: Path) -> None:
    (folder / "other.json").write_text("{}")
    library.publish("sales", folder / "other.json", format="json")


def test_gc_says_what_would_go_and_changes_nothing(run: Run, retired: ModelLibrary, home: Path) -> None:
    result = run("gc")

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["to", "be", "collected", "flight_delay/3"] in [row[:4] for row in rows]
    assert [" ".join(row[:3]) for row in rows].count("to be deleted") == 2
    assert result.stdout.splitlines()[-1].startswith("2 files, ")
    assert result.stdout.endswith("would be deleted with --delete; nothing was changed\n")
    assert blob_of(retired, 3, home).exists()


def test_gc_deletes_when_it_is_told_to(run: Run, retired: ModelLibrary, home: Path) -> None:
    file = blob_of(retired, 3, home)

    (first, uploads) = json.loads(run("gc", "flight_delay", "--delete", "--json").stdout)

    assert (first["model"], first["dry_run"], first["failure"]) == ("flight_delay", False, None)
    assert [each["name"] for each in first["collected"]] == ["flight_delay/3"]
    assert len(first["deleted"]) == 2
    assert uploads["model"] == "(uploads)"
    assert not file.exists()
    assert retired.versions("flight_delay")[0].state is State.COLLECTED
    assert run("gc", "--delete").stdout == "0 files, 0 B: deleted\n"


def test_gc_gives_up_uploads_that_never_ended(run: Run, retired: ModelLibrary, home: Path) -> None:
    upload = home / "exia" / "blobs" / ".incoming" / ("a" * 32)
    upload.write_bytes(b"half")

    result = run("gc", "--delete")

    assert result.exit_code == 0
    assert f"aborted    {upload.name}" in result.stdout
    assert not upload.exists()
    assert retired.load("flight_delay@champion") == {"weight": 2}


def test_gc_goes_on_with_the_other_models_when_a_document_is_damaged(
    run: Run, retired: ModelLibrary, tmp_path: Path, home: Path
) -> None:
    publish_other(retired, tmp_path)
    damage_document(retired, "sales")
    file = blob_of(retired, 3, home)

    result = run("gc", "sales", "flight_delay", "--delete")

    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "a stored Version is damaged at 'foreign'" in result.stdout
    assert not file.exists()


@pytest.mark.parametrize(("grace", "words"), [("12h", "24 h or more"), ("soon", "expected a number and a unit")])
@pytest.mark.usefixtures("retired")
def test_a_grace_time_that_is_none_is_refused(run: Run, grace: str, words: str) -> None:
    result = run("gc", "--grace", grace)

    assert result.exit_code == 1
    assert words in result.stderr


@pytest.mark.parametrize("command", ["gc", "verify"])
@pytest.mark.usefixtures("published")
def test_a_model_that_is_not_there_is_named(run: Run, command: str) -> None:
    result = run(command, "sales")

    assert result.exit_code == 1
    assert "sales" in result.stderr


@pytest.mark.usefixtures("published")
def test_verify_says_that_nothing_is_damaged(run: Run) -> None:
    result = run("verify")

    assert result.exit_code == 0
    assert result.stdout == "4 verified, 8.1 kB read: nothing damaged\n"


def test_verify_names_what_is_damaged(run: Run, published: ModelLibrary, home: Path) -> None:
    blob_of(published, 1, home).unlink()
    blob_of(published, 2, home).write_text('{"weight": 9}')

    result = run("verify", "flight_delay")
    answer = json.loads(run("verify", "--json").stdout)

    assert result.exit_code == 1
    assert "damaged  flight_delay/1  model.json: there is none at 'models/flight_delay/" in result.stdout
    assert "damaged  flight_delay/2  model.json: its SHA-256 is" in result.stdout
    assert result.stdout.endswith(" read: 2 damaged\n")
    assert [each["name"] for each in answer["damaged"]] == ["flight_delay/1", "flight_delay/2"]
    assert answer["verified"] == 4


@pytest.mark.usefixtures("published")
def test_verify_says_that_the_store_is_away_and_not_that_all_is_damaged(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_store: LocalBlobs, key: str) -> None:
        raise StoreUnavailable(f"cannot read {key}: no connection")

    monkeypatch.setattr(LocalBlobs, "open", refuse)

    result = run("verify")

    assert result.exit_code == 1
    assert "no connection" in result.stderr
    assert result.stdout == ""
