"""Decisions are kept with their inputs, one per piece of work, and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision
from airflow_provider_exia.monitoring.gate import Judgement, Verdict
from airflow_provider_exia.storage.documents import Collection, Document, WriteUnknown
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.processes import at_once

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

REFUSED = Judgement(
    verdict=Verdict.REFUSED,
    reasons=("the gain +0.0010 is below the minimum +0.0020",),
    champion_loss=0.2,
    challenger_loss=0.199,
    gain=0.001,
    lower_bound=-0.0005,
    rows=6000,
    blocks=7,
    slice_gains={"origin=JFK": 0.25},
)


def decision(*, work: str = "work", challenger: int = 2, at: datetime = NOON, **values: Any) -> GateDecision:
    defaults: dict[str, Any] = {
        "model": "delay",
        "champion": 1,
        "alias": "champion",
        "since": 1,
        "holdout_digest": "f" * 64,
        "policy": {"metric": "brier", "min_gain": 0.002},
        "judgement": REFUSED,
    }
    return GateDecision(work=work, challenger=challenger, at=at, **defaults | values)


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    """A fresh SQLite file."""
    store = SqlDocuments(f"sqlite:///{tmp_path}/library.db")
    yield store
    store.close()


@pytest.fixture
def log(documents: SqlDocuments) -> DecisionLog:
    """The decisions in it."""
    return DecisionLog(documents)


def test_a_decision_comes_back_with_everything_it_rests_on(log: DecisionLog) -> None:
    log.record(decision())

    found = log.get("delay:work")

    assert found == decision(revision=1)
    assert found.describe() == (
        "delay/2 against delay/1: refused: brier 0.2 -> 0.199, gain +0.001, lower bound -0.0005 (6000 rows in 7 "
        "blocks): the gain +0.0010 is below the minimum +0.0020"
    )


def test_the_same_work_keeps_its_first_decision(log: DecisionLog) -> None:
    log.record(decision(challenger=2))

    standing = log.record(decision(challenger=3, judgement=Judgement(verdict=Verdict.ACCEPTED)))

    assert standing.challenger == 2
    assert log.get("delay:work").judgement.verdict is Verdict.REFUSED


def test_of_eight_processes_that_decide_the_same_work_one_is_believed_by_all(tmp_path: Path) -> None:
    challengers = at_once(8, decide_in_a_process, f"sqlite:///{tmp_path}/library.db")

    assert len(set(challengers)) == 1


def decide_in_a_process(url: str, index: int) -> int:
    return DecisionLog(SqlDocuments(url)).record(decision(challenger=index)).challenger


def test_a_write_without_an_answer_that_landed_is_the_decision(documents: SqlDocuments) -> None:
    log = DecisionLog(_Unanswered(documents, lands=True))

    assert log.record(decision()).challenger == 2


def test_a_write_without_an_answer_and_without_effect_is_not_taken_for_a_decision(documents: SqlDocuments) -> None:
    log = DecisionLog(_Unanswered(documents, lands=False))

    with pytest.raises(WriteUnknown):
        log.record(decision())
    assert log.find("delay", "work") is None


@pytest.mark.parametrize("wrong", ["", "delay", "delay:", "delay:other", ":work", "delay/2"])
def test_an_id_that_names_no_decision_is_refused(log: DecisionLog, wrong: str) -> None:
    log.record(decision())

    with pytest.raises(InvalidInput, match=r"no decision '.*': pass on what the gate's task returned"):
        log.get(wrong)


def test_the_decisions_of_a_model_come_newest_first(log: DecisionLog) -> None:
    for day in (2, 0, 1):
        log.record(decision(work=f"day {day}", at=NOON + timedelta(days=day)))
    log.record(decision(model="another", work="day 3"))

    assert [found.work for found in log.of_model("delay")] == ["day 2", "day 1", "day 0"]


class _Unanswered:
    """A store whose inserts get no answer."""

    def __init__(self, documents: SqlDocuments, *, lands: bool) -> None:
        self._documents, self._lands = documents, lands

    def insert(self, collection: Collection, document: Document) -> None:
        if self._lands:
            self._documents.insert(collection, document)
        raise WriteUnknown("no answer")

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        return self._documents.get(collection, key)
