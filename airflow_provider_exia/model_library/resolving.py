"""From a reference to one version: by number, by alias, the newest, at a moment, or as pinned by a DAG run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from airflow_provider_exia.model_library.aliases import check_ready
from airflow_provider_exia.model_library.exceptions import NotFound, UnknownAlias, UnknownModel, UnknownVersion
from airflow_provider_exia.model_library.journal import entry_at, newest_entry, newest_entry_about
from airflow_provider_exia.model_library.names import (
    LATEST,
    Reference,
    check_alias,
    check_key_text,
    check_model_name,
    parse_reference,
)
from airflow_provider_exia.model_library.records import (
    PINS,
    VERSIONS,
    Action,
    JournalEntry,
    Pin,
    State,
    Version,
)
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.codec import from_document, to_document
from airflow_provider_exia.storage.documents import Query

_PAGE = 20


def resolve(resources: Resources, reference: Reference) -> Version:
    """Return the READY version that a reference names now.

    :raises NotFound: the model, version or alias does not exist
    :raises VersionNotReady: it is not published yet
    :raises VersionCollected: its files were removed
    """
    try:
        if reference.number is not None:
            return check_ready(resources, reference.model, reference.number)
        if reference.alias == LATEST:
            return _newest_in_use(resources, reference.model)
        return _live(resources, reference.model, str(reference.alias), newest_entry(resources, reference.model))
    except NotFound:
        require_model(resources, reference.model)
        raise


def resolve_at(resources: Resources, model: str, alias: str, moment: datetime) -> Version:
    """Return the version that an alias named at a moment.

    :raises UnknownAlias: it named none then
    """
    check_model_name(model)
    check_alias(alias)
    require_model(resources, model)
    return _live(resources, model, alias, entry_at(resources, model, moment), at=moment)


def resolve_pinned(resources: Resources, scope: str, text: str) -> Version:
    """Return the version that a run uses for a reference: the one it meant at the run's first look.

    A pin to a version that was collected meanwhile is made anew.

    :param scope: names the run
    :param text: the reference as written in the DAG
    """
    reference = parse_reference(text)
    check_key_text(scope, what="scope")
    for attempt in Attempts(resources, operation=f"pin {reference} for {scope}", token=scope):
        with attempt:
            document = resources.documents.get(PINS, {"scope": scope, "reference": str(reference)})
            pin = None if document is None else from_document(Pin, document)
            if pin is not None and _is_ready(resources, reference.model, pin.version):
                return check_ready(resources, reference.model, pin.version)
            version = resolve(resources, reference)
            if pin is None:
                new = Pin(scope=scope, reference=str(reference), version=version.number)
                resources.documents.insert(PINS, to_document(new))
            else:
                moved = replace(pin, version=version.number)
                resources.documents.swap(PINS, to_document(moved), revision=pin.revision)
            return version
    raise AssertionError("attempts end by an error")


def require_model(resources: Resources, model: str) -> None:
    """Refuse a model under whose name nothing was ever published.

    :raises UnknownModel: so it is
    """
    if not resources.documents.find(VERSIONS, Query(where={"model": model}, order="number", limit=1)):
        raise UnknownModel(model)


def _live(
    resources: Resources, model: str, alias: str, entry: JournalEntry | None, *, at: datetime | None = None
) -> Version:
    aliases = entry.aliases if entry else {}
    if alias not in aliases:
        raise UnknownAlias(model=model, alias=alias, known=tuple(aliases), at=at)
    return check_ready(resources, model, aliases[alias].live)


def _newest_in_use(resources: Resources, model: str) -> Version:
    below: int | None = None
    while True:
        page = resources.documents.find(
            VERSIONS,
            Query(
                where={"model": model, "state": State.READY.value},
                order="number",
                at_most=below,
                descending=True,
                limit=_PAGE,
            ),
        )
        for document in page:
            version = from_document(Version, document)
            about = newest_entry_about(resources, model, version.number)
            if about is None or about.action not in (Action.RETIRE, Action.COLLECT):
                return version
        if len(page) < _PAGE:
            raise UnknownVersion(f"{model}@{LATEST}")
        below = page[-1]["number"] - 1


def _is_ready(resources: Resources, model: str, number: int) -> bool:
    document = resources.documents.get(VERSIONS, {"model": model, "number": number})
    return document is not None and from_document(Version, document).state is State.READY
