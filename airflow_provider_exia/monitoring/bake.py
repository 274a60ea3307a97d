"""The bake: a promoted version is watched beside the one before it, on the same points.

An absolute limit would punish a good model for a bad week; its predecessor has the same week.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import Evidence
    from airflow_provider_exia.monitoring.policy import Policy


def is_breached(policy: Policy, evidence: Sequence[Evidence]) -> bool:
    """Say whether the live version is worse than the one before it, by more than the margin, often enough."""
    paired = [item for item in evidence if item.previous is not None][-policy.window :]
    return sum(loss(policy, item) > margin(policy) for item in paired) >= policy.breaches


def margin(policy: Policy) -> float:
    """Return how much worse a promoted version may be, in units of the metric."""
    return policy.min_gain if policy.bake_margin is None else policy.bake_margin


def loss(policy: Policy, item: Evidence) -> float:
    """Return by how much the live version is worse than the one before it; below zero: better."""
    return 0.0 if item.previous is None else policy.badness(item.value) - policy.badness(item.previous)


def describe_breach(policy: Policy, evidence: Sequence[Evidence]) -> str:
    """Return the paired points in words."""
    pairs = ", ".join(f"{item.value:.4g} against {item.previous:.4g}" for item in evidence if item.previous is not None)
    return (
        f"worse than the version before it by more than {margin(policy):g} on at least {policy.breaches} of the last "
        f"{policy.window} paired points: {pairs}"
    )
