"""Writes of several threads in one commit: each returns after it, and fails alone where it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from airflow_provider_exia.storage.documents import StoreUnavailable, WriteConflict, WriteUnknown
from airflow_provider_exia.storage.sql_commits import SharedCommits, Write

SECONDS = 20
Statement = Callable[[], object]


class Disk:
    """Runs transactions; the first one waits at its commit, so that the others have to gather behind it."""

    def __init__(self) -> None:
        self.committed: list[int] = []
        self.reached, self.released = threading.Event(), threading.Event()
        self.failure: BaseException | None = None

    def transact(self, writes: Sequence[Write]) -> None:
        for write in writes:
            write.run(None)  # type: ignore[arg-type]  # these statements need no connection
        if not self.committed:
            self.reached.set()
            assert self.released.wait(SECONDS)
        if self.failure is not None and self.committed:
            raise self.failure
        self.committed.append(len(writes))


@pytest.fixture
def disk() -> Disk:
    return Disk()


def behind_one_another(disk: Disk, *statements: Statement) -> list[Future[Any]]:
    """Let a first write reach its commit, bring these statements meanwhile, then let it go on."""
    commits = SharedCommits(disk.transact)
    with ThreadPoolExecutor(len(statements) + 1) as threads:
        first = threads.submit(commits.run, Write(lambda _: "first"))
        assert disk.reached.wait(SECONDS)
        others = []
        for number, statement in enumerate(statements, 1):
            others.append(threads.submit(commits.run, Write(lambda _, statement=statement: statement())))
            while len(commits._waiting) < number:  # brought, in this order
                assert not others[-1].done()
        assert not first.done()
        disk.released.set()
        wait([first, *others], SECONDS)
        assert first.result() == "first"
        return others


def raising(error: BaseException) -> Statement:
    def statement() -> object:
        raise error

    return statement


def outcome(future: Future[Any]) -> object:
    error = future.exception()
    return future.result() if error is None else type(error)


def test_what_waits_behind_a_commit_is_committed_together(disk: Disk) -> None:
    others = behind_one_another(disk, lambda: 1, lambda: 2, lambda: 3)

    assert [other.result() for other in others] == [1, 2, 3]
    assert disk.committed == [1, 3]


def test_a_conflict_fails_alone(disk: Disk) -> None:
    conflict = WriteConflict(collection="things", key=("name",))

    others = behind_one_another(disk, lambda: 1, raising(conflict), lambda: 3)

    assert [outcome(other) for other in others] == [1, WriteConflict, 3]
    assert disk.committed == [1, 3]


def test_a_write_that_spoils_the_transaction_fails_alone_and_the_others_are_written_without_it(disk: Disk) -> None:
    others = behind_one_another(disk, lambda: 1, raising(StoreUnavailable("no room")), lambda: 3)

    assert [outcome(other) for other in others] == [1, StoreUnavailable, 3]
    assert disk.committed == [1, 2]


def test_a_commit_without_an_answer_is_unknown_to_all(disk: Disk) -> None:
    disk.failure = WriteUnknown("no word")

    others = behind_one_another(disk, lambda: 1, lambda: 2)

    assert [outcome(other) for other in others] == [WriteUnknown, WriteUnknown]
    assert disk.committed == [1]


def test_whoever_is_interrupted_at_a_commit_leaves_the_others_with_an_unknown_outcome(disk: Disk) -> None:
    disk.failure = KeyboardInterrupt()

    others = behind_one_another(disk, lambda: 1, lambda: 2)

    assert sorted(str(outcome(other)) for other in others) == [str(KeyboardInterrupt), str(WriteUnknown)]


def test_writing_goes_on_after_an_interruption(disk: Disk) -> None:
    disk.released.set()
    commits = SharedCommits(disk.transact)
    with pytest.raises(KeyboardInterrupt):
        commits.run(Write(lambda _: raising(KeyboardInterrupt())()))

    assert commits.run(Write(lambda _: "after")) == "after"
