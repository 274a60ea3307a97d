"""The states of a monitor and the legal moves between them, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class MonitorState(StrEnum):
    """Where a monitor stands; an episode runs from DEGRADED until it is ended, baked or rolled back."""

    HEALTHY = "HEALTHY"
    SUSPECT = "SUSPECT"
    DEGRADED = "DEGRADED"
    RETRAINING = "RETRAINING"
    ENDED = "ENDED"
    CANDIDATE = "CANDIDATE"
    ROLLED_BACK = "ROLLED_BACK"
    HALTED = "HALTED"


_ALL = frozenset(MonitorState)
_S = MonitorState

DECISIONS: Mapping[MonitorState, frozenset[MonitorState]] = {
    _S.HEALTHY: frozenset({_S.SUSPECT, _S.DEGRADED, _S.HALTED}),
    _S.SUSPECT: frozenset({_S.HEALTHY, _S.DEGRADED, _S.HALTED}),
    _S.DEGRADED: frozenset({_S.RETRAINING, _S.ENDED}),
    _S.RETRAINING: frozenset({_S.CANDIDATE, _S.ENDED}),
    _S.ENDED: frozenset({_S.HEALTHY, _S.SUSPECT, _S.DEGRADED, _S.HALTED}),
    _S.CANDIDATE: frozenset({_S.HEALTHY, _S.ROLLED_BACK, _S.HALTED}),
    _S.ROLLED_BACK: frozenset({_S.HEALTHY, _S.SUSPECT, _S.DEGRADED, _S.HALTED}),
    _S.HALTED: frozenset({_S.HEALTHY, _S.CANDIDATE}),
}
"""What evaluations, the training run and a person's resume may do. HALTED is left by a person only."""

ALIAS_MOVES = frozenset({_S.CANDIDATE, _S.ROLLED_BACK})
"""Where a move of the alias leads from any state but HALTED, whoever moved it."""

RETRAIN_NOW = frozenset({_S.HEALTHY, _S.SUSPECT, _S.ENDED, _S.ROLLED_BACK})
"""The states in which a person may ask for a training run."""

EPISODE_OPEN = frozenset({_S.DEGRADED, _S.RETRAINING})
"""The states in which a training run is wanted or under way."""


def is_legal(before: MonitorState, after: MonitorState) -> bool:
    """Say whether a monitor may go from one state to another, by whoever's move it is."""
    if after in (before, _S.HALTED):
        return True
    if after in ALIAS_MOVES and before is not _S.HALTED:
        return True
    return after in DECISIONS[before]


def legal_moves() -> list[tuple[MonitorState, MonitorState]]:
    """Return all pairs of different states that are legal, in order."""
    return [(before, after) for before in _S for after in _S if before is not after and is_legal(before, after)]


def as_mermaid() -> str:
    """Draw the table as a state diagram, for the documentation."""
    moves = [f"    {before} --> {after}" for before in _S for after in _S if after in DECISIONS[before]]
    moves = [f"{move}: a person resumes" if move.startswith(f"    {_S.HALTED}") else move for move in moves]
    return "\n".join(
        [
            "stateDiagram-v2",
            f"    [*] --> {_S.HEALTHY}",
            *moves,
            f'    state "any state but {_S.HALTED}" as ANY',
            f"    ANY --> {_S.CANDIDATE}: the alias was promoted",
            f"    ANY --> {_S.ROLLED_BACK}: the alias was rolled back",
            f"    ANY --> {_S.HALTED}: a person stops",
        ]
    )
