"""The guards of publishing, each taken away once; each breaks what the protocol's table says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_exia.model_library import publishing
from airflow_provider_exia.model_library.manifest import blob_key, publication_of
from airflow_provider_exia.model_library.records import VERSIONS, State, Version
from airflow_provider_exia.storage.documents import Query, WriteUnknown
from tests.simulation.mutations import Mutation, always

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources


def _publication_of_work(work: str, _digest: str) -> str:
    return publication_of(work, "")


def _largest_and_one(resources: Resources, wanted: Version) -> int:
    newest = Query(where={"model": wanted.model}, order="number", descending=True, limit=1)
    found = resources.documents.find(VERSIONS, newest)
    return found[0]["number"] + 1 if found else 1


_finish = publishing._finish


def _finish_without_reading_back(resources: Resources, pending: Version) -> Version:
    try:
        return _finish(resources, pending)
    except WriteUnknown:
        return replace(pending, state=State.READY)


def _finish_or_clean_up(resources: Resources, pending: Version) -> Version:
    try:
        return _finish(resources, pending)
    except WriteUnknown:
        for file in pending.files:
            resources.blobs.delete(blob_key(resources.prefix, pending, file.path))
        raise


PUBLISHING_MUTATIONS = (
    Mutation(
        guard="unique (work, digest)",
        breaks="I3",
        scenario="publish x publish: task and zombie",
        unguarded=frozenset({("model", "publication")}),
    ),
    Mutation(  # that a document found is of the same files is a second belt for this one
        guard="digest part of the unique key",
        breaks="I1",
        scenario="publish x publish: same work, other bytes",
        module=publishing,
        name="publication_of",
        by=_publication_of_work,
        without="manifest_of",
    ),
    Mutation(  # the unique (model, number) is a second belt for this one, so it goes with it
        guard="number from the counter, not max+1",
        breaks="I3",
        scenario="publish x publish: other work, same bytes",
        module=publishing,
        name="_next_number",
        by=_largest_and_one,
        unguarded=frozenset({("model", "number")}),
    ),
    Mutation(
        guard="swap compares the revision",
        breaks="I4",
        scenario="publish x publish: both revive what was abandoned",
        compares_revisions=False,
    ),
    Mutation(
        guard="verify before READY",
        breaks="I1",
        scenario="publish x publish: a put is not kept",
        module=publishing,
        name="_is_stored",
        by=always,
    ),
    Mutation(
        guard="read back after UNKNOWN",
        breaks="I4",
        scenario="publish x load: by number",
        module=publishing,
        name="_finish",
        by=_finish_without_reading_back,
    ),
    Mutation(
        guard="error handlers delete nothing",
        breaks="I1",
        scenario="publish x load: by number",
        module=publishing,
        name="_finish",
        by=_finish_or_clean_up,
    ),
)
