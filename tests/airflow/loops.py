"""Loops in a real Airflow, for tests: what happens in the world, what a person does, and what came of it.

The DAGs are those of dags/loops.py.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.states import EPISODE_OPEN

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import Version
    from airflow_provider_exia.monitoring.entries import MonitorEntry

METRIC = "error"
AT_ONCE: Mapping[str, Any] = {
    "metric": METRIC,
    "enter": 5.0,
    "exit": 1.0,
    "breaches": 1,
    "window": 1,
    "cooldown": "0s",
    "bake": "0s",
    "budget": 1000,
    "min_gain": 0.1,
    "draws": 100,
}
"""One bad point opens an episode, nothing is waited for, and the first point after a promotion ends its bake."""

START = datetime(2020, 1, 1, tzinfo=UTC)


def wait_until(what: str, condition: Callable[[], Any], *, timeout_seconds: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(0.05)


@dataclass
class Loop:
    """One model with the DAG that trains it and the DAG that watches it.

    :param today: event time, in days since :data:`START`
    :param truth: what is to be guessed
    """

    airflow: RunningAirflow
    library: ModelLibrary
    name: str
    today: int = 0
    truth: float = 10.0

    @property
    def folder(self) -> Path:
        return self.airflow.settings.home / "world" / self.name

    @property
    def training_dag(self) -> str:
        return f"{self.name}_train"

    @property
    def watching_dag(self) -> str:
        return f"{self.name}_watch"

    # The world

    def begin(self) -> None:
        """Give the model a champion that guesses right, and evaluate for the first time."""
        self.folder.mkdir(parents=True)
        self.plan()
        self.library.promote(self.publish(self.truth).reference, by="ann", reason="the first one")
        self.watch()

    def publish(self, guess: float) -> Version:
        file = self.folder / "by-hand.json"
        file.write_text(json.dumps({"guess": guess}))
        return self.library.publish(self.name, file, format="json")

    def plan(self, *, guess: float | None = None, holdout: float | None = None, wrong: str | None = None) -> None:
        """Say what training will do: guess, be judged on rows around ``holdout``, or go wrong."""
        guess = self.truth if guess is None else guess
        plan = {"guess": guess, "holdout": guess if holdout is None else holdout, "wrong": wrong}
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def drift(self) -> None:
        """Let another truth begin, which the next training will learn."""
        self.truth += 10
        self.plan()

    def order(self, task_id: str, *orders: str) -> None:
        """Say what the next executions of a task of the watching DAG do to themselves."""
        (self.folder / f"{task_id}.orders").write_text("\n".join(orders))

    @contextlib.contextmanager
    def training_held(self) -> Iterator[None]:
        """Let no training function return before the block ends."""
        (self.folder / "hold").touch()
        try:
            yield
        finally:
            (self.folder / "hold").unlink(missing_ok=True)

    # Runs

    def ask(self, dag_id: str | None = None, *, labels: bool = True, name: str = "", dated: bool = True) -> str:
        """Ask for a run of today and return its id.

        :param dag_id: default: the DAG that watches
        :param name: of the run, where there are several of a day
        :param dated: False: no logical date, the event time is when the run was meant to run
        """
        dag_id = dag_id or self.watching_dag
        moment = (START + timedelta(days=self.today)).isoformat()
        rows = [self.truth + number % 2 / 10 for number in range(4)] if labels else []
        body = {
            "dag_run_id": f"day-{self.today}{name}",
            "conf": {"rows": json.dumps(rows)},
            "logical_date": moment if dated else None,
            "run_after": moment,
        }
        self.request("POST", f"/dags/{dag_id}/dagRuns", body, accept=(httpx.codes.CONFLICT,))
        return str(body["dag_run_id"])

    def watch(self, *, labels: bool = True) -> str:
        """Let a day pass and watch it; wait for the run, not for the one that it may trigger."""
        self.today += 1
        run_id = self.ask(labels=labels)
        self.airflow.client.wait(self.watching_dag, run_id)
        return run_id

    def wait_for_training(self, times: int = 1) -> None:
        """Wait until the training function was called that often in the newest episode."""
        wait_until("training", lambda: self.calls()[str(self.entry().episode)] >= times)

    def wait_until_idle(self) -> None:
        """Wait until no run is active, whatever became of it."""
        wait_until("idle", lambda: not self.airflow.client.active_runs())

    def settle(self) -> None:
        """Evaluate as a schedule would, until the model is healthy: no state hangs."""
        self.wait_until_idle()
        for _ in range(4):
            stood = self.entry()
            self.watch()
            self.wait_until_idle()
            now = self.entry()
            if stood.state in EPISODE_OPEN:
                assert (now.episode, now.state) != (stood.episode, stood.state), now
            if now.state == "HEALTHY":
                return
        pytest.fail(f"after four days the monitor stands at {self.entry()}")

    # What a person does

    def request(self, method: str, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> Any:
        answer = self.airflow.client._request(method, f"/api/v2{path}", body=body, accept=accept)
        return answer.json() if answer.content else None

    def clear(self, run_id: str, task_id: str) -> None:
        """Clear a task of a watching run and what follows it."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        cleared = self.request("POST", f"/dags/{self.watching_dag}/clearTaskInstances", body)
        assert task_id in {entry["task_id"] for entry in cleared["task_instances"]}

    def clear_and_wait(self, run_id: str, task_id: str) -> None:
        self.clear(run_id, task_id)
        assert self.airflow.client.wait(self.watching_dag, run_id) == "success"

    def mark_training(self, state: str) -> None:
        """Mark the newest episode's training run as a person does in the UI, which ends its tasks."""
        self.request("PATCH", self._training_run, {"state": state})

    def delete_training(self) -> None:
        """Delete the row of the newest episode's training run; Airflow deletes none that is running."""
        self.request("DELETE", self._training_run)

    def pause_training(self, *, paused: bool) -> None:
        self.request("PATCH", f"/dags/{self.training_dag}", {"is_paused": paused})

    @property
    def _training_run(self) -> str:
        return f"/dags/{self.training_dag}/dagRuns/{quote(self.entry().run_id, safe='')}"

    # What came of it

    @property
    def journal(self) -> MonitorJournal:
        resources = self.library.resources
        stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
        return MonitorJournal(stores, self.name, METRIC)

    def entry(self) -> MonitorEntry:
        newest = self.journal.newest()
        assert newest is not None
        return newest

    def entries_of(self, episode: int) -> list[MonitorEntry]:
        return [entry for entry in reversed(self.journal.history()) if entry.episode == episode]

    def actions_of(self, episode: int) -> list[str]:
        return [entry.action for entry in self.entries_of(episode)]

    def calls(self) -> Counter[str]:
        """Return how often the training function was called for each episode, as it says itself."""
        calls = self.folder / "calls"
        return Counter(calls.read_text().splitlines() if calls.exists() else [])

    def training_runs(self) -> list[str]:
        """Return the ids of the training runs in Airflow's list."""
        runs = self.request("GET", f"/dags/{self.training_dag}/dagRuns?limit=1000")["dag_runs"]
        return [str(run["dag_run_id"]) for run in runs]

    def trained_runs(self, besides: Collection[str] = ()) -> list[str]:
        """Return the ids of the training runs in Airflow's list whose training task ran and was not skipped."""
        return [
            run_id
            for run_id in self.training_runs()
            if run_id not in besides
            and self.task_states(self.training_dag, run_id)["train"] in ("running", "success", "failed")
        ]

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {task.name: task.state for task in self.airflow.client.task_runs(dag_id, run_id)}


