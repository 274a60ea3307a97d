"""The gate asks whether the challenger is better than the champion: by enough, and not by chance.

Both are scored on the same rows. The mean difference is the gain; its one-sided interval comes from a paired block
bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13): whole blocks are drawn
with replacement, since the rows of one day or one customer are not independent.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.policy import Policy
    from airflow_provider_exia.monitoring.scores import Scores


class Verdict(StrEnum):
    """What the gate says."""

    FIRST = "first"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict with the numbers it rests on.

    :param verdict: ``first`` when there is no champion to beat
    :param reasons: why it is refused, in words; empty otherwise
    :param champion_loss: mean over all rows; None without a champion
    :param challenger_loss: mean over all rows; None when there was nothing to score on
    :param gain: champion's loss less challenger's
    :param lower_bound: lower end of the gain's interval
    :param rows: how many rows were scored
    :param blocks: how many blocks they form
    :param slice_gains: "slicing=value" to the gain there
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    champion_loss: float | None = None
    challenger_loss: float | None = None
    gain: float | None = None
    lower_bound: float | None = None
    rows: int = 0
    blocks: int = 0
    slice_gains: Mapping[str, float] = field(default_factory=dict)

    def describe(self, metric: str) -> str:
        """Return the judgement in one line, with its numbers."""
        if self.champion_loss is None or self.challenger_loss is None:
            scored = (
                "" if self.challenger_loss is None else f", its {metric} on its holdout is {self.challenger_loss:.4g}"
            )
            return f"{self.verdict}: there was no champion to beat{scored}"
        numbers = (
            f"{metric} {self.champion_loss:.4g} -> {self.challenger_loss:.4g}, gain {self.gain:+.4g}, "
            f"lower bound {self.lower_bound:+.4g} ({self.rows} rows in {self.blocks} blocks)"
        )
        return f"{self.verdict}: {numbers}" + (f": {'; '.join(self.reasons)}" if self.reasons else "")


def judge_first(challenger: Scores | None) -> Judgement:
    """Judge a model that has no champion to beat.

    :param challenger: its scores on its holdout, if it has one
    """
    if challenger is None:
        return Judgement(verdict=Verdict.FIRST)
    return Judgement(
        verdict=Verdict.FIRST,
        challenger_loss=challenger.mean,
        rows=len(challenger.loss),
        blocks=len(set(challenger.block)),
    )


def judge(policy: Policy, champion: Scores, challenger: Scores) -> Judgement:
    """Judge a challenger against the champion on the same rows.

    :raises InvalidInput: the two were not scored on the same rows
    """
    if champion.block != challenger.block:
        raise InvalidInput(
            f"champion and challenger were scored on different rows ({len(champion.loss)} and {len(challenger.loss)}): "
            "score() must keep every row and their order, whatever the model"
        )
    if champion.slices != challenger.slices:
        raise InvalidInput(
            "champion and challenger were scored on different slices of the same rows: "
            "score() must make slices depend on the data and not on the model"
        )
    differences = [old - new for old, new in zip(champion.loss, challenger.loss, strict=True)]
    gain = math.fsum(differences) / len(differences)
    blocks = _sums_by(champion.block, differences)
    lower_bound = _lower_bound(policy, list(blocks.values()))
    slice_gains = {
        f"{name}={value}": total / count
        for name, values in challenger.slices.items()
        for value, (total, count) in sorted(_sums_by(values, differences).items())
    }
    reasons = tuple(_reasons(policy, gain, lower_bound, len(blocks), slice_gains))
    return Judgement(
        verdict=Verdict.REFUSED if reasons else Verdict.ACCEPTED,
        reasons=reasons,
        champion_loss=champion.mean,
        challenger_loss=challenger.mean,
        gain=gain,
        lower_bound=lower_bound,
        rows=len(differences),
        blocks=len(blocks),
        slice_gains=slice_gains,
    )


def check_holdout_blocks(holdout: Scores, training_blocks: Iterable[str]) -> None:
    """Refuse a holdout that shares a block with the training data: a model must not be judged on what it has seen.

    :raises InvalidInput: they overlap
    """
    shared = sorted(set(holdout.block) & set(training_blocks))
    if shared:
        raise InvalidInput(
            f"the holdout overlaps the training data in {len(shared)} of {len(set(holdout.block))} blocks "
            f"(first: {shared[0]!r}): return a holdout that train() did not use"
        )


def _reasons(
    policy: Policy, gain: float, lower_bound: float, blocks: int, slice_gains: Mapping[str, float]
) -> Iterable[str]:
    if blocks < policy.min_blocks:
        yield f"the holdout has {blocks} blocks, at least {policy.min_blocks} are needed"
    if gain < policy.min_gain:
        yield f"the gain {gain:+.4g} is below the minimum {policy.min_gain:+.4g}"
    if lower_bound <= 0:
        yield f"the lower bound {lower_bound:+.4g} is not above zero: it may be chance"
    if policy.max_slice_loss is not None:
        for name, slice_gain in slice_gains.items():
            if slice_gain < -policy.max_slice_loss:
                yield f"it is worse by {-slice_gain:.4g} where {name}, more than {policy.max_slice_loss:.4g} is allowed"


def _sums_by(keys: Iterable[str], values: Iterable[float]) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for key, value in zip(keys, values, strict=True):
        total, count = sums[key]
        sums[key] = (total + value, count + 1)
    return dict(sums)


def _lower_bound(policy: Policy, blocks: list[tuple[float, int]]) -> float:
    """Return the (1 - confidence) quantile of the mean difference over resampled blocks."""
    source = random.Random(policy.seed)  # noqa: S311 - statistics, and repeatable on purpose
    means = []
    for _ in range(policy.draws):
        drawn = source.choices(blocks, k=len(blocks))
        means.append(math.fsum(total for total, _ in drawn) / sum(count for _, count in drawn))
    means.sort()
    return means[int((1 - policy.confidence) * policy.draws)]
