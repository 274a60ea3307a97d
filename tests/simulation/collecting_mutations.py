"""The guards of garbage collection, each taken away once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_exia.model_library import aliases, collecting
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.records import State, Version
from tests.simulation.mutations import Mutation, do_nothing

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources

_finish_collecting = collecting._finish


def _delete_then_finish(resources: Resources, version: Version) -> None:
    for file in version.files:
        resources.blobs.delete(blob_key(resources.prefix, version, file.path))
    _finish_collecting(resources, version)


def _is_garbage_at_any_number(number: int, version: Version) -> bool:
    return number < version.number or version.state in (State.ABANDONED, State.COLLECTED)


COLLECTING_MUTATIONS = (
    Mutation(
        guard="number in the blob key",
        breaks="I1",
        scenario="publish x collect: given up and revived",
        keys_hold_numbers=False,
    ),
    Mutation(
        guard="swap compares the revision: of what a collector gave up",
        breaks="I1",
        scenario="publish x collect: given up and revived",
        compares_revisions=False,
    ),
    Mutation(
        guard="ABANDONED before delete",
        breaks="I1",
        scenario="publish x collect: given up and revived",
        module=collecting,
        name="_DEAD",
        by=(State.PENDING, State.ABANDONED, State.COLLECTED),
    ),
    Mutation(
        guard="COLLECTED before delete",
        breaks="I1",
        scenario="load x collect: by number",
        module=collecting,
        name="_finish",
        by=_delete_then_finish,
    ),
    Mutation(
        guard="keep blobs above the number read",
        breaks="I1",
        scenario="publish x collect: what was abandoned is revived",
        module=collecting,
        name="_is_garbage",
        by=_is_garbage_at_any_number,
    ),
    Mutation(
        guard='collect needs "newest is retire"',
        breaks="I6",
        scenario="restore x collect",
        module=aliases,
        name="check_collectable",
        by=do_nothing,
    ),
    Mutation(
        guard="collect entry before COLLECTED",
        breaks="I2",
        scenario="restore x collect x promote",
        module=collecting,
        name="_write_entry",
        by=do_nothing,
    ),
)
