"""The model library: the whole life of a model behind one object, for notebooks, hooks and the command line alike."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library import aliases, collecting, journal, listing, loading, publishing, resolving
from airflow_provider_exia.model_library.annotations import Annotations
from airflow_provider_exia.model_library.inline import InlineObjects
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.names import CHAMPION, check_alias, check_model_name, parse_reference
from airflow_provider_exia.model_library.permissions import Permissions
from airflow_provider_exia.model_library.publishing import Publication, SourceFile
from airflow_provider_exia.model_library.records import (
    AliasState,
    JournalEntry,
    Lineage,
    Version,
)
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.signing import Keys
from airflow_provider_exia.task_identity import Actor, login_name, person

HISTORY_WINDOW = 10


class ModelLibrary(InlineObjects):
    """Models, their immutable versions and their movable aliases.

    :param resources: stores, clock and tokens
    :param policy: what may be loaded
    :param by: who acts, where a call does not say so itself; a text is a person
    :param protected: who may move which alias; None: anybody
    :param history_window: how many versions an alias can be rolled back through
    """

    def __init__(
        self,
        resources: Resources,
        *,
        policy: LoadPolicy | None = None,
        by: str | Actor | None = None,
        protected: Permissions | None = None,
        history_window: int = HISTORY_WINDOW,
    ) -> None:
        self.resources = resources
        self.policy = policy or LoadPolicy()
        self.protected = protected or Permissions()
        self._by = by
        self._history_window = history_window

    def publish(
        self,
        model: str,
        source: str | Path | Sequence[SourceFile],
        *,
        format: str,
        metrics: Mapping[str, float] | None = None,
        lineage: Lineage | None = None,
        input_schema: Mapping[str, str] | None = None,
        work: str | None = None,
    ) -> Version:
        """Publish files as one new version; the same work with the same bytes is the version it already is.

        :param source: the model's file, or several files with their roles
        :param format: ``skops``, ``safetensors``, ``onnx``, ``json``, ``raw``, ...
        :param metrics: name to finite number
        :param input_schema: column name to type of what the model expects
        :param work: what makes a repetition the same work; default: the digest of the files
        :returns: the READY version
        :raises InvalidInput: a file, name, path, metric or format cannot be used
        :raises SignatureRefused: keys are configured, and none to sign with or none that has signed what is there
        :raises OutcomeUnknown: the stores stopped answering; publish again with the same work
        """
        files = (SourceFile(source=Path(source)),) if isinstance(source, str | Path) else tuple(source)
        publication = Publication(
            model=model,
            files=files,
            format=format,
            work=work,
            metrics=metrics or {},
            lineage=lineage or Lineage(),
            input_schema=input_schema,
        )
        return publishing.publish(self.resources, publication)

    def check_publishable(self, model: str, *, format: str) -> None:
        """Refuse what ``publish`` would refuse after the work: a name, a format, or a missing signing key.

        :raises InvalidInput: the name or the format cannot be one
        :raises FormatRefused: reading the format runs code, and there is no key to sign with
        :raises SignatureRefused: keys are configured, and none to sign with
        """
        publishing.check_publishable(self.resources, model, format)

    def find_ready(self, model: str, work: str) -> Version | None:
        """Return the newest READY version of a piece of work, or None: what a retry asks before it works again."""
        return publishing.find_ready(self.resources, model, work)

    def resolve(self, reference: str) -> Version:
        """Return the version that ``name/3``, ``name@alias``, ``name@latest`` or ``name`` means now.

        :raises NotFound: the model, version or alias does not exist
        """
        return resolving.resolve(self.resources, parse_reference(reference))

    def resolve_pinned(self, reference: str, *, scope: str) -> Version:
        """Return the version that a run uses for a reference: the one it meant at the run's first look.

        :param scope: names the run
        """
        return resolving.resolve_pinned(self.resources, scope, reference)

    def as_of(self, model: str, moment: datetime, *, alias: str = CHAMPION) -> Version:
        """Return the version that an alias named at a moment.

        :param moment: aware
        :raises UnknownAlias: it named none then
        """
        if moment.tzinfo is None:
            raise InvalidInput(f"{moment.isoformat()} has no time zone: give an aware moment, for example in UTC")
        return resolving.resolve_at(self.resources, model, alias, moment)

    def load(self, reference: str | Version) -> Any:
        """Return the model object, its files verified first.

        :raises DamagedFile: a stored file is not what was published; no loader has seen it
        :raises FormatRefused: its format or a type in it is not allowed here
        :raises SignatureRefused: keys are configured, and none of them has signed it
        """
        return self.load_version(reference)[0]

    def load_version(self, reference: str | Version) -> tuple[Any, Version]:
        """Return the model object and the version that it is."""
        return loading.load(self.resources, lambda: self._version(reference), self.policy)

    def fetch(self, reference: str | Version, folder: str | Path) -> Version:
        """Write a version's verified files below ``folder``.

        :returns: the version; each of its files lies at ``folder / file.path``
        :raises DamagedFile: a stored file is not what was published
        :raises SignatureRefused: keys are configured, and none of them has signed it
        """
        return loading.fetch(self.resources, lambda: self._version(reference), Path(folder), self.policy)

    def promote(
        self,
        reference: str,
        *,
        alias: str = CHAMPION,
        expected: int | None = None,
        by: str | Actor | None = None,
        reason: str = "",
        token: str | None = None,
        decision: str | None = None,
    ) -> JournalEntry:
        """Let an alias name a version.

        :param reference: the version; an alias or ``latest`` in it is resolved first
        :param expected: ``since`` of the alias on which the caller decided (0: not set); None: as it is now
        :param by: who does it; a text is a person, whatever it looks like
        :param token: under which a repetition finds its own move; another move needs another
        :param decision: id of the gate's decision
        :returns: the entry of the move
        :raises AliasMoved: somebody moved it since ``expected``
        :raises AliasProtected: others only may move it
        :raises VersionRetired: the version is out of use
        :raises SignatureRefused: keys are configured, and none of them has signed it: nobody with them could load it
        :raises TokenTaken: the token names another move
        """
        check_alias(alias)
        model, number = self._target(reference, token)
        promotion = aliases.promotion(self.resources, model, alias, number, history_window=self._history_window)
        promotion = self._if_allowed(promotion, model, by)
        signing = self._sign(by, reason, token, decision)
        return journal.append(self.resources, model, promotion, signing, expected=expected)

    def rollback(
        self,
        model: str,
        *,
        alias: str = CHAMPION,
        expected: int | None = None,
        by: str | Actor | None = None,
        reason: str = "",
        token: str | None = None,
    ) -> JournalEntry:
        """Let an alias name the version it named before; twice in a row goes back two versions.

        :returns: the entry; its ``version`` is the one that is live again
        :raises NothingToRollBackTo: there is no earlier version in use
        :raises AliasMoved: somebody moved it since ``expected``
        :raises AliasProtected: others only may move it
        """
        check_alias(alias)
        self._require(model)
        rollback = self._if_allowed(aliases.rollback(self.resources, model, alias), model, by)
        return journal.append(self.resources, model, rollback, self._sign(by, reason, token), expected=expected)

    def retire(
        self, reference: str, *, by: str | Actor | None = None, reason: str = "", token: str | None = None
    ) -> JournalEntry:
        """Take a version out of use: it leaves every stack and cannot be promoted.

        :raises VersionIsLive: an alias names it
        """
        model, number = self._target(reference, token)
        retirement = aliases.retirement(self.resources, model, number)
        return journal.append(self.resources, model, retirement, self._sign(by, reason, token))

    def restore(
        self, reference: str, *, by: str | Actor | None = None, reason: str = "", token: str | None = None
    ) -> JournalEntry:
        """Take back a retirement.

        :raises NotRetired: the version is not retired
        """
        model, number = self._target(reference, token)
        restoration = aliases.restoration(self.resources, model, number)
        return journal.append(self.resources, model, restoration, self._sign(by, reason, token))

    def collect(
        self, model: str, *, grace: timedelta = collecting.GRACE, delete: bool = False, by: str | Actor | None = None
    ) -> collecting.CollectReport:
        """Make one pass of garbage collection over a model.

        :param grace: how long a publication may take, and how long a retired version can be restored
        :param delete: False: change nothing, and report what would be done
        :raises InvalidInput: the grace time is shorter than a day
        """
        self._require(model)
        return collecting.collect(self.resources, model, by=self._actor(by).by, grace=grace, delete=delete)

    def alias(self, model: str, alias: str = CHAMPION) -> AliasState:
        """Return where an alias stands; ``since`` 0 and an empty stack when it was never set."""
        newest = journal.newest_entry(self.resources, check_model_name(model))
        known = newest.aliases if newest else {}
        return known.get(check_alias(alias), AliasState(since=0, stack=()))

    def aliases(self, model: str) -> Mapping[str, AliasState]:
        """Return all aliases of a model."""
        newest = journal.newest_entry(self.resources, check_model_name(model))
        return newest.aliases if newest else {}

    def entry(self, model: str, sequence: int) -> JournalEntry | None:
        """Return one entry of the model's journal, or None."""
        return journal.entry_with_sequence(self.resources, check_model_name(model), sequence)

    def history(self, model: str, *, alias: str | None = None) -> list[JournalEntry]:
        """Return the model's journal, newest first; with ``alias`` only that alias's moves."""
        self._require(model)
        entries = journal.entries(self.resources, model)
        return [entry for entry in entries if alias is None or entry.alias == alias]

    def models(self, *, limit: int | None = None, after: str | None = None) -> list[str]:
        """Return the names of the models, in order.

        :param limit: how many at the most; None for all
        :param after: the last name of the page before
        :raises InvalidInput: the limit is below 1, or ``after`` is no model name
        """
        return listing.models(self.resources, limit=limit, after=None if after is None else check_model_name(after))

    def versions(self, model: str, *, limit: int | None = None, before: int | None = None) -> list[Version]:
        """Return the versions of a model, newest first, whatever their state.

        :param limit: how many at the most; None for all
        :param before: the last number of the page before
        :raises InvalidInput: the limit is below 1
        :raises NotFound: there is no such model
        """
        self._require(model)
        return listing.versions(self.resources, model, limit=limit, before=before)

    def retired(self, model: str) -> set[int]:
        """Return the numbers of the versions that are out of use."""
        return listing.retired(self.resources, check_model_name(model))

    def select(self, model: str, *, best: str, direction: Literal["lower", "higher"] = "lower") -> Version:
        """Return the version in use with the best recorded metric; of equals the newest.

        :param best: the metric's name
        :param direction: which side is better
        :raises InvalidInput: there is no such direction
        :raises NotFound: no version in use has the metric
        """
        self._require(model)
        return listing.select(self.resources, model, best=best, direction=direction)

    @property
    def annotations(self) -> Annotations:
        """The tags and notes of models and versions."""
        return Annotations(self.resources)

    def close(self) -> None:
        """Release connections."""
        self.resources.documents.close()
        self.resources.blobs.close()

    def __enter__(self) -> ModelLibrary:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _version(self, reference: str | Version) -> Version:
        if isinstance(reference, Version):
            return self.resolve(reference.reference)
        return self.resolve(reference)

    def _target(self, reference: str, token: str | None) -> tuple[str, int]:
        """Return model and number of the version to act on; a number is not looked up, the action's rules do that."""
        parsed = parse_reference(reference)
        if parsed.number is not None:
            self._require(parsed.model)
            return parsed.model, parsed.number
        # A repetition is about the version of the first try, whatever an alias means by now.
        own = journal.entry_with_token(self.resources, parsed.model, token) if token else None
        return parsed.model, own.version if own else resolving.resolve(self.resources, parsed).number

    def _if_allowed(self, operation: journal.Operation, model: str, by: str | Actor | None) -> journal.Operation:
        """Let an operation move its alias only if the actor may."""

        def decide_if_allowed(newest: JournalEntry | None, expected: int | None) -> journal.Change:
            # Here, behind the look for an own entry: what was done while it was allowed is found again, not refused.
            if operation.alias is not None:
                self.protected.check(model, operation.alias, self._actor(by))
            return operation.decide(newest, expected)

        return replace(operation, decide=decide_if_allowed)

    def _actor(self, by: str | Actor | None) -> Actor:
        actor = by or self._by or login_name()
        return actor if isinstance(actor, Actor) else person(actor)

    def _require(self, model: str) -> None:
        resolving.require_model(self.resources, check_model_name(model))

    def _sign(
        self, by: str | Actor | None, reason: str, token: str | None, decision: str | None = None
    ) -> journal.Signing:
        return journal.Signing(
            by=self._actor(by).by,
            token=token or self.resources.new_token(),
            reason=reason,
            decision=decision,
        )


def open_library(
    documents: str,
    *,
    blobs: str,
    policy: LoadPolicy | None = None,
    keys: Keys | None = None,
    by: str | Actor | None = None,
) -> ModelLibrary:
    """Open a model library outside Airflow, as in a notebook.

    :param documents: URL of the document store, as in ``sqlite:////var/lib/exia/library.db``
    :param blobs: URL of the blob store, as in ``file:///var/lib/exia/blobs``
    :param policy: what may be loaded
    :param keys: what versions are signed with, and whose signatures are accepted; see
        :func:`~airflow_provider_exia.model_library.signing.read_keys`
    :param by: who acts; default: the login name
    :raises InvalidInput: there is no store of that kind
    """
    from airflow_provider_exia.storage.opening import open_blobs, open_documents

    resources = Resources(
        documents=open_documents(documents),
        blobs=open_blobs(blobs),
        new_token=lambda: uuid.uuid4().hex,
        keys=keys or Keys(),
    )
    return ModelLibrary(resources, policy=policy, by=by)
