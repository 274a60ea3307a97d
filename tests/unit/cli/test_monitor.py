"""exia monitor state, history, explain, retrain, stop and resume, on a real journal in SQLite."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.monitoring.backtest import Outcome, Reading, backtest
from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL, MonitorEntry
from airflow_provider_exia.monitoring.journal import monitors_of
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.storage.codec import to_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.unit.cli.conftest import Run

POLICY = """\
metric: brier
enter: 0.2
exit: 0.18
breaches: 2
window: 3
cooldown: 21d
bake: 21d
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def live(
    library: ModelLibrary, *values: float, metric: str = "brier", outcome: str = "refused", budget: int = 6
) -> list[MonitorEntry]:
    """Let a monitor of ``flight_delay`` live through weekly values; return its entries, oldest first."""
    policy = Policy(
        metric=metric, enter=0.2, exit=0.18, breaches=2, window=3, cooldown="21d", bake="21d", budget=budget
    )
    readings = [
        Reading(event_time=START + timedelta(weeks=week), value=value, previous=0.15 if outcome == "promoted" else None)
        for week, value in enumerate(values)
    ]
    entries = backtest(policy, readings, outcome=Outcome(outcome), model="flight_delay")
    for entry in entries:
        library.resources.documents.insert(MONITOR_JOURNAL, to_document(entry))
    return entries


