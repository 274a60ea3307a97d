"""The rows of ``decide_tables``: what arrives, and where the monitor stands afterwards.

A row is added without knowing Python. Every table has a ``policy`` and ``cases``; a case is a story of ``rows``:

``at``
    event time since the beginning, as in ``2w``; the monitor is evaluated then.
``points``
    what arrives before the evaluation. A number, ``.nan``, ``.inf`` or ``null`` is a value of the live version at
    the time of the row. Written out: ``{value: 0.3, at: 1w, samples: 80, version: 2, metric: other, source: other}``.
``pair``
    ``[value of the live version, value of the version before it]``.
``promote``, ``roll_back``
    before the evaluation a person promotes that version, or goes back.
``run``
    before the evaluation the training run of the open episode is ``there``, ``training``, ``refused``, ``failed`` or
    has ``promoted`` version 2, 3, ...
``person``
    before the evaluation a person asks to ``retrain``, ``stop`` or ``resume``.
``state``, ``episode``, ``blind``, ``through``, ``entries``, ``reason``
    what is expected afterwards: the state; number of the newest episode; whether the monitor is blind (without this
    column it must not be); the states of the entries that this row has added, in order; how many they are; words of
    the reason of one of them (of the newest entry where none was added).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_exia.monitoring.durations import to_duration
from airflow_provider_exia.monitoring.evaluation import RunState
from airflow_provider_exia.monitoring.policy import Policy, policy_of_2020
from airflow_provider_exia.monitoring.requests import resume, retrain_now, stop
from tests.simulation.stores import Memory, SimulatedDocuments
from tests.unit.monitoring.world import START, World, point_of

TABLES = sorted((Path(__file__).parent / "decide_tables").glob("*.yaml"))
EVENTS = {"points", "pair", "promote", "roll_back", "run", "person"}
EXPECTATIONS = {"state", "episode", "blind", "through", "reason", "entries"}
PERSON = {"retrain": retrain_now, "stop": stop, "resume": resume}


def cases() -> Iterator[object]:
    for path in TABLES:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        for case in table["cases"]:
            yield pytest.param(table["policy"], case["rows"], id=f"{path.stem}: {case['case']}")


@pytest.mark.parametrize(("policy", "rows"), list(cases()))
def test_a_case_of_the_tables(policy: str | Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    world = World(SimulatedDocuments(Memory()), policy=policy_from(policy))

    for number, row in enumerate(rows, 1):
        unknown = set(row) - EVENTS - EXPECTATIONS - {"at"}
        assert not unknown, f"row {number}: no column {unknown}"
        before = len(world.journal.history())
        happen(world, row)

        entry = world.evaluate(START + to_duration(row["at"])).entry

        history = world.journal.history()[::-1]
        added = history[before:]
        found = {
            "state": entry.state.value,
            "episode": entry.episode,
            "blind": entry.blind_since is not None,
            "through": [one.state.value for one in added],
            "entries": len(added),
        }
        expected = {"blind": False} | {name: row[name] for name in EXPECTATIONS & set(row) - {"reason"}}
        assert {name: found[name] for name in expected} == expected, f"row {number} {row}: {entry.reason}"
        reasons = [one.reason for one in added or history[-1:]]
        assert any(row.get("reason", "") in reason for reason in reasons), f"row {number} {row}: {reasons}"


def policy_from(written: str | Mapping[str, Any]) -> Policy:
    if written == "the rule of 2020":
        return policy_of_2020("loss")
    assert isinstance(written, Mapping)
    return Policy(metric="loss", **written)


def happen(world: World, row: Mapping[str, Any]) -> None:
    """Let everything happen that comes before the evaluation of a row."""
    if "promote" in row:
        world.promote(row["promote"])
    if row.get("roll_back"):
        world.move_back()
    if "run" in row:
        run(world, row["run"])
    if "person" in row:
        PERSON[row["person"]](world.journal, by="ann", reason="said so")
    at = START + to_duration(row["at"])
    for written in row.get("points", ()):
        fields = dict(written) if isinstance(written, dict) else {"value": written}
        moment = START + to_duration(fields.pop("at")) if "at" in fields else at
        value = fields.pop("value")
        world.points.record(point_of(value, moment, **{"version": world.live} | fields))
    if "pair" in row:
        for version, value in zip(world.stack, row["pair"], strict=False):
            world.points.record(point_of(value, at, version=version))


def run(world: World, what: str) -> None:
    if what == "there":
        world.runs[world.newest.run_id] = RunState.ACTIVE
        return
    if world.newest.state == "DEGRADED" and what != "failed":
        world.begin_training()
    if what == "promoted":
        world.promote(max(world.stack) + 1)
    endings = {"training": RunState.ACTIVE, "failed": RunState.FAILED}
    world.end_training(endings.get(what, RunState.SUCCEEDED))


def test_there_are_enough_rows_of_every_kind() -> None:
    tables = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in TABLES]
    rows = [row for table in tables for case in table["cases"] for row in case["rows"]]

    assert len(rows) >= 60
    assert {row["state"] for row in rows if "state" in row} == {
        *("HEALTHY", "SUSPECT", "DEGRADED", "RETRAINING", "ENDED", "CANDIDATE", "ROLLED_BACK", "HALTED")
    }
    directions = {table["policy"].get("direction") for table in tables if isinstance(table["policy"], dict)}
    assert {"lower", "higher", "band"} <= directions
