"""How operators call an author's ``score`` function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_exia.monitoring.scores import Scores


def call_score(score: Callable[..., Any], model: Any, data: Any) -> Scores:
    """Return the scores of a model on labelled data.

    :raises InvalidInput: the function returned something else
    """
    from airflow_provider_exia.monitoring.scores import Scores

    scores = score(model, data)
    if not isinstance(scores, Scores):
        raise InvalidInput(f"score() returned {type(scores).__name__}: return Scores(loss=..., block=...)")
    return scores
