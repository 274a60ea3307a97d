"""Any sequence of calls on a library does what a model in plain Python says, on every pair of stores."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.exceptions import (
    NothingToRollBackTo,
    NotRetired,
    UnknownAlias,
    UnknownVersion,
    VersionCollected,
    VersionIsLive,
    VersionNotReady,
    VersionRetired,
)
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.manifest import blob_key
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.verifying import verify
from tests.contract.conftest import BLOBS, DOCUMENTS
from tests.simulation.scheduler import SimulatedClock

if TYPE_CHECKING:
    from airflow_provider_exia.storage.blobs import BlobStore, FileDigest

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(hours=72)
PAIRS = [
    ("sqlite", "directory", (), 60),
    ("mongo", "minio", ("mongo", "minio"), 10),
    ("postgres", "seaweedfs", ("postgres", "seaweedfs"), 10),
]
INLINE = "kept in the document"
Answer: TypeAlias = int | str | type[ExiaError] | None
"""A version's number, the object that was loaded, or the error that refuses."""

contents = st.sampled_from(["first", "second", INLINE])
works = st.sampled_from(["monday", "tuesday"])
picks = st.integers(0, 11)
aliases = st.sampled_from(["champion", "champion", "shadow"])


class Killed(Exception):
    """The process that published died at its first put."""


@dataclass
class Expected:
    """What a version should be.

    :param number: as published
    :param work: of the publication
    :param content: of its file
    :param state: of its document
    :param began: when its publication began
    :param about: what the newest entry about it did, and when
    """

    number: int
    work: str
    content: str
    state: str
    began: datetime
    about: str = ""
    at: datetime = START

    @property
    def out_of_use(self) -> bool:
        return self.about in ("retire", "collect")


@dataclass
class Plain:
    """A library of one model as plain values; each call returns what it should, or the error that should refuse it."""

    now: datetime = START
    versions: list[Expected] = field(default_factory=list)
    stacks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    past: list[tuple[datetime, dict[str, tuple[int, ...]]]] = field(default_factory=list)
    counter: int = 0

    def get(self, number: int) -> Expected | None:
        return next((version for version in self.versions if version.number == number), None)

    def begin(self, work: str, content: str) -> Expected:
        """Return the publication as its document is after the first step."""
        found = next((each for each in self.versions if (each.work, each.content) == (work, content)), None)
        if found is not None and found.state != "ABANDONED":
            return found
        self.counter += 1
        if found is None:
            found = Expected(self.counter, work, content, "PENDING", self.now)
            self.versions.append(found)
        found.number, found.state, found.began = self.counter, "PENDING", self.now
        return found

    def publish(self, work: str, content: str) -> Answer:
        version = self.begin(work, content)
        if version.state == "COLLECTED":
            return VersionCollected
        version.state = "READY"
        return version.number

    def promote(self, number: int, alias: str) -> Answer:
        version = self.get(number)
        if version is not None and version.out_of_use:
            return VersionRetired
        if problem := self._not_ready(version):
            return problem
        others = tuple(each for each in self.stacks.get(alias, ()) if each != number)
        self._note(number, "promote", {**self.stacks, alias: (number, *others)})
        return number

    def rollback(self, alias: str) -> Answer:
        if alias not in self.stacks:
            return UnknownAlias
        _, *older = self.stacks[alias]
        if not older:
            return NothingToRollBackTo
        self._note(older[0], "rollback", {**self.stacks, alias: tuple(older)})
        return older[0]

    def retire(self, number: int) -> Answer:
        version = self.get(number)
        if version is not None and version.out_of_use:
            return VersionRetired
        if any(stack[0] == number for stack in self.stacks.values()):
            return VersionIsLive
        if problem := self._not_ready(version):
            return problem
        without = {alias: tuple(each for each in stack if each != number) for alias, stack in self.stacks.items()}
        self._note(number, "retire", without)
        return number

    def restore(self, number: int) -> Answer:
        version = self.get(number)
        if version is not None and version.about == "collect":
            return VersionCollected
        if version is None or version.about != "retire":
            return NotRetired
        self._note(number, "restore", self.stacks)
        return number

    def collect(self) -> None:
        for version in self.versions:
            if version.state == "PENDING" and version.began <= self.now - GRACE:
                version.state = "ABANDONED"
            if version.about == "retire" and version.at <= self.now - GRACE:
                self._note(version.number, "collect", self.stacks)
                version.state = "COLLECTED"

    def load(self, number: int) -> Answer:
        version = self.get(number)
        return self._not_ready(version) or (version.content if version else None)

    def latest(self) -> Answer:
        usable = [each.number for each in self.versions if each.state == "READY" and not each.out_of_use]
        return max(usable, default=None) or UnknownVersion

    def as_of(self, moment: datetime, alias: str) -> Answer:
        then = [stacks for at, stacks in self.past if at <= moment]
        if not then or alias not in then[-1]:
            return UnknownAlias
        number = then[-1][alias][0]
        return self._not_ready(self.get(number)) or number

    def _not_ready(self, version: Expected | None) -> type[ExiaError] | None:
        if version is None:
            return UnknownVersion
        if version.state == "COLLECTED":
            return VersionCollected
        return None if version.state == "READY" else VersionNotReady

    def _note(self, number: int, action: str, stacks: dict[str, tuple[int, ...]]) -> None:
        version = self.get(number)
        assert version is not None
        version.about, version.at = action, self.now
        self.stacks = dict(stacks)
        self.past.append((self.now, self.stacks))


