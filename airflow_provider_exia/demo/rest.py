"""A client of Airflow's REST API: trigger a DAG run, wait for it, and say what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from airflow_provider_exia.exceptions import ExiaError

POLL_SECONDS = 0.08
PATIENCE_SECONDS = 60.0
"""How long a request is repeated that the server could not answer: SQLite lets one writer in at a time."""

LOG_LINES = 20
FAILED_STATES = frozenset({"failed", "upstream_failed"})
ENDED_STATES = frozenset({"success", "failed"})


class AirflowRequestFailed(ExiaError):
    """Airflow refused a request, or did not answer it in time."""


class DagRunFailed(ExiaError):
    """A DAG run did not succeed; the message names the task at fault and ends with its log.

    :param dag_id: the DAG
    :param run_id: its run
    :param state: what became of the run
    :param task: the task at fault, as in ``train`` or ``predict[3]``; None if no task failed
    :param log: the last lines of the task's log
    """

    def __init__(self, *, dag_id: str, run_id: str, state: str, task: str | None, log: list[str]) -> None:
        self.dag_id, self.run_id, self.state, self.task, self.log = dag_id, run_id, state, task, log
        at_fault = f"at task {task!r}" if task else "and no task of it failed: look at logs/processes/scheduler.log"
        ending = "".join(f"\n    {line}" for line in log)
        super().__init__(f"run {run_id!r} of DAG {dag_id!r} ended as {state}, {at_fault}{ending}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One task instance of a DAG run.

    :param map_index: -1 where the task is not mapped
    :param state: None until it is scheduled
    :param try_number: 1 for the first try
    :param seconds: from start to end; None until it has ended
    """

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    seconds: float | None

    @property
    def name(self) -> str:
        """The task as a person would write it: ``train`` or ``predict[3]``."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class AirflowClient:
    """The requests that a driver or a test makes.

    :param url: of the API server
    :param username: who logs in
    :param password: the user's
    :param check: called while waiting; raises when waiting has become pointless
    """

    def __init__(self, url: str, *, username: str, password: str, check: Callable[[], None] = lambda: None) -> None:
        # Variables of the environment that name a proxy must not send the loopback's requests elsewhere.
        self._http = httpx.Client(base_url=url, timeout=30.0, trust_env=False)
        self._credentials = {"username": username, "password": password}
        self._check = check
        # Triggers that arrive side by side lock each other out of SQLite.
        self._one_post_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> dict[str, Any] | None:
        """Return what Airflow says of its parts, or None while it does not answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return None
        return dict(answer.json()) if answer.status_code == httpx.codes.OK else None

    def wait_for_dag(self, dag_id: str, *, parsed_after: datetime, timeout_seconds: float = 120.0) -> None:
        """Wait until a DAG file has been read.

        :param parsed_after: an earlier reading does not count: the file may have changed since
        :raises AirflowRequestFailed: the file has an import error, or was not read in time
        """
        for _ in self._polls(timeout_seconds):
            answer = self._request("GET", f"/api/v2/dags/{dag_id}", accept=(httpx.codes.NOT_FOUND,))
            parsed = answer.json().get("last_parsed_time")
            if parsed is not None and datetime.fromisoformat(parsed) > parsed_after:
                return
            self._refuse_import_errors(parsed_after)
        raise _too_late(f"DAG {dag_id!r} has not been read from the DAGs folder", timeout_seconds)

    def trigger(
        self,
        dag_id: str,
        *,
        run_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
    ) -> bool:
        """Make a DAG run; asking again with the same ``run_id`` makes no second one.

        :param conf: JSON values that the run is given
        :param logical_date: aware; None for a run that stands for no point of a schedule
        :returns: whether it was made now; False if it was there before, or if a first attempt of this very call had
            made it without an answer
        """
        body = {
            "dag_run_id": run_id,
            "conf": dict(conf or {}),
            "logical_date": logical_date and logical_date.isoformat(),
            # SQLite's own clock counts whole seconds: a run to be started now waits for the next second to begin,
            # which costs half a second for each run.
            "run_after": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
        }
        with self._one_post_at_a_time:
            answer = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body=body, accept=(httpx.codes.CONFLICT,))
        return answer.status_code != httpx.codes.CONFLICT

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self._request("GET", _run_path(dag_id, run_id)).json()["state"])

    def wait(self, dag_id: str, run_id: str, *, timeout_seconds: float = 300.0) -> str:
        """Wait until a DAG run has ended and return its state.

        :raises AirflowRequestFailed: it did not end in time
        """
        for _ in self._polls(timeout_seconds):
            state = self.state(dag_id, run_id)
            if state in ENDED_STATES:
                return state
        raise _too_late(f"run {run_id!r} of DAG {dag_id!r} has not ended", timeout_seconds)

    def active_runs(self) -> list[tuple[str, str]]:
        """Return (dag_id, run_id) of the runs that are queued or running."""
        query = {"state": ["queued", "running"]}
        runs = self._request("GET", "/api/v2/dags/~/dagRuns", query=query).json()["dag_runs"]
        return [(str(run["dag_id"]), str(run["dag_run_id"])) for run in runs]

    def wait_until_idle(self, *, timeout_seconds: float = 300.0) -> None:
        """Wait until no run of any DAG is active, runs that others triggered included.

        :raises DagRunFailed: one of them failed; the message ends with the log of the task at fault
        :raises AirflowRequestFailed: they did not end in time
        """
        waited_for: set[tuple[str, str]] = set()
        for _ in self._polls(timeout_seconds):
            active = set(self.active_runs())
            for dag_id, run_id in waited_for - active:
                if self.state(dag_id, run_id) == "failed":
                    raise self._failure(dag_id, run_id, "failed")
            if not active:
                return
            waited_for = active
        raise _too_late(f"runs are still active: {sorted(waited_for)}", timeout_seconds)

    def run(
        self,
        dag_id: str,
        *,
        run_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
        timeout_seconds: float = 300.0,
    ) -> None:
        """Make a DAG run and wait until it has succeeded; the arguments are those of :meth:`trigger` and :meth:`wait`.

        :raises DagRunFailed: it failed; the message ends with the log of the task at fault
        """
        self.trigger(dag_id, run_id=run_id, conf=conf, logical_date=logical_date)
        state = self.wait(dag_id, run_id, timeout_seconds=timeout_seconds)
        if state != "success":
            raise self._failure(dag_id, run_id, state)

    def task_runs(self, dag_id: str, run_id: str) -> list[TaskRun]:
        """Return the task instances of a DAG run, each at its latest try."""
        found: list[TaskRun] = []
        while True:
            page = self._request(
                "GET", f"{_run_path(dag_id, run_id)}/taskInstances", query={"limit": 100, "offset": len(found)}
            ).json()
            found += [_task_run(entry) for entry in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def log_end(self, dag_id: str, run_id: str, task: TaskRun, *, lines: int = LOG_LINES) -> list[str]:
        """Return the last lines of the log of a task's latest try, tracebacks written out."""
        answer = self._request(
            "GET",
            f"{_run_path(dag_id, run_id)}/taskInstances/{task.task_id}/logs/{task.try_number}",
            query={"map_index": task.map_index, "full_content": True},
            accept=(httpx.codes.NOT_FOUND,),
        )
        entries = answer.json().get("content", [])
        return [line for entry in entries for line in _log_lines(entry)][-lines:]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task handed on, as JSON values; None if it handed on nothing under this key."""
        answer = self._request(
            "GET",
            f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{quote(key, safe='')}",
            query={"map_index": map_index},
            accept=(httpx.codes.NOT_FOUND,),
        )
        return answer.json().get("value")

    def _failure(self, dag_id: str, run_id: str, state: str) -> DagRunFailed:
        failed = [task for task in self.task_runs(dag_id, run_id) if task.state in FAILED_STATES]
        if not failed:
            return DagRunFailed(dag_id=dag_id, run_id=run_id, state=state, task=None, log=[])
        first = min(failed, key=lambda task: task.state == "upstream_failed")
        return DagRunFailed(
            dag_id=dag_id, run_id=run_id, state=state, task=first.name, log=self.log_end(dag_id, run_id, first)
        )

    def _refuse_import_errors(self, parsed_after: datetime) -> None:
        for error in self._request("GET", "/api/v2/importErrors").json()["import_errors"]:
            if datetime.fromisoformat(error["timestamp"]) > parsed_after:
                raise AirflowRequestFailed(
                    f"the DAG file {error['filename']} cannot be imported: mend it\n{error['stack_trace']}"
                )

    def _polls(self, timeout_seconds: float) -> Iterator[None]:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self._check()
            yield
            time.sleep(POLL_SECONDS)

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        # Every request may be repeated: a read changes nothing, and a run is made under an id of its own.
        problem = "no answer"
        for _ in self._polls(PATIENCE_SECONDS):
            answer = self._send(method, path, body, query)
            if answer is None:
                continue
            if answer.is_success or answer.status_code in accept:
                return answer
            problem = f"status {answer.status_code}: {answer.text}"
            if not answer.is_server_error:
                raise AirflowRequestFailed(f"{method} {path} was refused with {problem}")
        raise _too_late(f"{method} {path} did not succeed ({problem})", PATIENCE_SECONDS)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None
    ) -> httpx.Response | None:
        try:
            if "Authorization" not in self._http.headers:
                login = self._http.post("/auth/token", json=self._credentials)
                if not login.is_success:
                    return login
                self._http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            return self._http.request(method, path, json=body, params=query)
        except httpx.TransportError:
            return None


def _too_late(complaint: str, timeout_seconds: float) -> AirflowRequestFailed:
    return AirflowRequestFailed(
        f"{complaint} after {timeout_seconds:.0f} s: look at the folder logs in Airflow's home, or allow more time"
    )


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task_run(entry: Mapping[str, Any]) -> TaskRun:
    return TaskRun(
        task_id=entry["task_id"],
        map_index=entry["map_index"],
        state=entry["state"],
        try_number=entry["try_number"],
        seconds=entry["duration"],
    )


def _log_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    event = str(entry.get("event", ""))
    if not event.startswith(("::group::", "::endgroup::")):
        yield from event.splitlines()
    for error in entry.get("error_detail") or ():
        for frame in error.get("frames", ()):
            yield f'  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}'
        yield f"{error['exc_type']}: {error['exc_value']}"
