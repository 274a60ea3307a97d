"""Every code block of the documentation runs, in the order in which a reader meets it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.reader import LANGUAGES, NOT_RUN, PAGES, ROOT, Reader
from tests.servers.consul import Consul
from tests.servers.server import fresh_name
from tests.servers.session import shared

PAGES_ON_CONSUL = {"parameters.md", "services.md"}
PAGES_WITH_DAGS = [page for page in PAGES if "from airflow.sdk import" in page.read_text(encoding="utf-8")]
LONGEST_LINE = 120
_ONE_PIECE = re.compile(r"\s*(?:[-*] |\d+\. )?(?:!?\[.*\]\([^)]*\)|\S+)")


def each_page() -> list[object]:
    """Give every page, those that run DAGs with the marker."""
    return [pytest.param(page, id=page.name, marks=list(marks_of(page))) for page in PAGES]


def marks_of(page: Path) -> Iterator[pytest.MarkDecorator]:
    if page in PAGES_WITH_DAGS:
        yield pytest.mark.airflow
    if page.name in PAGES_ON_CONSUL:
        yield pytest.mark.servers("consul")


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Someone named ada in an empty folder, with an Airflow home of her own."""
    for name in ("EXIA_DOCUMENTS", "EXIA_BLOBS", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.syspath_prepend(tmp_path / "dags")
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield Reader(tmp_path)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", each_page())
def test_every_block_of_a_page_does_what_the_page_says(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in PAGES_ON_CONSUL:
        monkeypatch.setenv("AIRFLOW_CONN_CONSUL_DEFAULT", consul_connection())
    if page in PAGES_WITH_DAGS:
        request.getfixturevalue("metadata_database")  # before the page has a home of its own
    reader: Reader = request.getfixturevalue("reader")

    blocks = reader.follow(page)

    assert blocks == page.read_text(encoding="utf-8").count("\n```") / 2, f"a block is none of {', '.join(LANGUAGES)}"


def consul_connection() -> str:
    """Return the connection to the session's agent, below a root that nobody has used."""
    server = shared("consul")
    assert isinstance(server, Consul)
    where = urlsplit(server.url)
    fields = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": server.token}
    return json.dumps({**fields, "extra": {"root": fresh_name()}})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert "://" in target or found.exists(), f"{page.name}: nothing at {target}"
        if heading:
            headings = re.findall(r"(?m)^#+ (.+)$", found.read_text(encoding="utf-8"))
            assert heading in {anchor_of(text) for text in headings}, f"{page.name}: no heading for {target}"


def anchor_of(heading: str) -> str:
    """Return what a heading is called in a link."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_what_is_not_run_has_a_reason() -> None:
    assert all(len(reason.split()) > 5 for reason in NOT_RUN.values())


def test_the_readme_is_what_the_package_index_shows() -> None:
    assert 'readme = "README.md"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_line_of_prose_is_too_long(page: Path) -> None:
    too_long = [number for number, line in prose_of(page.read_text(encoding="utf-8")) if len(line) > LONGEST_LINE]

    assert not too_long, f"{page.name}: wrap the lines {too_long} at {LONGEST_LINE} characters"


def prose_of(page: str) -> Iterator[tuple[int, str]]:
    """Give the lines that can be wrapped, with their numbers: no table, no block, nothing of one word or one link."""
    is_code = False
    for number, line in enumerate(page.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith(("|", "#", "    ")) and not _ONE_PIECE.fullmatch(line):
            yield number, line
