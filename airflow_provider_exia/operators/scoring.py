"""How operators call an author's ``score`` function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_exia.monitoring.scores import Scores


@overload
def call_score(score: Callable[..., Any], model: Any, data: Any) -> Scores: ...


@overload
def call_score(
    score: Callable[..., Any], model: Any, data: Any, *, may_have_no_labels: Literal[True]
) -> Scores | None: ...


def call_score(score: Callable[..., Any], model: Any, data: Any, *, may_have_no_labels: bool = False) -> Scores | None:
    """Return the scores of a model on labelled data.

    :param may_have_no_labels: whether None, "nothing is labelled yet", is an answer
    :raises InvalidInput: the function returned something else
    """
    from airflow_provider_exia.monitoring.scores import Scores

    scores = score(model, data)
    if isinstance(scores, Scores) or (scores is None and may_have_no_labels):
        return scores
    raise InvalidInput(f"score() returned {type(scores).__name__}: return Scores(loss=..., block=...)")
