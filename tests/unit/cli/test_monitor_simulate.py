"""exia monitor simulate: the files it reads, the table, the chart, and what it says about wrong ones."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring import chart

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

POLICY = """\
metric: brier
enter: 0.2
exit: 0.18
breaches: 2
window: 3
cooldown: 21d
bake: 21d
max_age: 10d
"""
SPEC = """\
model: flight_delay
score: {function: "flights.delay:score", metric: brier, direction: lower}
train: {function: "flights.delay:train", format: skops}
infer: {function: "flights.delay:predict"}
monitor: {enter: 0.2, exit: 0.18, breaches: 2, window: 3, cooldown: 21d, bake: 21d}
"""
POINTS = """\
event_time, value, samples, version, previous, remark
2026-01-01, 0.15, 100, 1, , fine
2026-01-08, 0.25, 100, 1, ,
2026-01-15, 0.26, 100, 1, ,
2026-01-22, nan, , 1, ,
2026-02-05, 0.9, 100, 2, 0.15,
2026-02-12T00:00:00+00:00, 0.9, 100, 2, 0.15,
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy, a spec and points, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "points.csv").write_text(POINTS)
    return tmp_path


@pytest.mark.usefixtures("files")
def test_the_table_tells_what_would_have_happened(run: Run) -> None:
    result = run("monitor", "simulate", "policy.yaml", "--points", "points.csv")

    *table, summary = result.stdout.splitlines()
    told = [line.split()[:1] + line[22:].split("  ")[:1] for line in table]
    assert told == [
        ["EVENT", "STATE"],
        ["2026-01-08T00:00:00Z", "SUSPECT"],
        ["2026-01-15T00:00:00Z", "DEGRADED"],
        ["2026-01-22T00:00:00Z", "ENDED"],
        ["2026-01-22T00:00:00Z", "SUSPECT"],
        ["2026-01-25T00:00:01Z", "SUSPECT"],
        ["2026-02-05T00:00:00Z", "CANDIDATE"],
        ["2026-02-12T00:00:00Z", "ROLLED_BACK"],
        ["2026-02-12T00:00:00Z", "HEALTHY"],
    ]
    assert summary == (
        "6 points from 2026-01-01T00:00:00Z to 2026-02-12T00:00:00Z: 1 episode, 1 refused, 1 promoted, 1 rolled back; "
        "it ends HEALTHY."
    )


@pytest.mark.usefixtures("files")
def test_a_pipeline_spec_names_the_model(run: Run) -> None:
    result = run("monitor", "simulate", "spec.yaml", "--points", "points.csv", "--json", "--outcome", "promoted")

    document = json.loads(result.stdout)
    assert (document["points"], document["episodes"], document["chart"]) == (6, 1, None)
    assert {entry["model"] for entry in document["entries"]} == {"flight_delay"}
    assert [entry["action"] for entry in document["entries"] if entry["state"] == "CANDIDATE"][0] == "promoted"


def test_json_lines_from_standard_input_are_the_same(files: Path) -> None:
    heading, *rows = [[cell.strip() for cell in line.split(",")] for line in POINTS.splitlines()]
    lines = [json.dumps({name: cell for name, cell in zip(heading, row, strict=True) if cell}) for row in rows]
    words = ["monitor", "simulate", "policy.yaml", "--json", "--points"]

    from_csv = CliRunner().invoke(exia, [*words, "points.csv"])
    from_json = CliRunner().invoke(exia, [*words, "-"], input="\n".join([*lines, ""]))

    assert (files / "points.csv").exists()
    assert from_json.exit_code == 0
    assert json.loads(from_json.stdout) == json.loads(from_csv.stdout)


