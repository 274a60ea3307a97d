"""In a file of many pipelines one that cannot be built must not take the others with it, nor go unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NoReturn

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext

_log = logging.getLogger(__name__)


class UnbuiltPipeline(DAG):
    """Stands for DAGs that could not be built, so that the DAG processor shows why.

    Airflow drops all DAGs of a file that raises. A DAG that cannot be serialized is dropped alone, and its error is
    shown under the file that the DAG says it is from: so this one names a place of its own. Were the error shown
    under the real file, Airflow would take the file's other DAGs for stale. When Airflow refreshes its list of files
    (every five minutes) it forgets errors of places that are no files; the next parse shows this one again.

    :param name: of the function that should have built them
    :param error: what it raised
    """

    def __init__(self, name: str, error: Exception) -> None:
        self.error = error
        self._place: str | None = None
        super().__init__(dag_id=name, schedule=None)

    def _get_place(self) -> str | None:
        return f"{self._place} ({self.dag_id})" if self._place else None

    def _set_place(self, place: str | None) -> None:
        self._place = place

    def _refuse(self) -> NoReturn:
        raise self.error

    def _ignore(self, _: Any) -> None:
        """Let the base class set its default."""

    relative_fileloc = property(_get_place, _set_place)  # fields of the base class
    doc_md = property(_refuse, _ignore)  # read by nothing before serialization


def build_each(*builders: Callable[[], object]) -> None:
    """Call each function; where one raises, let the DAG processor show its error and go on with the next.

    :param builders: functions that make DAGs
    """
    for build in builders:
        before = set(DagContext.autoregistered_dags)
        try:
            build()
        except Exception as error:  # whatever a builder raises is shown as an import error
            _log.exception("the DAGs of %s cannot be built", build.__name__)
            # Airflow keeps a DAG whose building was broken off: it would run the tasks that it got so far.
            DagContext.autoregistered_dags &= before
            with UnbuiltPipeline(build.__name__, error):
                pass  # entering and leaving it registers it with the file
