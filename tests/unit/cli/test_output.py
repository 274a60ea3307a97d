"""Texts that people read, and tables on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_exia.cli.output import Column, pairs_text, print_facts, print_table, size_text, time_text

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2_345_678, "2.3 MB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (5 * 10**12, "5.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_times_are_in_utc_to_the_second() -> None:
    there = datetime(2013, 1, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(there) == "2012-12-31T23:30:00Z"
    assert time_text(datetime(2013, 1, 1, tzinfo=UTC)) == "2013-01-01T00:00:00Z"
    assert time_text(None) == ""


def test_pairs() -> None:
    pairs = {"brier": 0.123456789, "depth": 5, "name": "gbt", "early": True, "seed": None, "layers": [3, 4]}

    assert pairs_text(pairs) == "brier=0.123457, depth=5, name=gbt, early=true, seed=null, layers=[3, 4]"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns, as rich sees it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_wraps_words_where_that_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column(title="VERSION"), Column(title="REASON", wraps=True)], [("flight_delay/1", "word " * 20)])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60


@pytest.mark.usefixtures("terminal")
def test_a_terminal_too_narrow_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column(title="SIZE", right=True), Column(title="SHA256")], [("2.3 MB", DIGEST)])
    print_facts("flight_delay/1", {"digest": DIGEST, "empty": ""})

    text = capsys.readouterr().out
    assert text.count(DIGEST) == 2
    assert "2.3 MB" in text
    assert "empty" not in text