class Mortal:
    """A blob store whose next put can be the last thing that a process does."""

    def __init__(self, store: BlobStore) -> None:
        self.store, self.kills = store, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def put(self, key: str, source: Path, *, digest: FileDigest | None = None) -> None:
        if self.kills:
            raise Killed
        self.store.put(key, source, digest=digest)


class LibraryMachine(RuleBasedStateMachine):
    """The library and the plain one beside it.

    :param resources: the stores
    :param clock: of the library
    :param model: a name that no other sequence uses
    :param folder: for files to publish
    """

    def __init__(self, resources: Resources, clock: SimulatedClock, model: str, folder: Path) -> None:
        super().__init__()
        self.clock, self.model, self.folder = clock, model, folder
        self.clock.moment = START
        self.blobs = Mortal(resources.blobs)
        self.library = ModelLibrary(
            Resources(documents=resources.documents, blobs=self.blobs, new_token=resources.new_token, clock=clock),
            by="machine",
        )
        self.plain = Plain()
        for content in ("first", INLINE):
            self.publish("monday", content)

    def same(self, call: Callable[[], Answer], expected: Answer) -> None:
        try:
            found: Answer = call()
        except ExiaError as error:
            found = type(error)
        assert found == expected

    @rule(work=works, content=contents)
    def publish(self, work: str, content: str) -> None:
        self.same(lambda: self._publish(work, content), self.plain.publish(work, content))

    @rule(work=works, content=contents.filter(lambda content: content != INLINE))
    def publish_and_die(self, work: str, content: str) -> None:
        state = self.plain.begin(work, content).state
        self.blobs.kills = True
        if state == "PENDING":
            with pytest.raises(Killed):
                self._publish(work, content)
        self.blobs.kills = False

    @rule(pick=picks, alias=aliases)
    def promote(self, pick: int, alias: str) -> None:
        number = self._number(pick)

        def call() -> int:
            return self.library.promote(self._reference(number), alias=alias).version

        self.same(call, self.plain.promote(number, alias))

    @precondition(lambda self: self.plain.stacks)
    @rule(alias=aliases)
    def rollback(self, alias: str) -> None:
        self.same(lambda: self.library.rollback(self.model, alias=alias).version, self.plain.rollback(alias))

    @rule(pick=picks)
    def retire(self, pick: int) -> None:
        number = self._number(pick)
        self.same(lambda: self.library.retire(self._reference(number)).version, self.plain.retire(number))

    @precondition(lambda self: any(version.out_of_use for version in self.plain.versions))
    @rule(pick=picks)
    def restore(self, pick: int) -> None:
        number = self._number(pick)
        self.same(lambda: self.library.restore(self._reference(number)).version, self.plain.restore(number))

    @rule(hours=st.sampled_from([0, 1, 40, 80]), delete=st.booleans())
    def wait_and_collect(self, hours: int, delete: bool) -> None:
        self.clock.moment += timedelta(hours=hours)
        self.plain.now = self.clock.moment
        self.library.collect(self.model, delete=delete)
        if delete:
            self.plain.collect()
            assert {info.key for info in self.blobs.list(f"models/{self.model}/")} == self._keys_of_ready()

    @rule(eighths=st.integers(0, 8), alias=aliases)
    def read(self, eighths: int, alias: str) -> None:
        moment = START + (self.clock.moment - START) * eighths / 8
        for number in range(1, self.plain.counter + 2):
            self._read(number)
        self.same(lambda: self.library.resolve(f"{self.model}@latest").number, self.plain.latest())
        self.same(lambda: self.library.as_of(self.model, moment, alias=alias).number, self.plain.as_of(moment, alias))

    @invariant()
    def aliases_are_as_expected(self) -> None:
        stacks = {alias: state.stack for alias, state in self.library.aliases(self.model).items()}
        assert stacks == self.plain.stacks

    def teardown(self) -> None:
        """Compare every document, and look whether every byte is there."""
        there = [(each.number, each.work, each.state.value) for each in self.library.versions(self.model)]
        expected = [(each.number, each.work, each.state) for each in self.plain.versions]
        assert there == sorted(expected, reverse=True)
        assert [one for one in verify(self.library.resources, self.model) if one.problems] == []

    def _publish(self, work: str, content: str) -> int:
        file = self.folder / "model.json"
        file.write_text(json.dumps(content))
        source = SourceFile(source=file, inline=content == INLINE)
        return self.library.publish(self.model, [source], format="json", work=work).number

    def _read(self, number: int) -> None:
        self.same(lambda: self.library.load(self._reference(number)), self.plain.load(number))

    def _number(self, pick: int) -> int:
        """Return a number that was given, or the next one, which was not."""
        return 1 + pick % (self.plain.counter + 1)

    def _reference(self, number: int) -> str:
        return f"{self.model}/{number}"

    def _keys_of_ready(self) -> set[str]:
        ready = [each for each in self.library.versions(self.model) if each.state == "READY" and not each.inline]
        return {blob_key("models", version, file.path) for version in ready for file in version.files}


@pytest.fixture
def resources(documents: str, blobs: str, tmp_path: Path) -> Iterator[Resources]:
    """Both stores of a pair, with a clock that the test moves."""
    opened: Any = DOCUMENTS[documents].opener(tmp_path)(), BLOBS[blobs].opener(tmp_path)()
    tokens = itertools.count(1)
    yield Resources(
        documents=opened[0],
        blobs=opened[1],
        new_token=lambda: f"token {next(tokens)}",
        clock=SimulatedClock(START),
    )
    for store in opened:
        store.close()


@pytest.mark.parametrize(
    ("documents", "blobs", "examples"),
    [
        pytest.param(*pair, examples, marks=pytest.mark.servers(*servers) if servers else (), id="+".join(pair))
        for *pair, servers, examples in PAIRS
    ],
)
def test_any_sequence_of_calls_does_what_plain_values_do(resources: Resources, examples: int, tmp_path: Path) -> None:
    clock, serial = resources.clock, itertools.count(1)
    assert isinstance(clock, SimulatedClock)
    run_state_machine_as_test(
        lambda: LibraryMachine(resources, clock, f"m{next(serial)}", tmp_path),  # type: ignore[arg-type]  # any factory
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
