"""A monitor's journal: numbers without a hole, legal moves only, and nothing lost in storing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL, MonitorEntry
from airflow_provider_exia.monitoring.journal import IllegalMove, MonitorJournal, monitors_of
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.codec import DamagedDocument, to_document
from airflow_provider_exia.storage.documents import WriteConflict
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.unit.monitoring.world import MODEL, MONITOR, START, WEEK, World, evidence_of, weeks

HEALTHY, SUSPECT, DEGRADED, RETRAINING, *_ = MonitorState


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[SqlDocuments]:
    store = SqlDocuments(f"sqlite:///{tmp_path}/library.db")
    yield store
    store.close()


@pytest.fixture
def world(documents: SqlDocuments) -> World:
    return World(documents)


def begin(world: World) -> MonitorEntry:
    return world.journal.begin(state=HEALTHY, watching=3, event_time=START, by="ann", policy_digest="p")


def test_a_journal_begins_healthy_at_the_move_that_it_watches(world: World) -> None:
    assert world.journal.newest() is None

    first = begin(world)

    assert (first.sequence, first.state, first.watching, first.episode, first.action) == (1, HEALTHY, 3, 0, "begun")
    assert world.journal.newest() == first


def test_a_journal_begins_once(world: World) -> None:
    begin(world)

    with pytest.raises(WriteConflict):
        begin(world)


def test_entries_are_numbered_and_told_newest_first(world: World) -> None:
    first = begin(world)
    second = world.journal.append(first, replace(first, state=SUSPECT), by="ann")
    world.journal.append(second, replace(second, state=HEALTHY), by="bob", policy_digest="q")

    told = [(entry.sequence, entry.state, entry.by, entry.policy_digest) for entry in world.journal.history()]

    assert told == [(3, HEALTHY, "bob", "q"), (2, SUSPECT, "ann", "p"), (1, HEALTHY, "ann", "p")]


def test_of_two_entries_that_follow_the_same_one_the_first_wins(world: World) -> None:
    first = begin(world)
    world.journal.append(first, replace(first, state=SUSPECT), by="ann")

    with pytest.raises(WriteConflict):
        world.journal.append(first, replace(first, state=DEGRADED), by="bob")

    assert world.newest.state is SUSPECT


def test_a_move_that_the_table_does_not_have_is_never_written(world: World) -> None:
    first = begin(world)

    with pytest.raises(IllegalMove, match="monitor 'watch' of 'delay' cannot go from HEALTHY to RETRAINING"):
        world.journal.append(first, replace(first, state=RETRAINING), by="ann")

    assert world.newest == first


def test_wall_time_never_goes_back_and_tells_since_when_a_state_holds(world: World) -> None:
    first = begin(world)
    world.clock.moment = START - timedelta(days=1)  # a clock that was set back
    second = world.journal.append(first, replace(first, state=DEGRADED, episode=1), by="ann")
    world.clock.moment = START + timedelta(days=1)
    heard = world.journal.append(second, replace(second, evidence=evidence_of(0.1)), by="ann")

    assert second.at == START
    assert (heard.at, heard.state_since) == (START + timedelta(days=1), START)


def test_an_entry_comes_back_as_it_was_written(world: World) -> None:
    first = begin(world)
    full = replace(
        first,
        state=DEGRADED,
        episode=7,
        ticket="t",
        evidence=evidence_of(0.1, 0.2, previous=0.3),
        event_time=weeks(1),
        action="degraded",
        reason="so",
        episode_opened_at=weeks(1),
        last_action_at=weeks(1),
        bake_since=weeks(0),
        counts_from=weeks(0),
        heard_at=weeks(1),
        blind_since=weeks(1),
        rejections=2,
        recent_actions=(weeks(0), weeks(1)),
    )

    written = world.journal.append(first, full, by="ann")

    assert world.newest == written
    same = {field.name for field in fields(full)} - {"sequence", "at", "state_since", "by", "revision"}
    assert {name: getattr(written, name) for name in same} == {name: getattr(full, name) for name in same}


def test_what_somebody_else_wrote_is_not_believed(world: World, documents: SqlDocuments) -> None:
    document = to_document(begin(world))
    documents.insert(MONITOR_JOURNAL, {**document, "sequence": 2, "surprise": 1})

    with pytest.raises(DamagedDocument, match="surprise"):
        world.journal.newest()


def test_an_entry_written_before_a_field_was_added_is_read(world: World, documents: SqlDocuments) -> None:
    document = to_document(begin(world))
    old = {name: value for name, value in document.items() if name != "counts_from"}
    documents.insert(MONITOR_JOURNAL, {**old, "sequence": 2})

    assert world.newest.counts_from is None


def test_two_monitors_of_a_model_share_neither_journal_nor_run(world: World, documents: SqlDocuments) -> None:
    other = MonitorJournal(world.stores, MODEL, "other")
    mine = begin(world)
    theirs = other.begin(state=HEALTHY, watching=3, event_time=START + WEEK, by="bob", policy_digest="q")

    assert (world.newest, other.newest()) == (mine, theirs)
    assert {mine.run_id, theirs.run_id} == {f"exia__{MODEL}__{MONITOR}__0", f"exia__{MODEL}__other__0"}
    assert monitors_of(documents, MODEL) == ["other", MONITOR]


def test_this_very_entry_is_told_from_another_one_with_its_number(world: World) -> None:
    first = begin(world)
    mine = world.journal.prepare(first, replace(first, state=SUSPECT), by="ann")
    theirs = world.journal.prepare(first, replace(first, state=SUSPECT), by="bob")

    assert not world.journal.is_written(mine)
    world.journal.write(theirs)

    assert world.journal.is_written(theirs)
    assert not world.journal.is_written(mine)
