"""What must be true after every step, read from the stores alone and told by rules written apart from the library.

Here are I1 to I6 and I9 of the protocol; what is about a monitor (I7, I8) is in ``monitor_rules``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_exia.storage.documents import Document
from tests.simulation import monitor_rules
from tests.simulation.journal_rules import (
    Aliases,
    check_entries,
    is_out_of_use,
    newest_about,
    refusal_is_just,
    was_collected,
)
from tests.simulation.monitor_operations import Request
from tests.simulation.operations import CHAMPION, MODEL, Collect, Load, Move, Publish, bytes_of
from tests.simulation.scheduler import Actor, Outcome, OutcomeKind

if TYPE_CHECKING:
    from tests.simulation.stores import Memory


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not as it must be.

    :param invariant: its name in the protocol
    :param text: what is wrong
    """

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass(frozen=True, slots=True)
class View:
    """The documents of the one model, as values.

    :param versions: by order of insertion
    :param journal: by sequence
    :param blobs: by key
    :param monitor: the monitor's journal, by sequence
    :param trainings: what training functions saw of themselves
    :param runs: rows of Airflow's run table, the deleted ones too
    """

    versions: Sequence[Document]
    journal: Sequence[Document]
    blobs: Mapping[str, bytes]
    monitor: Sequence[Document] = ()
    trainings: Sequence[Document] = ()
    runs: Sequence[Document] = ()

    @property
    def ready(self) -> dict[int, Document]:
        """The READY versions by number."""
        return {version["number"]: version for version in self.versions if version["state"] == "READY"}

    @property
    def published(self) -> dict[int, Document]:
        """The versions that are READY or were, by number."""
        return {version["number"]: version for version in self.versions if version["state"] in ("READY", "COLLECTED")}


def view_of(memory: Memory) -> View:
    """Read everything."""
    journal = sorted(memory.stored("model_journal"), key=lambda entry: entry["sequence"])
    monitor = sorted(memory.stored("monitor_journal"), key=lambda entry: entry["sequence"])
    return View(
        versions=memory.stored("versions"),
        journal=journal,
        blobs=dict(memory.blobs),
        monitor=monitor,
        trainings=memory.stored("airflow_trainings"),
        runs=memory.stored("airflow_runs"),
    )


def content_violations(view: View, start: View) -> Iterator[Violation]:
    """Check what must hold of the stores at any moment.

    :param start: the stores when the run began
    """
    yield from _bytes_are_there(view)
    yield from _stacks_are_in_use(view)
    yield from _versions_are_distinct(view)
    for text in check_entries(view.journal, len(start.journal), set(view.published)):
        yield Violation("I5", text)
    for index, entry in enumerate(view.journal):
        if entry["action"] == "collect" and newest_about(view.journal[:index], entry["version"]) != "retire":
            yield Violation("I6", f"entry {index + 1} collects version {entry['version']}, which is not retired")
    for invariant, text in monitor_rules.broken_rules(view.monitor, view.journal, view.trainings):
        yield Violation(invariant, text)


def step_violations(before: View, after: View) -> Iterator[Violation]:
    """Check what no single step may do: change a READY version, or the journal's past."""
    for number, version in before.published.items():
        if not _is_still_what_it_was(after, version):
            yield Violation("I4", f"version {number} was {version['state']} and is not what it was")
    if list(after.journal[: len(before.journal)]) != list(before.journal):
        yield Violation("I5", "an entry of the journal was changed or lost")
    if list(after.monitor[: len(before.monitor)]) != list(before.monitor):
        yield Violation("I5", "an entry of the monitor's journal was changed or lost")
    for text in monitor_rules.untrue_refusals(after.monitor[len(before.monitor) :], before.journal, before.runs):
        yield Violation("I5", text)


def _is_still_what_it_was(after: View, version: Document) -> bool:
    """Say whether a published version was not changed, but for its end behind a collect entry."""
    there = after.published.get(version["number"])
    if there == version:
        return True
    collected = {**version, "state": "COLLECTED", "revision": version["revision"] + 1}
    collected.pop("inline", None)  # the text goes with the files
    return version["state"] == "READY" and there == collected and was_collected(after.journal, version["number"])


