"""The gate lets a challenger pass that is better by enough and not by chance, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.gate import Verdict, check_holdout_blocks, judge, judge_first
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.scores import Scores

POLICY = Policy(metric="brier", draws=200)

# Whole numbers, so that adding and subtracting them loses nothing.
losses = st.integers(min_value=-1000, max_value=1000).map(float)
rows = st.lists(
    st.tuples(losses, losses, st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])),
    min_size=1,
    max_size=40,
)
every_block = st.integers(min_value=1, max_value=6).map(lambda size: [str(row // size) for row in range(size * 7)])


def scores_of(values: list[Any], column: int) -> Scores:
    return Scores(loss=[row[column] for row in values], block=[row[2] for row in values])


def in_blocks(*block_losses: float, size: int = 4) -> Scores:
    """Give each block ``size`` rows of one loss."""
    return Scores(
        loss=[loss for loss in block_losses for _ in range(size)],
        block=[number for number, _ in enumerate(block_losses) for _ in range(size)],
    )


@given(rows)
def test_the_same_scores_give_the_same_judgement(values: list[Any]) -> None:
    champion, challenger = scores_of(values, 0), scores_of(values, 1)

    assert judge(POLICY, champion, challenger) == judge(POLICY, champion, challenger)


@given(rows)
def test_a_challenger_that_is_the_champion_is_refused(values: list[Any]) -> None:
    champion = scores_of(values, 0)

    judgement = judge(POLICY, champion, champion)

    assert judgement.verdict is Verdict.REFUSED
    assert (judgement.gain, judgement.lower_bound) == (0.0, 0.0)


@given(every_block, st.data(), st.integers(min_value=1, max_value=50).map(float))
def test_a_challenger_better_by_the_same_on_every_row_is_accepted(
    blocks: list[str], data: st.DataObject, gain: float
) -> None:
    old = data.draw(st.lists(losses, min_size=len(blocks), max_size=len(blocks)))
    policy = Policy(metric="brier", draws=200, min_gain=gain)

    judgement = judge(policy, Scores(old, blocks), Scores([loss - gain for loss in old], blocks))

    assert judgement.verdict is Verdict.ACCEPTED
    assert (judgement.gain, judgement.lower_bound, judgement.reasons) == (gain, gain, ())


@given(rows, losses)
def test_the_same_added_to_both_changes_neither_gain_nor_verdict(values: list[Any], constant: float) -> None:
    raised = [(old + constant, new + constant, block) for old, new, block in values]

    judgement = judge(POLICY, scores_of(values, 0), scores_of(values, 1))
    after = judge(POLICY, scores_of(raised, 0), scores_of(raised, 1))

    assert (after.verdict, after.gain, after.lower_bound) == (
        judgement.verdict,
        judgement.gain,
        judgement.lower_bound,
    )


@given(rows)
def test_of_two_models_at_most_one_beats_the_other(values: list[Any]) -> None:
    one, other = scores_of(values, 0), scores_of(values, 1)

    there, back = judge(POLICY, one, other), judge(POLICY, other, one)

    assert Verdict.REFUSED in (there.verdict, back.verdict)
    assert there.gain == -back.gain


@given(rows)
def test_the_lower_bound_lies_between_the_worst_block_and_the_best(values: list[Any]) -> None:
    judgement = judge(POLICY, scores_of(values, 0), scores_of(values, 1))

    differences: dict[str, list[float]] = {}
    for old, new, block in values:
        differences.setdefault(block, []).append(old - new)
    means = [sum(block) / len(block) for block in differences.values()]
    assert min(means) - 1e-9 <= judgement.lower_bound <= max(means) + 1e-9


def test_the_lower_bound_is_the_quantile_of_resampled_blocks() -> None:
    champion = in_blocks(*[1.0] * 20)
    challenger = in_blocks(*[0.0] * 15, *[2.0] * 5)  # better by 1 in 15 blocks, worse by 1 in 5

    judgement = judge(Policy(metric="brier"), champion, challenger)

    # The mean of 20 drawn blocks is 2 Binomial(20, 3/4) / 20 - 1; P(at most 11) = 0.041, P(at most 12) = 0.102.
    assert judgement.gain == 0.5
    assert judgement.lower_bound == pytest.approx(2 * 12 / 20 - 1)


def test_the_judgement_is_the_same_in_another_process() -> None:
    code = (
        "from tests.unit.monitoring.test_gate import *;"
        "print(judge(POLICY, in_blocks(1, 2, 3, 4, 5, 6, 7), in_blocks(1, 1, 3, 3, 5, 5, 8)).lower_bound)"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1


def test_many_rows_of_one_good_day_are_chance() -> None:
    champion = in_blocks(*[0.20] * 7, size=1000)
    challenger = in_blocks(0.06, *[0.21] * 6, size=1000)

    judgement = judge(Policy(metric="brier"), champion, challenger)

    assert judgement.verdict is Verdict.REFUSED
    assert judgement.gain == pytest.approx(0.08 / 7)
    assert judgement.reasons == (f"the lower bound {judgement.lower_bound:+.4g} is not above zero: it may be chance",)


def test_a_gain_below_the_minimum_is_refused_though_it_is_certain() -> None:
    policy = Policy(metric="brier", min_gain=0.02)

    judgement = judge(policy, in_blocks(*[0.20] * 7), in_blocks(*[0.19] * 7))

    assert judgement.reasons == ("the gain +0.01 is below the minimum +0.02",)


def test_too_few_blocks_are_refused() -> None:
    judgement = judge(POLICY, in_blocks(*[0.2] * 4, size=100), in_blocks(*[0.1] * 4, size=100))

    assert judgement.verdict is Verdict.REFUSED
    assert judgement.reasons == ("the holdout has 4 blocks, at least 5 are needed",)


def test_a_slice_that_loses_more_than_its_limit_refuses_the_challenger() -> None:
    policy = Policy(metric="brier", max_slice_loss=0.05)
    blocks = [row // 4 for row in range(40)]
    slices = {"origin": ["JFK", "JFK", "JFK", "LGA"] * 10}

    judgement = judge(
        policy,
        Scores([0.3, 0.3, 0.3, 0.3] * 10, blocks, slices),
        Scores([0.1, 0.1, 0.1, 0.4] * 10, blocks, slices),
    )

    assert judgement.verdict is Verdict.REFUSED
    assert judgement.reasons == ("it is worse by 0.1 where origin=LGA, more than 0.05 is allowed",)
    assert judgement.slice_gains == pytest.approx({"origin=JFK": 0.2, "origin=LGA": -0.1})


def test_without_a_limit_slices_are_only_recorded() -> None:
    blocks = list(range(8))
    slices = {"origin": ["JFK"] * 7 + ["LGA"]}

    judgement = judge(POLICY, Scores([1.0] * 8, blocks, slices), Scores([0.0] * 7 + [1.5], blocks, slices))

    assert judgement.verdict is Verdict.ACCEPTED
    assert judgement.slice_gains == {"origin=JFK": 1.0, "origin=LGA": -0.5}


@pytest.mark.parametrize(
    "challenger",
    [
        Scores([0.1, 0.1], ["a", "b"]),
        Scores([0.1, 0.1, 0.1], ["a", "c", "b"]),
    ],
    ids=["a row dropped", "another order"],
)
def test_scores_of_different_rows_are_refused(challenger: Scores) -> None:
    champion = Scores([0.2, 0.2, 0.2], ["a", "b", "c"])

    with pytest.raises(InvalidInput, match="scored on different rows .3 and .*must keep every row and their order"):
        judge(POLICY, champion, challenger)


def test_scores_of_different_slices_are_refused() -> None:
    champion = Scores([0.2, 0.2], ["a", "b"], {"origin": ["JFK", "LGA"]})
    challenger = Scores([0.1, 0.1], ["a", "b"], {"origin": ["LGA", "JFK"]})

    with pytest.raises(InvalidInput, match="different slices of the same rows: .* not on the model"):
        judge(POLICY, champion, challenger)


def test_a_holdout_block_that_was_trained_on_is_refused() -> None:
    holdout = Scores([0.1, 0.2, 0.3], ["2013-02-01", "2013-02-02", "2013-02-02"])

    with pytest.raises(InvalidInput, match="overlaps the training data in 1 of 2 blocks .first: '2013-02-02'"):
        check_holdout_blocks(holdout, ["2013-01-31", "2013-02-02"])


def test_a_holdout_of_other_blocks_is_allowed() -> None:
    holdout = Scores([0.1], ["2013-02-01"])

    assert check_holdout_blocks(holdout, ["2013-01-31"]) is None
    assert check_holdout_blocks(holdout, []) is None


def test_the_first_model_is_recorded_with_its_loss() -> None:
    judgement = judge_first(in_blocks(0.25, 0.75))

    assert (judgement.verdict, judgement.challenger_loss, judgement.rows, judgement.blocks) == ("first", 0.5, 8, 2)
    assert judgement.describe("brier") == "first: there was no champion to beat, its brier on its holdout is 0.5"


def test_the_first_model_needs_no_holdout() -> None:
    assert judge_first(None).describe("brier") == "first: there was no champion to beat"


def test_the_description_shows_small_numbers_too() -> None:
    judgement = judge(POLICY, in_blocks(*[2.5e-7] * 7), in_blocks(*[2e-7] * 7))

    assert judgement.describe("error") == (
        "accepted: error 2.5e-07 -> 2e-07, gain +5e-08, lower bound +5e-08 (28 rows in 7 blocks)"
    )
