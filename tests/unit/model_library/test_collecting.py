"""What a pass of garbage collection gives up, deletes, keeps and says; the races are explored in the simulation."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library import collecting
from airflow_provider_exia.model_library.collecting import CollectReport
from airflow_provider_exia.model_library.exceptions import VersionCollected
from airflow_provider_exia.model_library.records import VERSIONS, State
from airflow_provider_exia.storage.codec import to_document
from tests.simulation.scenarios import library_on
from tests.simulation.scheduler import SimulatedClock
from tests.simulation.stores import Memory, SimulatedBlobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_exia.model_library.library import ModelLibrary

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=4)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def library(clock: SimulatedClock, tmp_path: Path) -> ModelLibrary:
    """Version 1 is retired, version 2 is champion."""
    library = library_on(Memory(), clock=clock)
    for number in (1, 2):
        source = tmp_path / "model.json"
        source.write_text(json.dumps({"number": number}))
        library.publish("m", source, format="json", work=f"work {number}")
    library.promote("m/2")
    library.retire("m/1")
    return library


def keys(library: ModelLibrary) -> list[str]:
    return [info.key for info in library.resources.blobs.list("models/m/")]


def names(report: CollectReport, part: str) -> list[str]:
    return [finding.name for finding in getattr(report, part)]


def test_a_dry_run_says_what_a_pass_would_do_and_changes_nothing(library: ModelLibrary, clock: SimulatedClock) -> None:
    clock.moment += DAYS
    blobs, entries, versions = keys(library), library.history("m"), library.versions("m")

    planned = library.collect("m")

    assert (keys(library), library.history("m"), library.versions("m")) == (blobs, entries, versions)
    done = library.collect("m", delete=True)
    assert planned.dry_run
    assert replace(planned, dry_run=False) == done


def test_a_retired_version_is_collected_after_the_grace_time_and_nothing_else(
    library: ModelLibrary, clock: SimulatedClock
) -> None:
    clock.moment += DAYS

    report = library.collect("m", delete=True)

    assert names(report, "collected") == ["m/1"]
    assert report.bytes == library.versions("m")[1].size
    assert [version.state for version in library.versions("m")] == [State.READY, State.COLLECTED]
    assert len(keys(library)) == 1
    assert library.load("m@champion") == {"number": 2}
    with pytest.raises(VersionCollected):
        library.load("m/1")
    with pytest.raises(VersionCollected):
        library.restore("m/1")


def test_within_the_grace_time_a_retired_version_is_kept_with_the_reason(
    library: ModelLibrary, clock: SimulatedClock
) -> None:
    clock.moment += timedelta(hours=71)

    report = library.collect("m", delete=True)

    assert report.deleted == []
    assert "within the grace time" in next(finding.why for finding in report.kept if finding.name == "m/1")
    assert library.load("m/1") == {"number": 1}


def test_a_publication_that_did_not_go_on_is_given_up_and_can_be_done_again(
    library: ModelLibrary, clock: SimulatedClock, tmp_path: Path
) -> None:
    ready = library.versions("m")[0]
    pending = replace(ready, state=State.PENDING, ready_at=None)
    library.resources.documents.swap(VERSIONS, to_document(pending), revision=ready.revision)
    clock.moment += DAYS

    report = library.collect("m", delete=True)

    assert names(report, "abandoned") == ["m/2"]
    assert keys(library) == []
    again = library.publish("m", tmp_path / "model.json", format="json", work="work 2")
    assert (again.number, again.state) == (3, State.READY)


def test_blobs_that_cannot_be_placed_are_kept_and_named(
    library: ModelLibrary, clock: SimulatedClock, tmp_path: Path
) -> None:
    version = library.versions("m")[0]
    own = f"models/m/{version.publication}"
    strange = [f"models/m/{'0' * 64}/1/a", f"{own}/7/model.json", f"{own}/2/added.json", f"{own}/x/a"]
    for key in strange:
        library.resources.blobs.put(key, tmp_path / "model.json")
    clock.moment += DAYS

    report = library.collect("m", delete=True)

    assert set(strange) <= set(keys(library))
    assert set(strange) <= set(names(report, "kept"))


def test_a_second_pass_finds_nothing_to_do(library: ModelLibrary, clock: SimulatedClock) -> None:
    clock.moment += DAYS
    library.collect("m", delete=True)

    assert library.collect("m", delete=True) == CollectReport(dry_run=False)


def test_a_grace_time_below_a_day_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(InvalidInput, match=r"1 h is too short.*24 h"):
        library.collect("m", grace=timedelta(hours=1))
    with pytest.raises(InvalidInput, match="too short"):
        collecting.abort_uploads(library.resources, grace=timedelta(0))


class SharedBucket(SimulatedBlobs):
    """A bucket with uploads that never ended, of more programs than one."""

    def __init__(self, *uploads: str) -> None:
        super().__init__(Memory())
        self.uploads = list(uploads)

    def unfinished(self, prefix: str, *, before: datetime) -> Sequence[str]:  # all are old
        return [upload for upload in self.uploads if upload.startswith(prefix)]

    def abort(self, upload: str) -> None:
        self.uploads.remove(upload)


@pytest.mark.parametrize("delete", [True, False])
def test_uploads_of_other_programs_in_the_bucket_are_neither_given_up_nor_named(
    library: ModelLibrary, delete: bool
) -> None:
    ours = "team-a/models/m/0/1/model.json?id"
    others = ["backup.tar?a/b", "team-a/models?id", "team-a/models-old/m/0/1/a?id", "models/m/0/1/a?id"]
    bucket = SharedBucket(*others, ours)
    resources = replace(library.resources, blobs=bucket, prefix="team-a/models")

    report = collecting.abort_uploads(resources, delete=delete)

    assert names(report, "aborted") == [ours]
    assert bucket.uploads == (others if delete else [*others, ours])
