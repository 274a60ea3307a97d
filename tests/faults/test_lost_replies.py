"""The server does what it was asked and its reply never comes: the operation finds its own work, and does it once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.checking import Checker
from tests.faults.places import SERVERS, Place, place_on, trial
from tests.faults.works import MODEL, source_files
from tests.servers.proxy import Predicate, Proxy

MONGO = {"insert": b"insert", "swap": b"update", "count": b"findAndModify"}
SQL = {"insert": b"INSERT INTO exia_versions", "swap": b"UPDATE exia_versions", "count": b"exia_counters"}
LOST, LOST_IN_SHORT = 50, 5


@contextmanager
def behind_proxies(place: Place) -> Iterator[tuple[Place, Proxy, Proxy]]:
    """Give a place that is reached through a proxy for each of its two stores."""
    with ExitStack() as stack:
        documents, blobs = (
            stack.enter_context(Proxy(urlsplit(url).port or 0)) for url in (place.documents, place.blobs)
        )
        yield (
            replace(place, documents=documents.through(place.documents), blobs=blobs.through(place.blobs)),
            documents,
            blobs,
        )


def is_write(place: Place, kind: str) -> Predicate:
    """Return what recognises the request of a write."""
    if place.documents.startswith("mongodb"):
        return lambda request: MONGO[kind] in request[:64] and b"exia_schema" not in request
    return lambda request: SQL[kind] in request and not re.match(rb".....\s*SELECT", request)


def is_put(request: bytes) -> bool:
    return request.startswith(b"PUT ") and b"/models/" in request[:200]


def trials() -> list[object]:
    """Return pair, what is lost, and how often."""
    kinds = ("put", "insert", "swap", "count")
    counts = ((LOST_IN_SHORT, True), (LOST, False))
    return [trial(pair, kind, times, short=short) for times, short in counts for pair in SERVERS for kind in kinds]


@pytest.mark.parametrize(("pair", "kind", "times"), trials())
def test_a_publication_whose_reply_is_lost_is_found_again(tmp_path: Path, pair: str, kind: str, times: int) -> None:
    direct = place_on(pair, tmp_path)
    checker = Checker(direct)
    with behind_proxies(direct) as (place, documents, blobs), place.open() as library:
        library.publish(MODEL, source_files(tmp_path, "first"), format="json", work="first")  # makes the tables
        proxy, matches = (blobs, is_put) if kind == "put" else (documents, is_write(place, kind))
        for number in range(times):
            work = f"work-{number}"
            proxy.swallow(matches)

            version = library.publish(MODEL, source_files(tmp_path, work), format="json", work=work)

            assert proxy.swallowed == number + 1
            checker.acknowledge(version)
    view = checker.check()
    assert len(view.versions) == len(view.ready) == times + 1


@pytest.mark.parametrize(
    ("pair", "times"),
    [trial(pair, times, short=short) for times, short in ((LOST_IN_SHORT, True), (LOST, False)) for pair in SERVERS],
)
def test_a_move_whose_reply_is_lost_is_made_once(tmp_path: Path, pair: str, times: int) -> None:
    direct = place_on(pair, tmp_path)
    checker = Checker(direct)
    with behind_proxies(direct) as (place, documents, _), place.open() as library:
        for number in (1, 2):
            library.publish(MODEL, source_files(tmp_path, f"work-{number}"), format="json", work=f"work-{number}")
        checker.acknowledge(library.promote(f"{MODEL}/1"))
        matches = entries_of(place)
        for number in range(times):
            documents.swallow(matches)

            entry = library.promote(f"{MODEL}/{2 - number % 2}", expected=number + 1)

            assert documents.swallowed == number + 1
            assert entry.sequence == number + 2
            checker.acknowledge(entry)
    assert len(checker.check().journal) == times + 1


def entries_of(place: Place) -> Callable[[bytes], bool]:
    """Return what recognises the insert of a journal's entry."""
    if place.documents.startswith("mongodb"):
        return lambda request: MONGO["insert"] in request[:64] and b"exia_model_journal" in request
    return lambda request: b"INSERT INTO exia_model_journal" in request
