"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_exia.clock import SystemClock, from_text, to_text

MOMENTS = st.datetimes(
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 1, 1),
    timezones=st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(MOMENTS)
def test_a_moment_is_read_back_the_same(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment


@given(MOMENTS, MOMENTS)
@example(datetime(999, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC))
@example(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, microsecond=1, tzinfo=UTC))
def test_the_order_of_texts_is_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone: give an aware datetime"):
        to_text(datetime(2013, 1, 1))


def test_the_system_clock_is_aware_and_never_goes_back() -> None:
    clock = SystemClock()

    seconds = [clock.monotonic() for _ in range(100)]

    assert clock.now().utcoffset() == timedelta(0)
    assert seconds == sorted(seconds)
