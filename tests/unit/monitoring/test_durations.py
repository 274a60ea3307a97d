"""Durations as authors write them are read exactly, written so that they can be read again, and refused in words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.durations import in_words, to_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3w", timedelta(weeks=3)),
        ("21d", timedelta(days=21)),
        ("1.5d", timedelta(hours=36)),
        ("12h", timedelta(hours=12)),
        (" 30 m ", timedelta(minutes=30)),
        ("0s", timedelta(0)),
        ("0.5s", timedelta(milliseconds=500)),
        (timedelta(days=2), timedelta(days=2)),
        ("36525d", timedelta(days=36525)),
    ],
)
def test_a_duration_is_read(text: str | timedelta, expected: timedelta) -> None:
    assert to_duration(text) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "expected a number and a unit"),
        ("21", "expected a number and a unit"),
        ("21 days", "expected a number and a unit"),
        ("-1d", "expected a number and a unit"),
        ("1e3d", "expected a number and a unit"),
        ("\u0663d", "expected a number and a unit"),  # an Arabic three
        (21, "expected a number and a unit"),
        (None, "expected a number and a unit"),
        (timedelta(days=-1), "expected no negative duration"),
        ("36526d", "expected at most 36525d"),
        ("9" * 400 + "w", "expected at most 36525d"),
        (timedelta.max, "expected at most 36525d"),
    ],
)
def test_what_is_no_duration_is_refused_by_name(value: object, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        to_duration(value, name="cooldown")

    assert str(refused.value).startswith(f"cooldown {value!r}: {problem}")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(weeks=3), "21d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=1_000_001), "1000001s"),
        (timedelta(days=36525), "36525d"),
        (timedelta(microseconds=1), "0.000001s"),
        (timedelta(0), "0s"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_divides_it(duration: timedelta, text: str) -> None:
    assert in_words(duration) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36525)))
def test_what_is_written_is_read_again(duration: timedelta) -> None:
    assert to_duration(in_words(duration)) == duration
