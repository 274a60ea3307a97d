"""What there is: models and versions page by page, and the best version by a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library import journal
from airflow_provider_exia.model_library.exceptions import NotFound
from airflow_provider_exia.model_library.records import VERSIONS, Action, State, Version
from airflow_provider_exia.storage.codec import from_document
from airflow_provider_exia.storage.documents import Query

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources


def models(resources: Resources, *, limit: int | None = None, after: str | None = None) -> list[str]:
    """Return the names of the models, in order.

    :param limit: how many at the most; None for all
    :param after: the last name of the page before
    :raises InvalidInput: the limit is below 1
    :raises DamagedDocument: the text of a document is none, or another's
    """
    _check_limit(limit)
    names: list[str] = []
    while limit is None or len(names) < limit:
        last = names[-1] if names else after
        # ' ' sorts below every character of a name: the next model's, not this one's.
        at_least = None if last is None else f"{last} "
        found = resources.documents.find(VERSIONS, Query(order="model", at_least=at_least, limit=1))
        if not found:
            break
        names.append(str(found[0]["model"]))
    return names


def versions(resources: Resources, model: str, *, limit: int | None = None, before: int | None = None) -> list[Version]:
    """Return the versions of a model, newest first, whatever their state.

    :param limit: how many at the most; None for all
    :param before: the last number of the page before
    :raises InvalidInput: the limit is below 1
    """
    _check_limit(limit)
    at_most = None if before is None else before - 1
    query = Query(where={"model": model}, order="number", descending=True, at_most=at_most, limit=limit)
    return [from_document(Version, document) for document in resources.documents.find(VERSIONS, query)]


def retired(resources: Resources, model: str) -> set[int]:
    """Return the numbers of the versions that are out of use."""
    newest_action: dict[int, Action] = {}
    for entry in journal.entries(resources, model):
        newest_action.setdefault(entry.version, entry.action)
    return {number for number, action in newest_action.items() if action in (Action.RETIRE, Action.COLLECT)}


def select(resources: Resources, model: str, *, best: str, direction: str) -> Version:
    """Return the version in use with the best recorded metric; of equals the newest.

    :param best: the metric's name
    :param direction: ``lower`` or ``higher``: which side is better
    :raises InvalidInput: there is no such direction
    :raises NotFound: no version in use has the metric
    """
    if direction not in ("lower", "higher"):
        raise InvalidInput(f"direction {direction!r}: expected 'lower' or 'higher'")
    out_of_use = retired(resources, model)
    candidates = [
        version
        for version in versions(resources, model)
        if version.state is State.READY and version.number not in out_of_use and best in version.metrics
    ]
    if not candidates:
        raise NotFound(f"no version of {model!r} in use has a metric {best!r}: publish with metrics={{{best!r}: ...}}")
    sign = 1 if direction == "lower" else -1
    return min(candidates, key=lambda version: (sign * version.metrics[best], -version.number))


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit {limit}: expected how many to list, 1 or more, or None for all")
