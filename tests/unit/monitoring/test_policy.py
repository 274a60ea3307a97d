"""A policy with a value that makes no sense stops the DAG file, not the gate at night."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.policy import Policy


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"metric": ""}, "metric '': expected a name"),
        ({"metric": 3}, "metric 3: expected a name"),
        ({"min_gain": -0.1}, "min_gain -0.1: expected 0 or more"),
        ({"min_gain": math.nan}, "min_gain nan: expected 0 or more"),
        ({"min_gain": math.inf}, "min_gain inf: expected 0 or more"),
        ({"min_gain": "0.1"}, "min_gain '0.1': expected 0 or more"),
        ({"min_gain": None}, "min_gain None: expected 0 or more"),
        ({"confidence": 1.0}, "confidence 1.0: expected 0.5 or more and below 1"),
        ({"confidence": 0.05}, "confidence 0.05: expected 0.5 or more and below 1"),
        ({"confidence": 95}, "confidence 95: expected 0.5 or more and below 1"),
        ({"draws": 99}, "draws 99: expected a whole number, 100 or more"),
        ({"draws": 2000.0}, "draws 2000.0: expected a whole number, 100 or more"),
        ({"seed": 0.5}, "seed 0.5: expected a whole number"),
        ({"seed": None}, "seed None: expected a whole number"),
        ({"min_blocks": 1}, "min_blocks 1: expected a whole number, 2 or more"),
        ({"min_blocks": True}, "min_blocks True: expected a whole number, 2 or more"),
        ({"max_slice_loss": -1}, "max_slice_loss -1: expected 0 or more"),
        ({"max_slice_loss": math.nan}, "max_slice_loss nan: expected 0 or more"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Policy(**{"metric": "brier", **values})

    assert str(caught.value).startswith(f"policy: {problem}")


def test_the_edges_of_the_ranges_are_allowed() -> None:
    policy = Policy(metric="brier", min_gain=0, confidence=0.5, draws=100, seed=-1, min_blocks=2, max_slice_loss=0)

    assert (policy.min_gain, policy.max_slice_loss) == (0, 0)


def test_a_policy_does_not_change() -> None:
    policy = Policy(metric="brier")

    with pytest.raises(FrozenInstanceError):
        policy.min_gain = 1.0


def test_a_policy_is_written_without_an_address() -> None:
    # A mapped gate's policy goes into the serialized DAG as text: an address in it would make a DAG version per parse.
    policy = Policy(metric="brier", min_gain=0.002)

    assert repr(policy).startswith("Policy(metric='brier', direction='lower', ")
    assert "min_gain=0.002, confidence=0.95, draws=2000, seed=0, min_blocks=5, max_slice_loss=None)" in repr(policy)
    assert " at 0x" not in repr(policy)
