"""Operators that keep a library in order: retire, restore, collect garbage, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.task_identity import task_actor, work_key

if TYPE_CHECKING:
    from airflow.sdk import Context


class ModelRetireOperator(ExiaOperator):
    """Take a version out of use: no alias can reach it, and garbage collection may take its files.

    :param reference: the version to retire (templated)
    :param reason: kept in the journal (templated)
    :returns: the version's reference
    :raises VersionIsLive: an alias names it
    :raises VersionRetired: it is out of use already
    """

    template_fields: Sequence[str] = ("reference", "reason")

    def __init__(self, *, reference: str, reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        self.reason = reason

    def execute(self, context: Context) -> str:
        """Retire."""
        token = f"{work_key(context, self.reference)}:retire"
        entry = self.library.retire(self.reference, by=task_actor(context), reason=self.reason, token=token)
        self.log.info("%s/%d is out of use (entry %d)", entry.model, entry.version, entry.sequence)
        return f"{entry.model}/{entry.version}"


class ModelRestoreOperator(ExiaOperator):
    """Take back the retirement of a version, as long as it was not collected.

    :param reference: the version to restore, by its number as in ``churn/3`` (templated)
    :param reason: kept in the journal (templated)
    :returns: the version's reference
    :raises NotRetired: the version is not retired
    :raises VersionCollected: its files are gone
    """

    template_fields: Sequence[str] = ("reference", "reason")

    def __init__(self, *, reference: str, reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        self.reason = reason

    def execute(self, context: Context) -> str:
        """Restore."""
        token = f"{work_key(context, self.reference)}:restore"
        entry = self.library.restore(self.reference, by=task_actor(context), reason=self.reason, token=token)
        self.log.info("%s/%d is in use again (entry %d)", entry.model, entry.version, entry.sequence)
        return f"{entry.model}/{entry.version}"


class ModelCollectGarbageOperator(ExiaOperator):
    """Delete what nobody can want again; a dry run unless told to delete.

    :param models: names of models; None: all (templated)
    :param delete: False: change nothing, and log what would be done
    :param grace: how old what goes must be, at least a day, as in ``"72h"``
    :returns: counts: ``abandoned``, ``collected``, ``deleted``, ``aborted``, ``kept``, and ``bytes`` deleted
    :raises InvalidInput: the grace time is shorter than a day
    :raises DamagedLibrary: models could not be collected; the others were
    """

    template_fields: Sequence[str] = ("models",)

    def __init__(
        self, *, models: Sequence[str] | None = None, delete: bool = False, grace: str = "72h", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.models = models
        self.delete = delete
        self.grace = grace

    def execute(self, context: Context) -> dict[str, int]:
        """Collect."""
        from airflow_provider_exia.model_library.housekeeping import collect_models
        from airflow_provider_exia.monitoring.durations import to_duration

        counts = dict.fromkeys(("abandoned", "collected", "deleted", "aborted", "kept", "bytes"), 0)
        failures = {}
        models = self.library.models() if self.models is None else self.models
        grace = to_duration(self.grace, name="grace")
        for one in collect_models(self.library, models, grace=grace, delete=self.delete, by=task_actor(context)):
            for kind in ("abandoned", "collected", "deleted", "aborted", "kept"):
                findings = getattr(one.report, kind)
                counts[kind] += len(findings)
                for finding in findings:
                    self.log.info("%s: %s: %s", kind, finding.name, finding.why)
            counts["bytes"] += one.report.bytes
            if one.failure:
                failures[one.model] = one.failure
        self.log.info("%s: %s", "deleted" if self.delete else "dry run", counts)
        _refuse(failures)
        return counts


class ModelVerifyOperator(ExiaOperator):
    """Look at every document, file and journal; fail, and name what is damaged.

    :param models: names of models; None: all (templated)
    :returns: counts: ``verified`` versions and journals, and ``bytes`` read
    :raises DamagedLibrary: something is damaged
    """

    template_fields: Sequence[str] = ("models",)

    def __init__(self, *, models: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models = models

    def execute(self, context: Context) -> dict[str, int]:  # nothing is written, so nobody is named
        """Verify."""
        from airflow_provider_exia.model_library.verifying import verify

        counts = {"verified": 0, "bytes": 0}
        damaged = {}
        for model in self.library.models() if self.models is None else self.models:
            for one in verify(self.library.resources, model):
                counts["verified"] += 1
                counts["bytes"] += one.size
                for problem in one.problems:
                    self.log.error("damaged: %s: %s", one.name, problem)
                if one.problems:
                    damaged[one.name] = one.problems[0]
        _refuse(damaged)
        return counts


def _refuse(damaged: dict[str, str]) -> None:
    from airflow_provider_exia.model_library.exceptions import DamagedLibrary

    if damaged:
        raise DamagedLibrary(damaged)
