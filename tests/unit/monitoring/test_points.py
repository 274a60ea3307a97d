"""A point is kept once: again is success, another value an error, more labels a further point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy
import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.points import POINTS, PointDiffers, PointLog, usable_value
from airflow_provider_exia.storage.documents import WriteUnknown
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.unit.monitoring.replies import LostReplies
from tests.unit.monitoring.world import MODEL, MONITOR, point_of, weeks


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    store = SqlDocuments(f"sqlite:///{tmp_path}/library.db")
    yield store
    store.close()


@pytest.fixture
def points(documents: SqlDocuments) -> PointLog:
    return PointLog(documents)


def test_the_same_point_again_is_success(points: PointLog) -> None:
    for _ in range(3):
        points.record(point_of(0.2, weeks(1)))

    assert [point.value for point in points.since(MODEL, MONITOR, None)] == [0.2]


def test_another_value_for_the_same_measurement_is_an_error_that_says_what_to_do(points: PointLog) -> None:
    points.record(point_of(0.2, weeks(1)))

    with pytest.raises(PointDiffers) as refused:
        points.record(point_of(0.3, weeks(1)))

    assert str(refused.value) == (
        "loss of delay at 2026-01-12T00:00:00+00:00 was recorded as 0.2 and is 0.3 now with the same 100 samples: a "
        "measurement with more labels needs a higher number of samples"
    )
    assert [point.value for point in points.since(MODEL, MONITOR, None)] == [0.2]


def test_a_gap_and_a_value_for_the_same_measurement_differ(points: PointLog) -> None:
    points.record(point_of(None, weeks(1)))

    with pytest.raises(PointDiffers):
        points.record(point_of(0.3, weeks(1)))


@pytest.mark.parametrize("other", [{"samples": 200}, {"version": 2}, {"metric": "other"}, {"source": "other"}])
def test_a_measurement_of_something_else_is_a_further_point(points: PointLog, other: dict[str, object]) -> None:
    point = point_of(0.2, weeks(1))
    points.record(point)
    points.record(replace(point, value=0.3, **other))

    assert sorted(point.value or 0 for point in points.since(MODEL, MONITOR, None)) == [0.2, 0.3]


def test_points_come_in_the_order_of_event_time_from_a_moment_on(points: PointLog) -> None:
    for week in (3, 1, 4, 2):
        points.record(point_of(week / 10, weeks(week)))
    points.record(replace(point_of(0.9, weeks(5)), monitor="other"))
    points.record(replace(point_of(0.9, weeks(5)), model="other"))

    assert [point.value for point in points.since(MODEL, MONITOR, weeks(2))] == [0.2, 0.3, 0.4]


def test_a_point_comes_back_as_it_was(points: PointLog) -> None:
    point = replace(point_of(0.1 + 0.2, weeks(1)), samples=0, version=0, source="dag.task")

    points.record(point)

    assert points.since(MODEL, MONITOR, None) == [replace(point, revision=1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_finite_number_is_kept_as_a_gap(points: PointLog, value: float | None) -> None:
    for _ in range(2):
        points.record(point_of(value, weeks(1)))

    assert [point.value for point in points.since(MODEL, MONITOR, None)] == [None]


def test_a_moment_without_a_time_zone_is_refused(points: PointLog) -> None:
    with pytest.raises(InvalidInput, match="has no time zone"):
        points.record(point_of(0.1, weeks(1).replace(tzinfo=None)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 0.5),
        (3, 3.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        (Decimal("0.5"), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.float64(0.5), 0.5),
        (numpy.int64(3), 3.0),
        (True, None),
        (None, None),
        ("", None),
        ("nan", None),
        ("-inf", None),
        ("good", None),
        (math.nan, None),
        (math.inf, None),
        (numpy.float64("nan"), None),
        (10**400, None),
        ([0.5], None),
    ],
)
def test_a_measured_value_is_a_finite_number_or_nothing(value: object, expected: float | None) -> None:
    assert usable_value(value) == expected


@pytest.mark.parametrize("done", [True, False])
def test_a_lost_reply_ends_in_one_point_after_a_repetition(documents: SqlDocuments, done: bool) -> None:
    points = PointLog(LostReplies(documents, [(1, done)]))
    point = point_of(0.2, weeks(1))

    if done:
        points.record(point)
    else:
        with pytest.raises(WriteUnknown):
            points.record(point)
    points.record(point)

    assert len(points.since(MODEL, MONITOR, None)) == 1


def test_the_key_of_a_point_has_no_field_that_may_be_missing() -> None:
    assert set(POINTS.identity) == set(POINTS.fields)
