"""``exia compile`` and ``exia check``: tables, JSON, sentences and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.dag_compiler import compiling
from tests.unit.dag_compiler.conftest import SPEC, WriteSpecs, believe

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``exia`` with these words; the import check is believed."""
    defaults = compiling.compile_specs.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "import_check", believe)
    return lambda *words: CliRunner().invoke(exia, [str(word) for word in words])


def test_files_are_listed_with_what_became_of_them(run: Run, write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs("one", "two")

    first = run("compile", *specs, "--out", out)
    second = run("compile", *specs, "--out", out)

    assert first.exit_code == second.exit_code == 0
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["FILE", "IS", "DAGS", "MODELS"],
        ["one.py", "written", "2", "one"],
        ["two.py", "written", "2", "two"],
    ]
    assert "unchanged" in second.stdout
    assert run("check", *specs, "--out", out).exit_code == 0


def test_a_wrong_spec_is_told_on_standard_error_and_ends_with_one(run: Run, write_specs: WriteSpecs, out: Path) -> None:
    specs = [*write_specs("one"), *write_specs("two", text=SPEC.replace("min_gain", "min_gian"))]

    done = run("compile", *specs, "--out", out)
    checked = run("check", *specs, "--out", out)

    sentence = f"exia: {specs[1]}:5: gate.min_gian: no such field; did you mean 'min_gain'?\n"
    assert (done.exit_code, done.stderr) == (1, sentence)
    assert (checked.exit_code, checked.stderr, checked.stdout) == (1, sentence, "")


def test_check_shows_what_differs(run: Run, write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs("one")
    run("compile", *specs, "--out", out)
    write_specs("one", text=SPEC.replace("window: 3", "window: 4"))

    checked = run("check", *specs, "--out", out)

    assert checked.exit_code == 1
    assert checked.stdout.startswith("one.py is different\n")
    assert "  -    window=3,\n  +    window=4,\n" in checked.stdout


def test_both_answer_in_json(run: Run, write_specs: WriteSpecs, out: Path) -> None:
    specs = [*write_specs("one"), *write_specs("two", text="model: 5")]

    done = json.loads(run("compile", *specs, "--out", out, "--json").stdout)
    (out / "one.py").unlink()
    checked = json.loads(run("check", *specs, "--out", out, "--json").stdout)

    assert done["files"][1] == {
        "file": "one.py", "action": "written", "models": ["one"], "dags": ["one_infer", "one_train"],
    }  # fmt: skip
    assert checked["differences"] == [{"file": "one.py", "is": "missing", "diff": []}]
    assert done["wrong"] == checked["wrong"]
    assert done["wrong"][0]["problems"][0]["line"] == 1


@pytest.mark.parametrize("command", ["compile", "check"])
def test_without_specs_or_folder_the_usage_is_told(run: Run, command: str) -> None:
    assert run(command, "--out", "x").exit_code == 2
    assert run(command, "spec.yaml").exit_code == 2


def test_checking_loads_no_airflow(write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs("one")
    program = (
        "import sys; from click.testing import CliRunner; from airflow_provider_exia.cli.main import exia\n"
        "assert CliRunner().invoke(exia, ['check', *sys.argv[1:]]).exit_code == 1\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('airflow', 'sqlalchemy')]"
    )

    subprocess.run([sys.executable, "-c", program, *map(str, specs), "--out", str(out)], check=True)