def test_the_chart_is_a_png(run: Run, files: Path) -> None:
    result = run("monitor", "simulate", "spec.yaml", "--points", "points.csv", "--out", "chart.png")

    assert result.stdout.splitlines()[-1] == "chart: chart.png"
    assert (files / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("files")
def test_a_chart_that_cannot_be_written(run: Run) -> None:
    result = run("monitor", "simulate", "spec.yaml", "--points", "points.csv", "--out", "none/chart.png")

    assert result.exit_code == 1
    assert result.stderr == ("exia: none/chart.png cannot be written: No such file or directory; name another file\n")


@pytest.mark.usefixtures("files")
def test_without_matplotlib_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    result = run("monitor", "simulate", "spec.yaml", "--points", "points.csv", "--out", "chart.png")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "exia: drawing a chart needs the library 'matplotlib', which is not installed: pip install "
        "'airflow-provider-exia[demo]'\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metric: brier\nentr: 0.2\n", "policy.yaml: 'entr' is no field of a policy; did you mean 'enter'?"),
        ("metric: brier\nzzz: 0.2\n", "policy.yaml: 'zzz' is no field of a policy; expected one of metric, direction"),
        ("enter: 0.2\n", "policy.yaml: 'metric' is missing: a policy needs it"),
        ("metric: brier\n", "'enter' is missing"),
        ("metric: brier\nenter: 0.2\nexit: 0.3\n", "expected at or below enter"),
        ("- metric\n", "policy.yaml: expected a pipeline spec, or a policy as in"),
        ("metric: [\n", "policy.yaml:"),
        ("model: a\ninfer: {function: 'x.y:z'}\n", "policy.yaml: a section 'monitor' is missing"),
        ("model: a\nmonitor: {entr: 0.2}\n", "monitor.entr: no such field; did you mean 'enter'?"),
    ],
)
def test_a_wrong_policy_is_told_in_one_sentence(run: Run, files: Path, text: str, problem: str) -> None:
    (files / "policy.yaml").write_text(text)

    result = run("monitor", "simulate", "policy.yaml", "--points", "points.csv")

    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "points.csv has no column event_time, value: expected a heading with event_time and value"),
        ("when,value\n2026-01-01,1\n", "points.csv has no column event_time: expected a heading"),
        ("event_time,value\n", "points.csv holds no point"),
        ("event_time,value\nyesterday,1\n", "points.csv:2: event_time 'yesterday': expected a date or a moment"),
        (
            "event_time,value\n2026-01-01,0.1.5\n",
            "points.csv:2: value '0.1.5': expected a number, or nothing for a gap",
        ),
        ("event_time,value,samples\n2026-01-01,1,-3\n", "points.csv:2: samples '-3': expected a whole number"),
        ("event_time,value,version\n2026-01-01,1,two\n", "points.csv:2: version 'two': expected a whole number"),
        ('{"event_time": "2026-01-01", "value": 1}\n{"event\n', "points.csv:2: expected one JSON object"),
        ('{"event_time": "2026-01-01"}\n[1]\n', "points.csv:2: expected one JSON object with"),
        ("event_time,value\n2026-01-01,1\n2026-01-01,2\n", "two values at 2026-01-01T00:00:00+00:00"),
    ],
)
def test_wrong_points_are_told_with_their_line(run: Run, files: Path, text: str, problem: str) -> None:
    (files / "points.csv").write_text(text)

    result = run("monitor", "simulate", "policy.yaml", "--points", "points.csv")

    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr


@pytest.mark.usefixtures("files")
def test_a_file_that_is_not_there(run: Run) -> None:
    missing_points = run("monitor", "simulate", "policy.yaml", "--points", "no.csv")
    missing_spec = run("monitor", "simulate", "no.yaml", "--points", "points.csv")

    assert (missing_points.exit_code, "no.csv" in missing_points.stderr) == (2, True)
    assert missing_spec.stderr == "exia: no.yaml cannot be read: No such file or directory\n"


def test_a_chart_takes_week_numbers_many_marks_and_far_off_values(tmp_path: Path) -> None:
    dots = [
        chart.Dot(place=week, value=None if week == 7 else 9.0 if week == 20 else 0.2, series=f"version {week // 30}")
        for week in range(60)
    ]
    marks = [chart.Mark(place=week, kind="something else") for week in range(60)]
    words = chart.Words(title="A year", metric="brier", time="week")

    chart.draw(tmp_path / "year.png", dots, words=words, marks=marks, thresholds=[("bad from", 0.3)])

    assert (tmp_path / "year.png").stat().st_size > 10_000
    with pytest.raises(InvalidInput, match="there is no point to draw"):
        chart.draw(tmp_path / "year.png", [], words=words)