def actor_violations(view: View, start: View, actors: Sequence[Actor]) -> Iterator[Violation]:
    """Check what operations said when they ended, and on which state of an alias a move was made."""
    for actor in actors:
        if isinstance(actor.operation, Move):
            yield from _expected_was_kept(view, actor.operation)
        if actor.outcome is not None:
            yield from _outcome_is_true(view, start, actor, actor.outcome)


def _own_entries(view: View, actor: Actor) -> list[tuple[int, str]]:
    """Return sequence and token of the entries that an actor wrote, in this life or an earlier one.

    Those of a living zombie do not count against a refusal: it may do later, when it has become allowed, what its
    twin was refused. Only a written refusal could stop it, and the protocol has none.
    """
    return [
        (entry["sequence"], entry["token"])
        for entry in view.journal
        if entry["token"] == actor.operation.token and entry["by"] == actor.name
    ]


def _bytes_are_there(view: View) -> Iterator[Violation]:
    for number, version in view.ready.items():
        inline = version.get("inline") or {}
        for file in version["files"]:
            if file["path"] in inline:
                if _sha256(inline[file["path"]].encode()) != file["sha256"]:
                    yield Violation("I1", f"version {number} is READY and its document has another text")
                continue
            key = f"models/{version['model']}/{version['publication']}/{number}/{file['path']}"
            content = view.blobs.get(key)
            if content is None:
                yield Violation("I1", f"version {number} is READY and has no blob at {key}")
            elif _sha256(content) != file["sha256"]:
                yield Violation("I1", f"version {number} is READY and its blob has other bytes")


def _stacks_are_in_use(view: View) -> Iterator[Violation]:
    aliases: Aliases = view.journal[-1]["aliases"] if view.journal else {}
    for alias, state in aliases.items():
        if not state["stack"]:
            yield Violation("I2", f"alias {alias} names nothing")
        for number in state["stack"]:
            if number not in view.ready:
                yield Violation("I2", f"version {number} is in the stack of {alias} and is not READY")
            if is_out_of_use(view.journal, number):
                yield Violation("I2", f"version {number} is in the stack of {alias} and is out of use")


def _versions_are_distinct(view: View) -> Iterator[Violation]:
    published = [version for version in view.versions if version["state"] == "READY"]
    if len({version["number"] for version in published}) < len(published):
        yield Violation("I3", "two versions have one number")
    if len({(version["work"], version["digest"]) for version in published}) < len(published):
        yield Violation("I3", "the same work with the same bytes is two versions")


def _expected_was_kept(view: View, move: Move) -> Iterator[Violation]:
    if move.alias is None or move.expected is None:
        return
    for index, entry in enumerate(view.journal):
        if entry["token"] == move.token:
            aliases = view.journal[index - 1]["aliases"] if index else {}
            since = aliases.get(move.alias, {}).get("since", 0)
            if since != move.expected:
                yield Violation("I5", f"a {move.kind} decided on move {move.expected} was made on move {since}")


def _outcome_is_true(view: View, start: View, actor: Actor, outcome: Outcome) -> Iterator[Violation]:
    operation = actor.operation
    if outcome.kind is OutcomeKind.BROKEN:
        yield Violation("error", f"{operation.kind} ended with {outcome.value}")
    elif isinstance(operation, Move):
        yield from _move_is_true(view, start, actor, operation, outcome)
    elif isinstance(operation, Publish):
        yield from _publication_is_true(view, operation, outcome)
    elif isinstance(operation, Collect):
        yield from _collection_is_true(view, outcome)
    elif isinstance(operation, Load):
        yield from _load_is_true(view, start, operation, outcome)
    elif isinstance(operation, Request):
        yield from _request_is_true(view, actor, outcome)


def _move_is_true(view: View, start: View, actor: Actor, move: Move, outcome: Outcome) -> Iterator[Violation]:
    if outcome.kind is OutcomeKind.DONE:
        if outcome.value not in {(entry["sequence"], entry["token"]) for entry in view.journal}:
            yield Violation("I5", f"{move.kind} said done with {outcome.value} and there is no such entry")
    elif outcome.kind is OutcomeKind.UNAVAILABLE:
        if outcome.value == "after a write":
            yield Violation("I5", f"{move.kind} said that nothing was written, and it may have been")
    elif _own_entries(view, actor):
        yield Violation("I5", f"{move.kind} was refused ({outcome.value}) and its entry is there")
    elif not refusal_is_just(move, view.journal, len(start.journal), set(start.ready)):
        yield Violation("I5", f"{move.kind} was refused without a reason: {outcome.value}")


