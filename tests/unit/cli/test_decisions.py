"""decisions: what the gate said, for people and for machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision
from airflow_provider_exia.monitoring.gate import judge
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.scores import Scores

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from tests.unit.cli.conftest import Run

POLICY = Policy(metric="brier", min_gain=0.002)


@pytest.fixture
def refused(published: ModelLibrary) -> GateDecision:
    blocks = [day for day in range(6) for _ in range(2)]
    same = Scores([0.2] * 12, blocks)
    decision = GateDecision(
        model="flight_delay",
        work="0" * 64,
        challenger=3,
        champion=2,
        alias="champion",
        since=2,
        holdout_digest="1" * 64,
        policy=POLICY.as_document(),
        judgement=judge(POLICY, same, same),
        at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return DecisionLog(published.resources.documents).record(decision)


@pytest.mark.usefixtures("refused")
def test_a_refusal_is_listed_with_its_numbers_and_reasons(run: Run) -> None:
    result = run("decisions", "flight_delay")

    assert result.exit_code == 0
    line = result.stdout.splitlines()[1]
    assert line.startswith("2026-03-01T00:00:00Z  flight_delay/3  flight_delay/2  refused")
    assert "0.2 -> 0.2" in line
    assert "below the minimum" in line


def test_machines_get_the_whole_decision(run: Run, refused: GateDecision) -> None:
    (decision,) = json.loads(run("decisions", "flight_delay", "--json").stdout)

    assert decision["id"] == refused.id
    assert decision["judgement"]["verdict"] == "refused"
    assert decision["policy"]["min_gain"] == 0.002


@pytest.mark.usefixtures("published")
def test_a_model_that_no_gate_has_judged_is_no_error(run: Run) -> None:
    result = run("decisions", "flight_delay")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No gate has judged a version of 'flight_delay' yet.\n"


@pytest.mark.usefixtures("published")
def test_an_unknown_model_is_an_error(run: Run) -> None:
    result = run("decisions", "weather")

    assert result.exit_code == 1
    assert "no model 'weather'" in result.stderr
