"""Names, keys and paths that somebody made up to get elsewhere: nothing that reaches a store leaves the prefix.

Each text or value is tried at every place where a user, a DAG or a stored document names something. Whatever comes of
it, an error is ours and one line, every blob key lies below the library's prefix, and what a document is looked for by
is a plain text or number: a mapping there would be an operator to MongoDB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.storage.codec import to_document
from airflow_provider_exia.storage.documents import Query
from tests.faults.places import EMBEDDED, on, place_on

PAIRS = (EMBEDDED, "mongo+minio")
MODEL = "delay"
CLIMBS = tuple(f"{climb}{sep}{end}" for climb in ("..", "../..", "a/../..") for sep in "/\\" for end in ("etc", "x/y"))
TEXTS = (
    *CLIMBS,
    *("", " ", ".", "..", "...", "/", "//", "/etc/passwd", "\\\\host\\share", "C:\\windows", "c:/x", "~/x", "~root"),
    *("%2e%2e", "%2e%2e%2f%2e%2e", "%2E%2E/x", "..%2fx", "..%5cx", "%00", "%252e%252e%252fx", "a%2fb", "a?b=c", "a#b"),
    *("\0", "a\0b", "a\nb", "a\r\nHost: x", "a\tb", "\x1b[2Ja", "a ", " a", "a.", ".a", "-a", "--help", "a;rm", "$(x)"),
    *("\u2024\u2024/x", "\uff0e\uff0e\uff0fx", "\u202etxt.a", "\u200b", "\ud800", "\u0430", "a\u0301", "\U0001f600"),
    *("$where", "$ne", "a.$b", "{'$gt': ''}", "' OR 1=1 --", '"; DROP TABLE exia_versions; --', "{{ 1 }}", "%s"),
    *("a" * 65, "a" * 5_000, "a/" * 600 + "a", "con", "nul.txt", ".incoming", ".incoming/x", "@champion", "a@b@c"),
    *(
        "delay/0",
        "delay/-1",
        "delay/1e3",
        "delay/99999999999999999999",
        "delay/1/2",
        "delay@",
        "delay/",
        "delay/\u0661",
    ),
)
VALUES: tuple[Any, ...] = (
    {"$ne": None},
    {"$gt": ""},
    {"$where": "sleep(1)"},
    {},
    ["delay"],
    ("delay", "x"),
    b"delay",
    1.5,
    True,
    float("nan"),
    object(),
    Path("../x"),
)


class Noting:
    """A store that writes down what it is asked for."""

    def __init__(self, store: Any, asked: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._store, self._asked = store, asked

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **options: Any) -> Any:
            self._asked.append((name, arguments))
            return attribute(*arguments, **options)

        return call


class Watched:
    """A library with one published version, between whose parts and stores somebody listens."""

    def __init__(self, pair: str, folder: Path) -> None:
        place = place_on(pair, folder)
        self.documents: list[tuple[str, tuple[Any, ...]]] = []
        self.blobs: list[tuple[str, tuple[Any, ...]]] = []
        self.stores = place.open_documents(), place.open_blobs()
        self.resources = Resources(
            documents=Noting(self.stores[0], self.documents),
            blobs=Noting(self.stores[1], self.blobs),
            new_token=iter(map(str, range(100_000))).__next__,
        )
        self.library = ModelLibrary(self.resources, by="ann")
        self.folder = folder
        self.source = folder / "model.json"
        self.source.write_text('{"serves": "the people"}')
        self.version = self.library.publish(MODEL, self.source, format="json", work="first")
        self.library.promote(self.version.reference)

    def plant(self, path: Any) -> str:
        """Put a version into the document store whose list of files names ``path``, and return its reference."""
        number = self.stores[0].next_number(f"versions:{MODEL}")
        file = FileRecord(path="model.json", role="model", sha256="0" * 64, size=1)  # type: ignore[arg-type] # of a document
        planted = to_document(replace(self.version, number=number, publication=f"{number:064x}", files=(file,)))
        document = {**planted, "files": [{**planted["files"][0], "path": path}]}
        self.stores[0].insert(VERSIONS, document)
        return f"{MODEL}/{number}"


def _publish_path(watched: Watched, name: Any) -> object:
    return watched.library.publish(MODEL, [SourceFile(source=watched.source, path=name)], format="json")


def _load_planted(watched: Watched, name: Any) -> object:
    try:
        reference = watched.plant(name)
    except (TypeError, ValueError):  # no document store could hold it, so no attacker could put it there
        return None
    return watched.library.fetch(reference, watched.folder / "fetched")


PLACES: Mapping[str, Callable[[Watched, Any], object]] = {
    "model": lambda watched, name: watched.library.publish(name, watched.source, format="json"),
    "alias": lambda watched, name: watched.library.promote(f"{MODEL}/1", alias=name),
    "reference": lambda watched, name: watched.library.load(name),
    "model that is listed": lambda watched, name: (watched.library.versions(name), watched.library.models(after=name)),
    "work": lambda watched, name: watched.library.publish(MODEL, watched.source, format="json", work=name),
    "work that is sought": lambda watched, name: watched.library.find_ready(MODEL, name),
    "scope of a pin": lambda watched, name: watched.library.resolve_pinned(MODEL, scope=name),
    "token": lambda watched, name: watched.library.promote(f"{MODEL}/1", token=name),
    "format": lambda watched, name: watched.library.publish(MODEL, watched.source, format=name),
    "path in a version": _publish_path,
    "path in a stored document": _load_planted,
    "tag": lambda watched, name: watched.library.annotations.tag(MODEL, {name: "x"}),
}
UNHASHABLE = (dict, list)
"""What a mapping of tags cannot hold as a name."""


def test_there_are_as_many_attacks_as_the_page_on_security_says() -> None:
    assert len(set(TEXTS)) == len(TEXTS)
    without = sum(isinstance(name, UNHASHABLE) for name in VALUES)
    assert (len(TEXTS) + len(VALUES)) * len(PLACES) - without == 1_123


@pytest.mark.parametrize("pair", on(*PAIRS))
@pytest.mark.parametrize("place", PLACES)
def test_no_name_leads_out_of_the_prefix(pair: str, place: str, tmp_path: Path) -> None:
    watched = Watched(pair, tmp_path)

    refusals = []
    for name in (*TEXTS, *VALUES):
        if place == "tag" and isinstance(name, UNHASHABLE):
            continue
        try:
            PLACES[place](watched, name)
        except ExiaError as error:
            refusals.append(str(error))

    assert [refusal for refusal in refusals if not refusal.isprintable()] == []
    assert watched.documents
    for call, arguments in watched.documents:
        for value in _looked_for_by(arguments):
            assert type(value) in (str, int), (call, arguments)
    for call, arguments in watched.blobs:
        if call in ("put", "open", "stat", "list", "delete"):
            assert re.fullmatch(r"models(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+/?", arguments[0]), (call, arguments)
    # Nothing was written beside the stores, the source and what was fetched.
    there = {path.name for path in tmp_path.iterdir()}
    assert {name for name in there if not name.startswith("library.db")} <= {"blobs", "model.json", "fetched"}
    assert {file.name for file in (tmp_path / "fetched").rglob("*")} <= {"model.json"}


def _looked_for_by(arguments: tuple[Any, ...]) -> list[Any]:
    """Return the values that a call compares fields with."""
    found: list[Any] = []
    for argument in arguments[1:]:
        if isinstance(argument, Query):
            found += argument.where.values()
            found += [bound for bound in (argument.at_least, argument.at_most) if bound is not None]
    collection = arguments[0] if arguments else None
    if hasattr(collection, "fields") and len(arguments) > 1 and isinstance(arguments[1], Mapping):
        found += [arguments[1][name] for name in collection.fields if name in arguments[1]]
    return found