class Loops:
    """The loops of one Airflow, each begun when it is first asked for."""

    def __init__(self, airflow: RunningAirflow, library: ModelLibrary) -> None:
        self.airflow, self._library = airflow, library
        self._begun: dict[str, Loop] = {}

    def __getitem__(self, name: str) -> Loop:
        if name not in self._begun:
            self._begun[name] = Loop(self.airflow, self._library, name)
            self._begun[name].begin()
        return self._begun[name]

    def __iter__(self) -> Iterator[Loop]:
        return iter(self._begun.values())


@contextlib.contextmanager
def running_loops(folder: Path, loops: Mapping[str, Mapping[str, Any]], *more_dags: Path) -> Iterator[Loops]:
    """Run an Airflow with the DAGs of some loops.

    :param loops: name to settings, see dags/loops.py
    :param more_dags: further DAG files
    """
    dags = folder / "dags"
    dags.mkdir()
    (dags / "loops.json").write_text(json.dumps(loops))
    for file in (Path(__file__).parent / "dags" / "loops.py", *more_dags):
        shutil.copy(file, dags)
    began = datetime.now(UTC)
    with running_airflow(folder / "home", dags_folder=dags) as airflow:
        airflow.client.wait_for_dag(f"{next(reversed(loops))}_watch", parsed_after=began)
        documents, blobs = embedded_locations(airflow.settings.home)
        with open_library(documents, blobs=blobs, by="the test") as library:
            yield Loops(airflow, library)
