"""Scores take what numpy, pandas and plain Python give, and refuse what no judgement can rest on."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pandas
import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.scores import Scores


@pytest.mark.parametrize("make", [list, tuple, numpy.array, pandas.Series], ids=["list", "tuple", "numpy", "pandas"])
def test_columns_of_every_kind_are_taken_alike(make: Any) -> None:
    scores = Scores(loss=make([0.5, 1.0]), block=make([1, 2]), slices={"origin": make(["JFK", "LGA"])})

    assert scores == Scores(loss=[0.5, 1.0], block=["1", "2"], slices={"origin": ["JFK", "LGA"]})


def test_the_mean_does_not_lose_small_losses_beside_large_ones() -> None:
    scores = Scores(loss=[1e16, 1.0, -1e16, 1.0], block=[1, 2, 3, 4])

    assert scores.mean == 0.5


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no rows: score\\(\\) was given no data"):
        Scores(loss=[], block=[])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, numpy.float64("nan")])
def test_a_loss_that_is_not_finite_is_refused_with_its_row(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"loss of (nan|inf|-inf) at row 1: every loss must be a finite number"):
        Scores(loss=[0.1, value, 0.2], block=["a", "b", "c"])


@pytest.mark.parametrize("value", [None, "much", [0.1], pandas.NA])
def test_a_loss_that_is_no_number_is_refused_with_its_row(value: Any) -> None:
    with pytest.raises(InvalidInput, match="at row 1: every loss must be a finite number"):
        Scores(loss=[0.1, value], block=["a", "b"])


def test_one_loss_for_all_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="loss is a float: give one value per row"):
        Scores(loss=0.25, block=["a", "b"])


@pytest.mark.parametrize("block", ["day", b"day", None, 3])
def test_a_name_in_place_of_the_blocks_is_refused(block: Any) -> None:
    with pytest.raises(InvalidInput, match="block is a (str|bytes|NoneType|int): give one value per row"):
        Scores(loss=[1.0, 2.0, 3.0], block=block)


def test_blocks_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="3 losses but 2 values of block: one per row is needed"):
        Scores(loss=[1.0, 2.0, 3.0], block=["a", "b"])


def test_slices_of_another_length_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="1 losses but 2 values of slice 'origin'"):
        Scores(loss=[1.0], block=["a"], slices={"origin": ["JFK", "LGA"]})
