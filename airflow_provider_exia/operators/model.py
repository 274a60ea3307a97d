"""Operators on the model library itself: write, read, promote, roll back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_exia.assets import announce_move, announce_version
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.operators.acceptance import request_of
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.task_identity import run_facts, run_scope, task_actor, work_key

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.model_library.records import JournalEntry
    from airflow_provider_exia.monitoring.decisions import GateDecision


class ModelWriteOperator(ExiaOperator):
    """Publish files, or a small value, as one new version of a model.

    :param model: the model's name (templated)
    :param file: path of the model's file (templated)
    :param inline: instead of a file a JSON value, or for ``code`` a name as in ``package.module:name``; it lies in the
        version's document up to 1 MB (templated)
    :param format: ``skops``, ``safetensors``, ``onnx``, ``json``, ``code``, ``raw``, ``pickle`` or ``joblib``; of a
        value ``json`` or ``code``
    :param holdout: path of the file that the gate judges on (templated)
    :param others: paths of further files, as a tokenizer or a configuration (templated)
    :param metrics: name to finite number (templated)
    :param parameters: settings of the training, for the lineage (templated)
    :returns: the version's reference, as in ``churn/3``
    :raises InvalidInput: a file is missing or empty, a value, name or metric cannot be used, or there are both or
        neither of ``file`` and ``inline``
    :raises WrongFormat: the file is of another format
    """

    announces = True

    template_fields: Sequence[str] = ("model", "file", "inline", "holdout", "others", "metrics", "parameters")

    def __init__(
        self,
        *,
        model: str,
        file: str | None = None,
        inline: Any = None,
        format: str,
        holdout: str | None = None,
        others: Sequence[str] = (),
        metrics: Mapping[str, float] | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.file = file
        self.inline = inline
        self.format = format
        self.holdout = holdout
        self.others = others
        self.metrics = metrics
        self.parameters = parameters

    def execute(self, context: Context) -> str:
        """Publish."""
        from airflow_provider_exia.model_library.publishing import SourceFile
        from airflow_provider_exia.model_library.records import Lineage, Role

        if (self.file is None) == (self.inline is None):
            raise InvalidInput(f"ModelWriteOperator of {self.model!r}: give either 'file' or 'inline'")
        others = [SourceFile(source=Path(other), role=Role.OTHER) for other in self.others]
        if self.holdout:
            others.append(SourceFile(source=Path(self.holdout), role=Role.HOLDOUT))
        facts: dict[str, Any] = {
            "format": self.format,
            "metrics": {name: _number(self.model, name, value) for name, value in (self.metrics or {}).items()},
            "lineage": Lineage(parameters=self.parameters or {}, dag_run=run_facts(context)),
            "work": work_key(context, self.model),
        }
        if self.file is None:
            version = self.library.publish_inline(self.model, self.inline, others=others, **facts)
        else:
            version = self.library.publish(self.model, [SourceFile(source=Path(self.file)), *others], **facts)
        announce_version(context, self.exia_conn_id, version)
        self.log.info("published %s (%d files, %d bytes)", version.reference, len(version.files), version.size)
        return version.reference


class ModelReadOperator(ExiaOperator):
    """Resolve a reference once for the whole run, and write the verified files where asked.

    :param reference: ``name/3``, ``name@alias``, ``name@latest`` or ``name`` (templated)
    :param folder: where to write the version's files; None: nowhere (templated)
    :returns: the numbered reference that the run uses, as in ``churn/3``
    :raises NotFound: the model, version or alias does not exist
    :raises DamagedFile: a stored file is not what was published
    """

    template_fields: Sequence[str] = ("reference", "folder")

    def __init__(self, *, reference: str, folder: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        self.folder = folder

    def execute(self, context: Context) -> str:
        """Resolve, and fetch where asked."""
        version = self.library.resolve_pinned(self.reference, scope=run_scope(context))
        if self.folder:
            self.library.fetch(version, self.folder)
            self.log.info("wrote the files of %s to %s", version.reference, self.folder)
        return version.reference


class ModelPromoteOperator(ExiaOperator):
    """Let an alias name a version: at once, or as the gate decided.

    A refused decision skips this task, with the numbers as the reason.

    :param reference: the version to promote (templated); may be left out when there is a decision
    :param decision: what the gate's task returned (templated)
    :param alias: the alias to move; with a decision: the one it is about (templated)
    :param reason: kept in the journal (templated)
    :returns: the version's reference
    :raises AliasMoved: the alias was moved after the gate looked at its champion
    :raises VersionRetired: the version is out of use
    """

    announces = True

    template_fields: Sequence[str] = ("reference", "decision", "alias", "reason")

    def __init__(
        self,
        *,
        reference: str | None = None,
        decision: str | None = None,
        alias: str = "champion",
        reason: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        self.decision = decision
        self.alias = alias
        self.reason = reason

    def execute(self, context: Context) -> str:
        """Promote, or skip."""
        decision = self.hook.decisions.get(self.decision) if self.decision else None
        if decision is not None:
            self._check(decision)
        elif not self.reference:
            raise InvalidInput("ModelPromoteOperator: give a reference, a decision of the gate, or both")
        request = request_of(context)
        token = (
            f"episode:{request.monitor}:{request.episode}:{self.alias}"
            if request
            else f"{work_key(context, self.alias)}:promote"
        )
        entry = self.library.promote(
            f"{decision.model}/{decision.challenger}" if decision else str(self.reference),
            alias=self.alias,
            expected=decision.since if decision else None,
            by=task_actor(context),
            reason=self.reason or (decision.describe() if decision else ""),
            token=token,
            decision=decision.id if decision else None,
        )
        return _report(self, context, entry)

    def _check(self, decision: GateDecision) -> None:
        if decision.judgement.verdict == "refused":
            raise AirflowSkipException(decision.describe())
        asked = self.library.resolve(self.reference).number if self.reference else decision.challenger
        if asked != decision.challenger or self.alias != decision.alias:
            raise InvalidInput(
                f"the decision is about {decision.model}/{decision.challenger} as {decision.alias}, not about "
                f"{self.reference} as {self.alias}: pass on the decision of this version's gate"
            )


class ModelRollbackOperator(ExiaOperator):
    """Let an alias name the version it named before.

    :param model: the model's name (templated)
    :param alias: the alias to move (templated)
    :param reason: kept in the journal (templated)
    :returns: the reference of the version that is live again
    :raises NothingToRollBackTo: there is no earlier version in use
    """

    announces = True

    template_fields: Sequence[str] = ("model", "alias", "reason")

    def __init__(self, *, model: str, alias: str = "champion", reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.alias = alias
        self.reason = reason

    def execute(self, context: Context) -> str:
        """Roll back."""
        entry = self.library.rollback(
            self.model,
            alias=self.alias,
            by=task_actor(context),
            reason=self.reason,
            token=f"{work_key(context, self.alias)}:rollback",
        )
        return _report(self, context, entry)


def _report(operator: ExiaOperator, context: Context, entry: JournalEntry) -> str:
    version = operator.library.resolve(f"{entry.model}/{entry.version}")
    announce_move(context, operator.exia_conn_id, entry, version)
    operator.log.info(
        "%s of %s: %s is now %s (entry %d)", entry.action, entry.model, entry.alias, version.reference, entry.sequence
    )
    return version.reference


def _number(model: str, name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"metric {name!r} of {model!r} is {value!r}: expected a number") from error
