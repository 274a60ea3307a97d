"""Train and publish in one task, so that nothing passes between workers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.assets import announce_version
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import Function, code_version_of, load_function
from airflow_provider_exia.operators.acceptance import accept_episode
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.task_identity import event_time, run_facts, work_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_exia.model_library.records import Lineage, Version
    from airflow_provider_exia.model_library.training import TrainedModel, TrainingContext
    from airflow_provider_exia.monitoring.entries import MonitorEntry


class ModelTrainOperator(ExiaOperator):
    """Call a training function and publish what it returns.

    In a run that a monitor asked for, its first act is to accept the episode, or to skip the run when another run has
    it or it is over. A retry of this task finds the version that an earlier try published and trains nothing; a cleared
    task trains anew.

    :param model: the model's name (templated)
    :param train: ``train(context: TrainingContext) -> TrainedModel``, or ``"package.module:function"``
    :param format: in which to keep the returned model: ``skops``, ``safetensors``, ``onnx``, ``json``, ``raw``, ...
    :param data: path or URI of the training data (templated)
    :param extract: ``extract(as_of) -> path``, or ``"package.module:function"``: called for the training data where
        ``data`` is not given
    :param as_of: event time up to which data may be used, as ISO text (templated); default: the end of the run's data
        interval, else when it was meant to run
    :param parameters: settings for the training function (templated)
    :param snapshot: what a :class:`~airflow_provider_exia.operators.parameters.ParameterSnapshotOperator` handed on
        (templated); its values are settings too, ``parameters`` go before them, and the lineage keeps it
    :param alias: whose present version the training function is told as champion
    :param code_version: of the training code, as its authors count (templated); default: the SHA-256 of its file
    :returns: the version's reference, as in ``churn/3``
    :raises InvalidInput: what the function returned cannot be published
    """

    announces = True
    template_fields: Sequence[str] = ("model", "data", "as_of", "parameters", "snapshot", "code_version")

    def __init__(
        self,
        *,
        model: str,
        format: str,
        train: Function | None = None,
        data: str | None = None,
        extract: Function | None = None,
        as_of: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        snapshot: Mapping[str, Any] | None = None,
        alias: str = "champion",
        code_version: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.format = format
        self.train = train
        self.data = data
        self.extract = extract
        self.as_of = as_of
        self.parameters = parameters
        self.snapshot = snapshot
        self.alias = alias
        self.code_version = code_version

    def execute(self, context: Context) -> str:
        """Find the version of an earlier try, or train and publish."""
        from airflow_provider_exia.model_library.formats import format_named

        episode = accept_episode(self.hook, self.model, context)
        work = work_key(context, self.model)
        earlier = self.library.find_ready(self.model, work)
        if earlier is not None:
            announce_version(context, self.exia_conn_id, earlier)
            self.log.info("an earlier try published %s: nothing to train", earlier.reference)
            return earlier.reference
        format_named(self.format, allow_pickle=self.allow_pickle)  # before the hours that training may take
        self.library.check_publishable(self.model, format=self.format)
        function = self._function()
        training = self._training_context(context, episode)
        lineage = self._lineage(context, training, function)
        version = self._publish(function(training), training, work, lineage)
        announce_version(context, self.exia_conn_id, version)
        self.log.info("published %s %s", version.reference, dict(version.metrics))
        return version.reference

    def _function(self) -> Callable[[TrainingContext], Any]:
        if self.train is None:
            raise InvalidInput(f"{type(self).__name__} of {self.model!r}: 'train' is missing; give a function")
        return load_function(self.train, purpose="train")

    def _training_context(self, context: Context, episode: MonitorEntry | None) -> TrainingContext:
        from airflow_provider_exia.hooks.consul import reveal
        from airflow_provider_exia.model_library.training import TrainingContext

        champion = self.library.alias(self.model, self.alias)
        if episode is not None:  # the trigger carries no date: the episode's event time is the run's
            as_of = episode.event_time
        else:
            as_of = _moment(self.as_of) if self.as_of else event_time(context)
        data = self.data
        if data is None and self.extract is not None:
            data = str(load_function(self.extract, purpose="extract")(as_of))
        return TrainingContext(
            model=self.model,
            as_of=as_of,
            data=data,
            parameters=reveal(self._settings()),
            episode=episode.episode if episode else None,
            champion=f"{self.model}/{champion.live}" if champion.stack else None,
        )

    def _settings(self) -> dict[str, Any]:
        """Return the settings with secrets as references, as the lineage keeps them."""
        if self.snapshot is None:
            return dict(self.parameters or {})
        from airflow_provider_exia.parameters.snapshot import Snapshot

        if not isinstance(self.snapshot, Mapping):
            raise InvalidInput(
                f"{type(self).__name__} of {self.model!r}: snapshot is {self.snapshot!r}, expected what a "
                "ParameterSnapshotOperator handed on"
            )
        return {**Snapshot.from_document(self.snapshot).values, **(self.parameters or {})}

    def _publish(self, trained: object, training: TrainingContext, work: str, lineage: Lineage) -> Version:
        from airflow_provider_exia.model_library.formats import format_named
        from airflow_provider_exia.model_library.holdout import holdout_file
        from airflow_provider_exia.model_library.publishing import SourceFile
        from airflow_provider_exia.model_library.records import Role
        from airflow_provider_exia.model_library.training import TrainedModel

        if not isinstance(trained, TrainedModel):
            raise InvalidInput(
                f"the training function of {self.model!r} returned {type(trained).__name__}: "
                "return TrainedModel(model, metrics=..., holdout=...)"
            )
        chosen = format_named(self.format, allow_pickle=self.allow_pickle)
        with tempfile.TemporaryDirectory(prefix="exia-") as folder:
            model_file = Path(folder) / f"model{chosen.suffix}"
            chosen.save(trained.model, model_file)
            files = [SourceFile(source=model_file)]
            if trained.holdout is not None:
                source = holdout_file(trained.holdout, Path(folder), data=training.data)
                files.append(SourceFile(source=source, path=f"holdout{source.suffix}", role=Role.HOLDOUT))
            return self.library.publish(
                self.model,
                files,
                format=self.format,
                metrics=trained.metrics,
                lineage=_told_by_training(lineage, trained),
                input_schema=trained.input_schema,
                work=work,
            )

    def _lineage(self, context: Context, training: TrainingContext, function: Callable[..., Any]) -> Lineage:
        """Return what is known before the training; the data is what it is then."""
        from airflow_provider_exia.model_library.environment import environment_of
        from airflow_provider_exia.model_library.holdout import digest_of_data
        from airflow_provider_exia.model_library.records import Lineage

        return Lineage(
            as_of=training.as_of,
            data_digest=digest_of_data(training.data),
            parameters=self._settings(),
            dag_run=run_facts(context),
            code_version=self.code_version or code_version_of(function),
            environment=environment_of(self.format),
            champion=training.champion,
            snapshot=self.snapshot,
        )


def _told_by_training(lineage: Lineage, trained: TrainedModel) -> Lineage:
    blocks = trained.training_blocks
    return replace(
        lineage,
        parameters=lineage.parameters if trained.parameters is None else trained.parameters,
        training_blocks=None if blocks is None else tuple(sorted({str(block) for block in blocks})),
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"as_of {text!r}: expected an ISO moment, as in '2026-03-01T00:00:00+00:00'") from error
    if moment.tzinfo is None:
        raise InvalidInput(f"as_of {text!r} has no time zone: write one, as in '{text}+00:00'")
    return moment