def _publication_is_true(view: View, publish: Publish, outcome: Outcome) -> Iterator[Violation]:
    if outcome.kind is OutcomeKind.REFUSED and not _is_collected(view, publish):
        yield Violation("I4", f"publish was refused: {outcome.value}")
    if outcome.kind is not OutcomeKind.DONE:
        return
    version = view.published.get(outcome.value) if isinstance(outcome.value, int) else None
    if version is None:
        yield Violation("I4", f"publish returned {outcome.value}, which is not READY")
    elif version["work"] != publish.work or version["files"][0]["sha256"] != _sha256(bytes_of(publish.content)):
        yield Violation("I4", f"publish returned {outcome.value}, which is not what was published")


def _is_collected(view: View, publish: Publish) -> bool:
    return any(version["work"] == publish.work and version["state"] == "COLLECTED" for version in view.versions)


def _collection_is_true(view: View, outcome: Outcome) -> Iterator[Violation]:
    """A collector is never refused, and what it called collected is."""
    if outcome.kind is OutcomeKind.REFUSED:
        yield Violation("I9", f"collect was refused: {outcome.value}")
    elif isinstance(outcome.value, tuple):
        states = {f"{MODEL}/{version['number']}": version["state"] for version in view.versions}
        for reference in outcome.value:
            if states[reference] != "COLLECTED":
                yield Violation("I4", f"collect said that {reference} is collected, and it is {states[reference]}")


def _request_is_true(view: View, actor: Actor, outcome: Outcome) -> Iterator[Violation]:
    """What a person was told of a request is so: the entry is there, or it is not and never will be."""
    own = [entry["sequence"] for entry in view.monitor if entry["by"] == actor.name]
    if outcome.kind is OutcomeKind.DONE and outcome.value is not None and own != [outcome.value]:
        yield Violation("I5", f"{actor.operation.kind} said done with {outcome.value}, and its entries are {own}")
    elif outcome.kind is OutcomeKind.REFUSED and own:
        yield Violation("I5", f"{actor.operation.kind} was refused ({outcome.value}) and its entry is there")
    elif outcome.kind is OutcomeKind.UNAVAILABLE and outcome.value == "after a write":
        yield Violation("I5", f"{actor.operation.kind} said that nothing was written, and it may have been")


def _load_is_true(view: View, start: View, load: Load, outcome: Outcome) -> Iterator[Violation]:
    """A reader gets what its reference meant at some moment of its call, with the bytes that were published."""
    if outcome.kind is OutcomeKind.REFUSED:
        named = None if load.reference.startswith("@") else int(load.reference[1:])
        if named is None or (named in start.ready and not was_collected(view.journal, named)):
            yield Violation("load", f"loading {load.reference} was refused: {outcome.value}")
    elif isinstance(outcome.value, tuple):
        number, content = outcome.value
        version = view.published.get(number)
        if version is None or version["files"][0]["sha256"] != _sha256(bytes_of(content)):
            yield Violation("load", f"loading {load.reference} gave other bytes than version {number} has")
        elif number not in _meant(load.reference, view, start):
            yield Violation("load", f"{load.reference} never meant version {number} during the call")


_Numbers: TypeAlias = set[Any]


def _meant(reference: str, view: View, start: View) -> _Numbers:
    """Return the versions that a reference may have meant since the start."""
    if reference.startswith("/"):
        return {int(reference[1:])}
    moments = range(max(len(start.journal), 1), len(view.journal) + 1)
    if reference == f"@{CHAMPION}":
        return {view.journal[length - 1]["aliases"][CHAMPION]["stack"][0] for length in moments}
    in_use = [
        {number for number in view.published if not is_out_of_use(view.journal[:length], number)} for length in moments
    ]
    always = set.intersection(*in_use) & set(start.ready)
    return {number for number in set.union(*in_use) if number >= max(always)}


@lru_cache(maxsize=1024)
def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
