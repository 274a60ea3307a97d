"""Crash points kill only when a test arms them."""

from __future__ import annotations

import signal

import pytest

from airflow_provider_exia.crash_points import crash_point
from tests.processes import exit_code


def pass_often(times: int) -> None:
    for _ in range(times):
        crash_point("test.point")


@pytest.mark.parametrize(
    ("armed", "ended"),
    [
        ({}, 0),
        ({"EXIA_CRASH_POINT": "test.other"}, 0),
        ({"EXIA_CRASH_POINT": "test.point"}, -signal.SIGKILL),
        ({"EXIA_CRASH_POINT": "test.point:3"}, -signal.SIGKILL),
        ({"EXIA_CRASH_POINT": "test.point:4"}, 0),
    ],
)
def test_a_process_is_killed_at_the_armed_passage_only(armed: dict[str, str], ended: int) -> None:
    assert exit_code(pass_often, 3, environment=armed) == ended
