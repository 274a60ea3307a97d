"""The run table of a simulated Airflow: a run exists or not, runs, and ends; "create run" is unique by run id.

It lies in the memory beside the stores, so every request to it is a scheduling point, may get no answer, and may land
late or twice. What it does for itself (starting and ending runs) is beyond faults: only its order is a choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.storage.documents import REVISION, Collection, Document
from tests.simulation.stores import Call

if TYPE_CHECKING:
    from tests.simulation.stores import Memory, SimulatedDocuments

RUNS = Collection(name="airflow_runs", fields={"run_id": str, "number": int}, unique=(("run_id", "number"),))
"""A row that was deleted stays, in a state that Airflow does not show: the invariants want to know."""

TRAININGS = Collection(name="airflow_trainings", fields={"number": int}, unique=(("number",),))
"""What the training function saw of itself: which run, for which episode."""

OWN_WORK = ("begin run", "train", "end run", "delete run")
"""What happens inside Airflow, or in a person's call to it, and is no request that may get lost."""

ACTIVE, SUCCEEDED, FAILED, DELETED = "running", "success", "failed", "deleted"


@dataclass(frozen=True, slots=True)
class Started:
    """A run as its tasks see it.

    :param run_id: of the run
    :param number: the how manieth row with this run id it is
    :param conf: what it was triggered with
    """

    run_id: str
    number: int
    conf: tuple[tuple[str, Any], ...]


class SimulatedRuns:
    """The run table, as one caller sees it.

    :param documents: of the same caller: gives the memory and the gate
    """

    def __init__(self, documents: SimulatedDocuments) -> None:
        self._memory, self._gate, self._caller = documents.memory, documents.gate, documents.caller

    def create(self, run_id: str, conf: Mapping[str, Any]) -> None:
        """Ask for a run; "already exists" is fine.

        A copy of one request that lands when its row is deleted already does nothing: such a request carries the
        ticket of the first one, which is outside of the protocol (section 11).
        """
        wanted = tuple(sorted(conf.items()))
        self._gate(Call("create run", run_id, wanted, True, False, lambda: self._create(run_id, dict(wanted))))

    def count(self, *, dag_id: str, run_ids: Sequence[str], states: Sequence[str] | None = None) -> int:
        """Count runs, as ``ti.get_dr_count`` does."""
        [run_id] = run_ids
        argument = (dag_id, *(states or ()))
        found: int = self._gate(
            Call("count runs", run_id, argument, False, False, lambda: len(self._live(run_id, states)))
        )
        return found

    def begin(self, run_id: str, number: int) -> Started:
        """Wait until a row exists and return what its tasks are told; a task that was on its way outlives the row."""
        started: Started = self._gate(
            Call(
                "begin run",
                run_id,
                number,
                False,
                False,
                lambda: _started(rows_of(self._memory, run_id)[number - 1]),
                ready=lambda: len(rows_of(self._memory, run_id)) >= number,
            )
        )
        return started

    def train(self, run: Started) -> None:
        """Train: something that happens and cannot be undone."""
        self._gate(Call("train", run.run_id, run.number, False, False, lambda: self._train(run)))

    def end(self, run_id: str, number: int, state: str) -> None:
        """Put down how a run ended, unless its row is gone."""
        self._gate(
            Call("end run", run_id, (number, state), False, False, lambda: self._set(run_id, number, state, [ACTIVE]))
        )

    def delete(self, run_id: str) -> None:
        """Delete the row of a run, as soon as there is one."""
        self._gate(
            Call(
                "delete run",
                run_id,
                (),
                False,
                False,
                lambda: self._delete(run_id),
                ready=lambda: bool(self._live(run_id, None)),
            )
        )

    def _create(self, run_id: str, conf: Mapping[str, Any]) -> str:
        rows = rows_of(self._memory, run_id)
        request = f"{self._caller}: {conf['ticket']}"
        if self._live(run_id, None) or any(row["request"] == request for row in rows):
            return "exists"
        row = {"run_id": run_id, "number": len(rows) + 1, "conf": conf, "state": ACTIVE, "request": request}
        self._memory.insert(RUNS, row)
        return "created"

    def _live(self, run_id: str, states: Sequence[str] | None) -> list[Document]:
        rows = [row for row in rows_of(self._memory, run_id) if row["state"] != DELETED]
        return [row for row in rows if states is None or row["state"] in states]

    def _train(self, run: Started) -> None:
        number = len(self._memory.stored(TRAININGS.name)) + 1
        event = {"number": number, "run_id": run.run_id, "row": run.number, "episode": dict(run.conf).get("episode")}
        self._memory.insert(TRAININGS, event)

    def _delete(self, run_id: str) -> None:
        for row in self._live(run_id, None):
            self._set(run_id, row["number"], DELETED, [row["state"]])

    def _set(self, run_id: str, number: int, state: str, only: Sequence[str]) -> None:
        for row in rows_of(self._memory, run_id):
            if row["number"] == number and row["state"] in only:
                self._memory.swap(RUNS, {**row, "state": state}, row[REVISION])


def rows_of(memory: Memory, run_id: str) -> list[Document]:
    """Return all rows that a run id ever had, the deleted ones too."""
    return [row for row in memory.stored(RUNS.name) if row["run_id"] == run_id]


def _started(row: Document) -> Started:
    return Started(row["run_id"], row["number"], tuple(sorted(row["conf"].items())))