@pytest.fixture
def policy_file(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def test_help_lists_what_can_be_done(run: Run) -> None:
    bare, asked = run("monitor"), run("monitor", "--help")

    assert (bare.exit_code, bare.stdout) == (0, asked.stdout)
    listed = bare.stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == [
        "state", "history", "explain", "retrain", "stop", "resume", "simulate",
    ]  # fmt: skip
    assert "..." not in listed


def test_state(run: Run, library: ModelLibrary) -> None:
    live(library, 0.15, 0.25)

    shown = run("monitor", "state", "flight_delay").stdout
    document = json.loads(run("monitor", "state", "flight_delay", "--json").stdout)

    assert shown.startswith("flight_delay brier\n")
    assert "SUSPECT" in shown
    assert "0.15 on 2026-01-01T00:00:00Z, 0.25 on 2026-01-08T00:00:00Z" in shown
    assert (document["state"], document["monitor"], document["episode"]) == ("SUSPECT", "brier", 0)
    assert "revision" not in document


def test_history_newest_first_and_only_the_changes(run: Run, library: ModelLibrary) -> None:
    entries = live(library, 0.15, 0.15, 0.25, 0.25)

    table = run("monitor", "history", "flight_delay").stdout.splitlines()
    all_of_them = json.loads(run("monitor", "history", "flight_delay", "--json").stdout)
    changes = json.loads(run("monitor", "history", "flight_delay", "--changes", "--json").stdout)

    assert table[0].split()[:2] == ["ENTRY", "EVENT"]
    assert len(table) == len(entries) + 1
    assert [entry["sequence"] for entry in all_of_them] == list(range(len(entries), 0, -1))
    assert [entry["action"] for entry in changes] == ["accepted", "degraded", "suspect", "begun"]


def test_explain_with_and_without_the_policy(run: Run, library: ModelLibrary, policy_file: str) -> None:
    live(library, 0.15, 0.25, 0.25, 0.25, 0.25)

    alone = run("monitor", "explain", "flight_delay").stdout
    knowing = run("monitor", "explain", "flight_delay", "--spec", policy_file).stdout
    document = json.loads(run("monitor", "explain", "flight_delay", "--json").stdout)

    assert alone.startswith("flight_delay brier is SUSPECT since 2026-01-22, episode 1: there are signs of trouble.\n")
    assert "\nIt waits for:\n  The next points.\n  A cooldown may hold the next episode back" in alone
    assert "The cooldown: episode 2 is not opened before 2026-02-05 (cooldown of 21d)" in knowing
    assert document["standing"] + "\n" == alone[: alone.index("\n") + 1]
    assert len(document["waits_for"]) == 2


def test_retrain_opens_an_episode_with_who_and_why(run: Run, library: ModelLibrary) -> None:
    live(library, 0.15)

    result = run("monitor", "retrain", "flight_delay", "--reason", "new airport")
    again = run("monitor", "retrain", "flight_delay", "--reason", "new airport")
    entry = json.loads(run("monitor", "state", "flight_delay", "--json").stdout)

    assert result.stdout == (
        "flight_delay brier is DEGRADED (entry 3): episode 1 is open: the next evaluation triggers the run "
        "exia__flight_delay__brier__1.\n"
    )
    assert (entry["action"], entry["by"], entry["reason"]) == ("retrain asked", "ada", "new airport")
    assert again.exit_code == 1
    assert "is DEGRADED: a training run can be asked for in ENDED, HEALTHY, ROLLED_BACK, SUSPECT" in again.stderr


def test_stop_and_resume(run: Run, library: ModelLibrary) -> None:
    live(library, 0.15)

    stopped = run("monitor", "stop", "flight_delay", "--reason", "holidays", "--by", "grace")
    explained = run("monitor", "explain", "flight_delay").stdout
    resumed = run("monitor", "resume", "flight_delay", "--reason", "back", "--json")
    needless = run("monitor", "resume", "flight_delay", "--reason", "back")

    assert stopped.stdout == (
        "flight_delay brier is HALTED (entry 3): it does nothing until 'exia monitor resume flight_delay --monitor "
        "brier'.\n"
    )
    assert "Stopped (grace, " in explained
    assert "holidays." in explained
    assert "A person: 'exia monitor resume flight_delay --monitor brier --reason TEXT'" in explained
    assert json.loads(resumed.stdout)["state"] == "HEALTHY"
    assert (needless.exit_code, "HEALTHY, not halted: there is nothing to resume" in needless.stderr) == (1, True)


def test_a_bake_that_was_stopped_goes_on(run: Run, library: ModelLibrary) -> None:
    live(library, 0.25, 0.25, 0.15, outcome="promoted")
    run("monitor", "stop", "flight_delay", "--reason", "holidays")

    resumed = run("monitor", "resume", "flight_delay", "--reason", "back")

    assert resumed.stdout.startswith("flight_delay brier is CANDIDATE")
    assert resumed.stdout.endswith("it goes on watching the promotion.\n")


@pytest.mark.parametrize("command", ["retrain", "stop", "resume"])
def test_a_reason_is_asked_for(run: Run, library: ModelLibrary, command: str) -> None:
    live(library, 0.15)

    missing = run("monitor", command, "flight_delay")
    empty = run("monitor", command, "flight_delay", "--reason", " ")

    assert (missing.exit_code, "Missing option '--reason'" in missing.stderr) == (2, True)
    assert f"See 'exia monitor {command} --help'." in missing.stderr
    assert (empty.exit_code, "say why" in empty.stderr) == (1, True)


def test_one_of_several_monitors_has_to_be_named(run: Run, library: ModelLibrary) -> None:
    live(library, 0.15)
    live(library, 0.25, 0.25, metric="brier_2")

    unnamed = run("monitor", "state", "flight_delay")
    unknown = run("monitor", "state", "flight_delay", "--monitor", "log_loss")
    named = run("monitor", "state", "flight_delay", "--monitor", "brier_2", "--json")

    assert unnamed.stderr == "exia: 'flight_delay' has the monitors brier, brier_2: name one with --monitor\n"
    assert unknown.stderr == "exia: 'flight_delay' has no monitor 'log_loss': it has brier, brier_2\n"
    assert json.loads(named.stdout)["state"] == "RETRAINING"
    assert monitors_of(library.resources.documents, "flight_delay") == ["brier", "brier_2"]


@pytest.mark.usefixtures("published")
def test_a_model_without_a_monitor(run: Run) -> None:
    result = run("monitor", "explain", "flight_delay")

    assert result.exit_code == 1
    assert result.stderr == (
        "exia: no monitor watches 'flight_delay': its first evaluation makes it; 'exia models' lists the models\n"
    )


def test_no_library_and_no_name(run: Run) -> None:
    assert "no model library at" in run("monitor", "state", "flight_delay").stderr
    assert "exia: " in run("monitor", "state", "Flight").stderr
