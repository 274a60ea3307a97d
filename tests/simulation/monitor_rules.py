"""What must be true of a monitor's journal, of trainings and of automatic rollbacks: I5, I7 and I8, from the stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_exia.monitoring.states import MonitorState, is_legal
from tests.simulation.airflow_runs import DELETED

if TYPE_CHECKING:
    from airflow_provider_exia.storage.documents import Document

_BY_PEOPLE = {"stopped", "resumed", "retrain asked"}


def broken_rules(
    monitor: Sequence[Document], journal: Sequence[Document], trainings: Sequence[Document]
) -> Iterator[tuple[str, str]]:
    """Return invariant and text of what is wrong at this moment.

    :param monitor: entries of the monitor
    :param journal: entries of the model
    :param trainings: what training functions saw of themselves
    """
    for text in _broken_entries(monitor, journal):
        yield "I5", text
    for text in _trained_twice(trainings):
        yield "I7", text
    for text in _wrong_rollbacks(journal):
        yield "I8", text


def untrue_refusals(new: Sequence[Document], journal: Sequence[Document], runs: Sequence[Document]) -> Iterator[str]:
    """Return what says that an episode ended without a promotion when its promotion was there before.

    Where a row was deleted its process may still promote, at any moment, after all that an evaluation can look at.

    :param new: entries of the monitor that this step wrote
    :param journal: entries of the model before this step
    :param runs: rows of Airflow before this step
    """
    if any(row["state"] == DELETED for row in runs):
        return
    tokens = {entry["token"] for entry in journal}
    for entry in new:
        promoted = f"episode:{entry['monitor']}:{entry['episode']}:champion" in tokens
        if entry["action"] == "refused" and promoted:
            yield f"the monitor's entry {entry['sequence']} says refused, and the promotion is there"


def _broken_entries(monitor: Sequence[Document], journal: Sequence[Document]) -> Iterator[str]:
    for number, entry in enumerate(monitor, 1):
        if entry["sequence"] != number:
            yield f"the sequence of the monitor's entry {number} is {entry['sequence']}"
        if entry["watching"] and not _is_move(journal, entry["watching"]):
            yield f"the monitor's entry {number} watches {entry['watching']}, which is no move"
        if entry["state"] == "RETRAINING" and not entry["ticket"]:
            yield f"the monitor's entry {number} is RETRAINING for no run"
    for before, after in pairwise(monitor):
        for text in _broken_steps(before, after):
            yield f"the monitor's entry {after['sequence']} {text}"


def _broken_steps(before: Document, after: Document) -> Iterator[str]:
    old, new = before["state"], after["state"]
    if not is_legal(MonitorState(old), MonitorState(new)):
        yield f"goes from {old} to {new}"
    if old == "HALTED" != new and after["action"] != "resumed":
        yield f"leaves HALTED by {after['action']}"
    opens = new == "DEGRADED" != old
    if after["episode"] != before["episode"] + opens:
        yield f"is of episode {after['episode']} after {before['episode']}, from {old} to {new}"
    if new == old == "RETRAINING" and after["ticket"] != before["ticket"]:
        yield f"gives episode {after['episode']} to another run"
    for field in ("at", "event_time", "watching"):
        if after[field] < before[field]:
            yield f"has an earlier {field} than the one before it"
    if after["action"] in _BY_PEOPLE and not after["reason"]:
        yield "does not say why a person asked"


def _trained_twice(trainings: Sequence[Document]) -> Iterator[str]:
    rows: dict[int, set[int]] = {}
    for training in trainings:
        if training["episode"] is not None:
            rows.setdefault(training["episode"], set()).add(training["row"])
    for episode, numbers in rows.items():
        if len(numbers) > 1:
            yield f"runs {sorted(numbers)} have trained for episode {episode}"


def _wrong_rollbacks(journal: Sequence[Document]) -> Iterator[str]:
    """An automatic rollback names the move that it watched; it may undo that one, a promotion, and only once."""
    undone: set[int] = set()
    for index, entry in enumerate(journal):
        if not entry["token"].startswith("auto:"):
            continue
        watched = int(entry["token"].rpartition(":")[2])
        found = f"the automatic rollback {entry['sequence']} for move {watched}"
        alias = journal[index - 1]["aliases"][entry["alias"]]
        if alias["since"] != watched:
            yield f"{found} undid move {alias['since']}"
        if journal[watched - 1]["action"] != "promote":
            yield f"{found} undid a {journal[watched - 1]['action']}"
        if watched in undone:
            yield f"{found} is its second"
        undone.add(watched)


def _is_move(journal: Sequence[Document], sequence: int) -> bool:
    return sequence <= len(journal) and journal[sequence - 1]["action"] in ("promote", "rollback")
