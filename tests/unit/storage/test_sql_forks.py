"""A fork waits for the connections of others, and for nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_exia.storage.sql_forks import FilesInUse

NO_SECONDS, FOR_EVER = 0.01, 60.0


@pytest.fixture
def files() -> FilesInUse:
    """Connections of this test alone."""
    return FilesInUse()


@contextmanager
def used_elsewhere(files: FilesInUse, *, again: threading.Event | None = None) -> Iterator[threading.Event]:
    """Another thread uses a connection until the event is set, and then, if asked, one more within the first."""
    in_use, done = threading.Event(), threading.Event()

    def use() -> None:
        with files.one():
            in_use.set()
            done.wait()
            if again is not None:
                with files.one():
                    again.set()

    user = threading.Thread(target=use)
    user.start()
    in_use.wait()
    yield done
    done.set()
    user.join()


def test_a_fork_goes_on_when_a_connection_is_used_for_longer_than_the_time_out(files: FilesInUse) -> None:
    with used_elsewhere(files) as done:
        files.before_fork(seconds=NO_SECONDS)
        files.after_fork()

        assert not done.is_set()


def test_a_thread_that_uses_a_connection_may_use_another_while_a_fork_waits_for_it(files: FilesInUse) -> None:
    with used_elsewhere(files, again=(again := threading.Event())) as done:
        done.set()
        files.before_fork(seconds=FOR_EVER)
        files.after_fork()

    assert again.is_set()


def test_a_fork_does_not_wait_for_its_own_thread(files: FilesInUse) -> None:
    begun = time.monotonic()

    with files.one():
        files.before_fork(seconds=FOR_EVER)
        with files.one():
            files.after_fork()

    assert time.monotonic() - begun < FOR_EVER


def test_nobody_begins_to_use_a_connection_before_the_fork_is_over(files: FilesInUse) -> None:
    order = []

    def use() -> None:
        with files.one():
            order.append("used")

    files.before_fork(seconds=FOR_EVER)
    user = threading.Thread(target=use)
    user.start()
    order.append("forked")
    files.after_fork()
    user.join()

    assert order == ["forked", "used"]


def test_two_forks_come_one_after_the_other(files: FilesInUse) -> None:
    order = []

    def fork() -> None:
        files.before_fork(seconds=FOR_EVER)
        order.append("second")
        files.after_fork()

    files.before_fork(seconds=FOR_EVER)
    other = threading.Thread(target=fork)
    other.start()
    order.append("first")
    files.after_fork()
    other.join()

    assert order == ["first", "second"]


def test_in_a_child_nobody_uses_a_connection(files: FilesInUse) -> None:
    with used_elsewhere(files):
        files.before_fork(seconds=NO_SECONDS)
        files.after_fork_in_child()
        begun = time.monotonic()

        files.before_fork(seconds=FOR_EVER)
        files.after_fork()

    assert time.monotonic() - begun < FOR_EVER
