"""A wrong spec is told with file, line, field, what was expected and the nearest right key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from airflow_provider_exia.dag_compiler.exceptions import WrongSpec
from airflow_provider_exia.dag_compiler.reading import parse_spec, read_spec
from airflow_provider_exia.dag_compiler.spec import Gate, Monitor, Score, Train
from airflow_provider_exia.model_library.formats import DEFAULT_FORMATS
from airflow_provider_exia.monitoring.policy import Policy
from tests.unit.dag_compiler.conftest import SPEC

ROWS = yaml.safe_load(Path(__file__).with_name("wrong_specs.yaml").read_text())


@pytest.mark.parametrize("row", ROWS, ids=[row["says"].partition(": ")[2][:60] for row in ROWS])
def test_a_wrong_spec_is_told_with_its_line_and_what_was_expected(row: dict[str, str]) -> None:
    assert row["old"] in SPEC

    with pytest.raises(WrongSpec) as caught:
        parse_spec(SPEC.replace(row["old"], row["new"]), source="churn.yaml")

    assert caught.value.sentences()[0].startswith(row["says"])


def test_all_problems_of_a_spec_are_told_in_the_order_of_its_lines() -> None:
    wrong = SPEC.replace("min_gain", "min_gian").replace("skops", "pickle").replace("brier", "''")

    with pytest.raises(WrongSpec) as caught:
        parse_spec(wrong, source="churn.yaml")

    assert [problem.line for problem in caught.value.problems] == [3, 4, 5]


def test_the_spec_of_the_design_gives_the_policy_of_the_design() -> None:
    spec = parse_spec(SPEC, source="x")

    policy = Policy(**spec.policy())

    assert spec.dag_ids == ["flight_delay_train", "flight_delay_infer"]
    assert policy == Policy(
        metric="brier", direction="lower", enter=0.1975, exit=0.18, breaches=2, window=3, cooldown="21d", bake="21d",
        min_gain=0.002,
    )  # fmt: skip


def test_a_spec_offers_every_setting_of_the_policy_with_the_same_default() -> None:
    offered = {
        name: field.default
        for section in (Score, Gate, Monitor)
        for name, field in section.model_fields.items()
        if name not in ("function", "block", "name", "scored", "shadow", "retrain")
    }
    settings = {field.name: field.default for field in fields(Policy)}

    assert offered.keys() == settings.keys()
    assert {name: value for name, value in offered.items() if name not in ("metric", "enter")} == {
        name: value for name, value in settings.items() if name not in ("metric", "enter")
    }


def test_a_spec_offers_every_format_of_the_library() -> None:
    assert set(Train.model_fields["format"].annotation.__args__) == set(DEFAULT_FORMATS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("direction: lower", "direction: higher"),
        ("direction: lower, block: day}", "direction: band}"),
        ("exit: 0.18", "exit: 0.1975"),
    ],
)
def test_thresholds_that_the_spec_takes_are_those_that_the_policy_takes(old: str, new: str) -> None:
    text = SPEC.replace(old, new)
    text = text.replace("exit: 0.18", "exit: 0.3") if "higher" in new else text
    if "band" in new:
        text = text.replace("enter: 0.1975, exit: 0.18", "enter: [0.1, 0.4], exit: [0.2, 0.3]")

    policy = Policy(**parse_spec(text, source="x").policy())

    policy.require_thresholds()
    assert policy.enter is not None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "is not encoded in UTF-8"),
        (b"", "expected a mapping that begins with 'model: <name>'"),
        (b"- 1", "expected a mapping that begins with 'model: <name>'"),
        (b"a: \x00", "not readable as YAML"),
        (b"a: " + b"[" * 1000, "nested deeper than 50 levels"),
        (b"a: " + b"x" * 2_000_000, "longer than 1,000,000 characters"),
        (b"a: " + b"9" * 5000, "an integer of more than 18 digits"),
        (b"model: x", "makes no DAG: expected a section 'train', a section 'infer', or both"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.yaml").write_bytes(content)

    with pytest.raises(WrongSpec, match=says):
        read_spec(tmp_path / "x.yaml", source="x.yaml")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongSpec, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_spec(tmp_path / "nowhere.yaml")


def test_plain_words_are_read_as_people_mean_them() -> None:
    spec = parse_spec(
        SPEC.replace("format: skops", "format: skops, parameters: {country: NO, at: 1:30, rate: 1e-3, code: 010}"),
        source="x",
    )

    assert spec.train is not None
    assert spec.train.parameters == {"country": "NO", "at": "1:30", "rate": 0.001, "code": 10}
