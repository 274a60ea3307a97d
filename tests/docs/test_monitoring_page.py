"""``docs/monitoring.md`` shows the table of states and the fields of the policy as they are in the code."""

from __future__ import annotations

import dataclasses
import re

from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import DECISIONS, RETRAIN_NOW, MonitorState, as_mermaid
from tests.docs.reader import ROOT
from tests.docs.test_names import fields_of, first_column, table

PAGE = "docs/monitoring.md"
OF_THE_GATE = {"min_gain", "confidence", "draws", "seed", "min_blocks", "max_slice_loss"}


def test_the_diagram_is_drawn_from_the_table_of_moves() -> None:
    drawn = re.findall(r"(?s)```mermaid\n(.*?)\n```", (ROOT / PAGE).read_text(encoding="utf-8"))

    assert drawn == [as_mermaid()], "docs/monitoring.md: paste what states.as_mermaid() returns"


def test_the_diagram_has_every_move_that_a_decision_may_make_and_no_other() -> None:
    arrows = set(re.findall(r"(?m)^    ([A-Z_]+) --> ([A-Z_]+)", as_mermaid()))

    moves = {(before.value, after.value) for before, afters in DECISIONS.items() for after in afters}
    assert {arrow for arrow in arrows if arrow[0] != "ANY"} == moves


def test_every_state_is_explained() -> None:
    assert first_column(PAGE, "## The states") == [state.value for state in MonitorState]


def test_the_fields_of_the_policy_are_those_in_the_table() -> None:
    fields = {name: default for name, default in fields_of(Policy).items() if name not in OF_THE_GATE}

    assert {row[0].strip("`"): row[1] for row in table(PAGE, "## The policy")} == fields
    assert {field.name for field in dataclasses.fields(Policy)} >= OF_THE_GATE


def test_what_a_person_may_ask_is_what_the_command_line_offers() -> None:
    rows = table(PAGE, "## What a person may ask")
    offered = set(exia.commands["monitor"].commands)

    assert {row[0].strip("`").split()[-1] for row in rows} <= offered
    assert set(re.findall(r"`([A-Z_]+)`", rows[0][1])) == RETRAIN_NOW
