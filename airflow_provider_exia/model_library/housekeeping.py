"""Garbage collection over many models: one damaged document does not keep the others from being collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_exia.model_library.collecting import GRACE, CollectReport, abort_uploads, check_grace
from airflow_provider_exia.storage.codec import DamagedDocument

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.task_identity import Actor

UPLOADS = "(uploads)"
"""Stands for a model's name where the store's unfinished uploads are meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What came of one pass.

    :param model: the model's name, or :data:`UPLOADS`
    :param report: what was done, or would be
    :param failure: why there is no report, or empty
    """

    model: str
    report: CollectReport
    failure: str = ""


def collect_models(
    library: ModelLibrary,
    models: Iterable[str],
    *,
    grace: timedelta = GRACE,
    delete: bool = False,
    by: str | Actor | None = None,
) -> Iterator[Pass]:
    """Make one pass over each model, then one over the uploads of all models that never ended.

    :param grace: how long a publication may take, and how long a retired version can be restored
    :param delete: False: change nothing, and report what would be done
    :param by: who does it, for the journals
    :raises InvalidInput: the grace time is shorter than a day
    :raises UnknownModel: there is no such model
    """
    check_grace(grace)
    for model in models:
        try:
            yield Pass(model=model, report=library.collect(model, grace=grace, delete=delete, by=by))
        except DamagedDocument as error:
            yield Pass(model=model, report=CollectReport(dry_run=not delete), failure=str(error))
    yield Pass(model=UPLOADS, report=abort_uploads(library.resources, grace=grace, delete=delete))
