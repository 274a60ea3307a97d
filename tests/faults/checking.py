"""What must hold over the whole of both stores, whatever happened to those who used them.

The rules are those that the simulation checks after every step (the protocol's I1 to I6); they are written apart from
the library. Here they are put to real stores, with what was acknowledged and what was seen before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_exia.model_library.records import MODEL_JOURNAL, VERSIONS, JournalEntry, Version
from airflow_provider_exia.storage.documents import Query
from tests.faults.works import MODEL

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.storage.documents import Document
    from tests.faults.places import Place
    from tests.simulation.invariants import View

# The simulation's rules import Airflow for their monitors, and every process of a race would wait for that: so they are
# imported by whoever checks, and not by whoever imports this module.


class Checker:
    """Looks at a place again and again; what it once saw, or was told, must not be gone.

    :param place: where
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._before: View | None = None
        self._acknowledged: dict[int, str] = {}
        self._entries: dict[int, str] = {}

    def acknowledge(self, *done: Version | JournalEntry) -> None:
        """Remember what an operation returned, to be found at every later check."""
        for what in done:
            if isinstance(what, Version):
                self._acknowledged[what.number] = what.publication
            else:
                self._entries[what.sequence] = what.token

    def check(self) -> View:
        """Look at everything.

        :returns: what is there
        """
        from tests.simulation.invariants import View, content_violations, step_violations

        nothing = View(versions=(), journal=(), blobs={})
        before = self._before or nothing
        with self._place.open() as library:
            after = view_of(library)
        wrong = [
            *map(str, content_violations(after, nothing)),
            *map(str, step_violations(before, after)),
            *_duplicates(after.versions),
            *_lost(after, self._acknowledged, self._entries),
            *_deleted_too_early(before.blobs, after),
        ]
        assert not wrong, "\n".join(wrong)
        self._before = after
        return after


def check(place: Place, *done: Version | JournalEntry) -> View:
    """Look at everything once.

    :param done: what operations returned
    :returns: what is there
    """
    checker = Checker(place)
    checker.acknowledge(*done)
    return checker.check()


def view_of(library: ModelLibrary) -> View:
    """Read everything; the journal first, so that what it names is not older than it."""
    from tests.simulation.invariants import View

    documents, blobs = library.resources.documents, library.resources.blobs
    journal = documents.find(MODEL_JOURNAL, Query(where={"model": MODEL}, order="sequence"))
    versions = documents.find(VERSIONS, Query(where={"model": MODEL}, order="number"))
    contents = {}
    for info in blobs.list(f"{library.resources.prefix}/"):
        with blobs.open(info.key) as stream:
            contents[info.key] = stream.read()
    return View(versions=versions, journal=journal, blobs=contents)


def _duplicates(versions: Iterable[Document]) -> Iterator[str]:
    for what in (("number",), ("publication",), ("work", "digest")):
        counted = Counter(tuple(version[name] for name in what) for version in versions)
        yield from (f"{found} documents have the {what} {value}" for value, found in counted.items() if found > 1)


def _lost(view: View, acknowledged: dict[int, str], entries: dict[int, str]) -> Iterator[str]:
    for number, publication in acknowledged.items():
        version = view.published.get(number)
        if version is None or version["publication"] != publication:
            yield f"version {number} was acknowledged, and is lost"
    tokens = {entry["sequence"]: entry["token"] for entry in view.journal}
    for sequence, token in entries.items():
        if tokens.get(sequence) != token:
            yield f"entry {sequence} was acknowledged, and is lost"


def _deleted_too_early(before: Iterable[str], after: View) -> Iterator[str]:
    """Nothing but a collector deletes, and it only what its document has given up before."""
    versions = {version["publication"]: version for version in after.versions}
    for key in set(before) - set(after.blobs):
        publication, number = key.split("/")[2:4]
        version = versions[publication]
        given_up = version["state"] in ("ABANDONED", "COLLECTED") and version["number"] == int(number)
        if not given_up and int(number) >= version["number"]:
            yield f"{key} was deleted, and version {version['number']} is {version['state']}"
