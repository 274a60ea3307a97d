"""A newcomer who follows one page of the documentation: saves its files, runs its code, types its commands.

``python``
    is run in the page's own namespace. A block whose first line is a comment like ``# dags/delay.py`` is saved under
    that name instead. If it imports Airflow it is a DAG file, and each of its DAGs is run with ``dag.test()``; if its
    name begins with ``test_`` pytest runs it.
``shell``
    ``exia`` commands run for real. ``make`` and ``pip`` lines are checked for the target or the extra that they name.
``text``
    right after a block of one of these two is what it prints; ``...`` stands for what differs from day to day.
``yaml``
    is saved under the name in its first line.
``json``, ``toml``
    are parsed.
``mermaid``
    is a drawing, which a test of its own compares with what it draws.

The table under "Bad input" is run too: each call in it has to raise the error beside it.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from sybil import Document, Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from airflow_provider_exia.exceptions import ExiaError
from tests.airflow.running import run_dag

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    "airflow": "dag.test(), which these commands call, has run the same DAGs; here only the DAG's name is checked",
    "exia demo": "takes minutes and a real Airflow (make demo); here only its options are checked",
    "make": "each target has its own tests, or is the run that this test is part of; here only the target is checked",
    "pip": "the environment is installed already; here only the extras are checked",
}
"""What stands in a code block and is not run, with the reason."""

_NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Reader:
    """Follows one page in an empty folder.

    :param folder: the folder; it is also the current one
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: str | None = None
        self.failed = False
        self.dags: set[str] = set()
        self._sybil = Sybil([CodeBlockParser(language, getattr(self, language)) for language in LANGUAGES])
        self._python = PythonEvaluator()

    def parse(self, page: Path) -> Document:
        """Return the page's blocks."""
        return self._sybil.parse(page)

    def follow(self, page: Path) -> int:
        """Do what every block of the page says, in order.

        :returns: how many blocks there were
        """
        blocks, document = 0, self.parse(page)
        for example in document.examples():
            language = example.region.lexemes["arguments"]
            if language != "text":
                self._check_that_failure_was_shown(page, f"line {example.line}")
            example.evaluate()
            blocks += 1
        self._check_that_failure_was_shown(page, "the end")
        for call, error in bad_input(document.text):
            _check_that_it_raises(call, error, document.namespace)
        return blocks

    def python(self, example: Example) -> str | None:
        """Run a block, or save it under the name that its first line gives."""
        named = _NAMED.match(example.parsed)
        if not named:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                problem: str | None = self._python(example)
            self.printed = printed.getvalue()
            return problem
        path = self._save(named.group(1), example)
        if path.name.startswith("test_"):
            return _run_tests(path)
        return self._run_dags(path) if "from airflow.sdk import" in example.parsed else None

    def yaml(self, example: Example) -> str | None:
        """Save a block under the name that its first line gives."""
        named = _NAMED.match(example.parsed)
        if not named:
            return "its first line is no comment that names a file"
        self._save(named.group(1), example)
        return None

    def shell(self, example: Example) -> str | None:
        """Run the commands of a block, each line by itself."""
        self.printed = ""
        for line in filter(None, (line.split(" #")[0].strip() for line in example.parsed.splitlines())):
            problem = self._command(line)
            if problem:
                return f"{line}: {problem}"
        return None

    def text(self, example: Example) -> str | None:
        """Hold what the page says is printed against what was printed."""
        printed, self.printed, self.failed = self.printed, None, False
        if printed is None:
            return "the block before this one prints nothing"
        if doctest.OutputChecker().check_output(example.parsed, printed, _LOOSELY):
            return None
        return f"it printed\n{printed}"

    def mermaid(self, _example: Example) -> None:
        """Accept a drawing: a test of its own compares it with what it draws."""

    def json(self, example: Example) -> None:
        """Parse a block."""
        json.loads(example.parsed)

    def toml(self, example: Example) -> None:
        """Parse a block."""
        tomllib.loads(example.parsed)

    def _save(self, name: str, example: Example) -> Path:
        self.printed = None
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.parsed, encoding="utf-8")
        return path

    def _run_dags(self, path: Path) -> str | None:
        """Read a DAG file as Airflow does, then run each of its DAGs once, in the order of the file."""
        bag = DagBag(path)
        if bag.import_errors or not bag.dags:
            return f"{path.name} is no DAG file: {bag.import_errors or 'it holds no DAG'}"
        source = path.read_text(encoding="utf-8")
        for dag_id, dag in sorted(bag.dags.items(), key=lambda item: source.index(item[0])):
            run = run_dag(dag)
            if run.state != "success":
                return f"{dag_id} ended as {run.state}: {run.tasks}"
            self.dags.add(dag_id)
        return None

    def _command(self, line: str) -> str | None:
        words = shlex.split(line)
        while words and _ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        if words[:2] == ["exia", "demo"]:
            return _check_options(words)
        if words[0] == "make":
            return _check_target(words[1:])
        if words[0] == "pip":
            return _check_extras(line)
        if words[:3] == ["airflow", "dags", "test"]:
            return None if words[3] in self.dags else f"no DAG {words[3]!r} on this page so far"
        if words[0] != "exia":
            return f"no rule for {words[0]!r}: add one here, with a reason if it is not run"
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, cwd=self.folder, check=False, timeout=60
        )
        self.printed = f"{self.printed}{done.stdout}{done.stderr}"
        self.failed = done.returncode != 0
        if self.failed and not done.stderr.startswith("exia: "):
            return done.stderr
        return None

    def _check_that_failure_was_shown(self, page: Path, place: str) -> None:
        assert not self.failed, (
            f"{page.name}: a command before {place} failed, and the page does not say so: {self.printed}"
        )


LANGUAGES = ("python", "shell", "text", "yaml", "mermaid", "json", "toml")


def bad_input(page: str) -> list[tuple[str, str]]:
    """Return the calls and errors of the table under "Bad input"."""
    _, _, section = page.partition("\n## Bad input\n")
    return re.findall(r"(?m)^\| `(.+?)` \| `(\w+)` \|", section)


def _check_that_it_raises(call: str, error: str, namespace: dict[str, Any]) -> None:
    with pytest.raises(ExiaError) as raised:
        eval(call, namespace)
    assert raised.type.__name__ == error, f"{call}: {raised.value}"


def _run_tests(path: Path) -> str | None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path.name],
        env=os.environ | {"PYTHONPATH": str(path.parent / "dags")},
        capture_output=True,
        text=True,
        cwd=path.parent,
        check=False,
    )
    return done.stdout if done.returncode else None


def _check_options(words: list[str]) -> str | None:
    known = subprocess.run([*words[:2], "--help"], capture_output=True, text=True, check=True).stdout
    unknown = [word for word in words[2:] if word.startswith("--") and word not in known]
    return f"no option {unknown}" if unknown else None


def _check_target(words: list[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        if not re.search(rf"\$\({name}\)" if is_variable else rf"(?m)^{name}:", makefile):
            return f"the Makefile knows no {name!r}"
    return None


def _check_extras(line: str) -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {extra for group in re.findall(r"\[([\w,]+)\]", line) for extra in group.split(",")}
    unknown = named - project["optional-dependencies"].keys()
    return f"no extra {sorted(unknown)}" if unknown else None
