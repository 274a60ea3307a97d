"""promote, rollback, retire and restore: one entry each, or one sentence that says why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.model_library.library import ModelLibrary

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


def test_promote_moves_the_alias_and_says_how_to_go_back(run: Run, published: ModelLibrary) -> None:
    result = run("promote", "flight_delay/3", "--reason", "by hand")

    assert result.stdout == (
        "flight_delay@champion is now version 3 (move 3); 'exia rollback flight_delay' goes back to version 2.\n"
    )
    (move, *_earlier) = published.history("flight_delay")
    assert (move.version, move.by, move.reason) == (3, "ada", "by hand")


def test_promote_of_another_alias_names_it_in_the_advice(run: Run, published: ModelLibrary) -> None:
    published.promote("flight_delay/1", alias="challenger")

    result = run("promote", "flight_delay@latest", "--alias", "challenger")

    assert "flight_delay@challenger is now version 3" in result.stdout
    assert "'exia rollback flight_delay --alias challenger' goes back to version 1" in result.stdout


@pytest.mark.usefixtures("published")
def test_promote_as_json_is_the_entry(run: Run) -> None:
    entry = json.loads(run("promote", "flight_delay/3", "--expected", "2", "--json").stdout)

    assert (entry["sequence"], entry["action"], entry["version"], entry["expected"]) == (3, "promote", 3, 2)


def test_promote_decided_on_an_older_move_is_refused_and_names_the_winner(run: Run, published: ModelLibrary) -> None:
    result = run("promote", "flight_delay/3", "--expected", "1")

    assert result.exit_code == 1
    assert "at move 2 (version 2, promote by test), not at move 1" in result.stderr
    assert len(published.history("flight_delay")) == 2


def test_the_same_token_moves_once(run: Run, published: ModelLibrary) -> None:
    for _ in range(2):
        run("rollback", "flight_delay", "--token", "ticket-7")

    assert [entry.token for entry in published.history("flight_delay")][0] == "ticket-7"
    assert len(published.history("flight_delay")) == 3


@pytest.mark.usefixtures("published")
def test_rollback_goes_back_until_nothing_is_left(run: Run) -> None:
    first, second = run("rollback", "flight_delay"), run("rollback", "flight_delay")

    assert first.stdout == (
        "flight_delay@champion is now version 1 (move 3); there is no earlier version to roll back to.\n"
    )
    assert (second.exit_code, second.stdout) == (1, "")
    assert "has no earlier version to go back to" in second.stderr


def test_retire_and_restore_undo_each_other(run: Run, published: ModelLibrary) -> None:
    retired = run("retire", "flight_delay/3", "--reason", "wrong data")
    refused = run("promote", "flight_delay/3")
    restored = run("restore", "flight_delay/3")

    assert retired.stdout == "flight_delay/3 is out of use; 'exia restore flight_delay/3' takes that back.\n"
    assert (refused.exit_code, "restore it first" in refused.stderr) == (1, True)
    assert restored.stdout == "flight_delay/3 is in use again and can be promoted.\n"
    assert published.retired("flight_delay") == set()


@pytest.mark.usefixtures("published")
def test_a_live_version_is_not_retired(run: Run) -> None:
    result = run("retire", "flight_delay")

    assert result.exit_code == 1
    assert "flight_delay/2 is live as champion" in result.stderr


def test_an_unknown_outcome_can_be_found_out_with_the_token_it_names(
    run: Run, published: ModelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_reply(*_arguments: object, token: str | None, **_options: object) -> None:
        raise OutcomeUnknown(operation="promote flight_delay/3", token=token or "made-up")

    with monkeypatch.context() as patch:
        patch.setattr(ModelLibrary, "promote", lose_the_reply)
        lost = run("promote", "flight_delay/3", "--json")
    found = run("promote", "flight_delay/3", "--token", "made-up")

    assert (lost.exit_code, lost.stdout) == (1, "")
    assert "repeat it with the same token or work key 'made-up'" in lost.stderr
    assert found.exit_code == 0
    assert published.resolve("flight_delay").number == 3
