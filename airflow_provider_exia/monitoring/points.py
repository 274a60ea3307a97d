"""Points: one measured value of one metric at one event time, kept for good; a re-measurement is a further point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_exia.clock import to_text
from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.storage.codec import STRICT, Moment, from_document, to_document
from airflow_provider_exia.storage.documents import Collection, DocumentStore, Query, WriteConflict, WriteUnknown

POINTS = Collection(
    name="points",
    fields={
        "model": str,
        "monitor": str,
        "metric": str,
        "version": int,
        "event_time": str,
        "source": str,
        "samples": int,
    },
    unique=(("model", "monitor", "metric", "version", "event_time", "source", "samples"),),
    indexes=(("model", "monitor", "event_time"),),
)


class PointDiffers(ExiaError):
    """The same measurement was recorded before with another value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured value.

    :param model: the model's name
    :param monitor: the monitor's name
    :param metric: what was measured
    :param version: number of the version it was measured on; 0: unknown
    :param event_time: when what was measured happened, aware
    :param samples: number of labelled samples behind it; 0: unknown
    :param value: None when it could not be computed (NaN, infinite, missing): never evidence of anything
    :param source: who measured
    :param revision: of the document
    """

    model: str
    monitor: str
    metric: str
    version: int = 0
    event_time: Moment
    samples: int = 0
    value: float | None
    source: str = "score"
    revision: int = 0

    __pydantic_config__ = STRICT


def usable_value(value: object) -> float | None:
    """Return a measured value as a finite number, or None: what cannot be compared must not pass for healthy."""
    try:
        number = float(value) if isinstance(value, float) else float(str(value))  # "True" is no number
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class PointLog:
    """The points of all monitors.

    :param documents: where they lie
    """

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    def record(self, point: Point) -> None:
        """Keep a point; the same point again is success, and what is no finite number is kept as a gap.

        :raises PointDiffers: the same measurement has another value
        :raises WriteUnknown: no answer, and no such point to be seen: record it again
        """
        point = replace(point, value=usable_value(point.value))
        try:
            self._documents.insert(POINTS, to_document(point))
        except (WriteConflict, WriteUnknown):
            standing = self._read(point)
            if standing is None:
                raise
            if standing.value != point.value:
                raise PointDiffers(
                    f"{point.metric} of {point.model} at {point.event_time.isoformat()} was recorded as "
                    f"{standing.value!r} and is {point.value!r} now with the same {point.samples} samples: a "
                    "measurement with more labels needs a higher number of samples"
                ) from None

    def since(self, model: str, monitor: str, moment: datetime | None) -> Sequence[Point]:
        """Return the points of a monitor from a moment on, in the order of event time."""
        query = Query(
            where={"model": model, "monitor": monitor},
            order="event_time",
            at_least=None if moment is None else to_text(moment),
        )
        return [from_document(Point, document) for document in self._documents.find(POINTS, query)]

    def _read(self, point: Point) -> Point | None:
        document = to_document(point)
        found = self._documents.get(POINTS, {name: document[name] for name in POINTS.identity})
        return None if found is None else from_document(Point, found)
