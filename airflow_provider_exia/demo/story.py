"""The driver of ``exia demo``: a year of flights through a real Airflow, one week after the other.

It triggers runs, moves aliases as a person would, and tells what came of it. Nothing it tells is decided here: numbers
and verdicts are read back from the library and from the predictions that the tasks wrote.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_exia.demo import flights
from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.demo.events import Event, Story, Week
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision

if TYPE_CHECKING:
    from airflow_provider_exia.demo.report import Report

MODEL = "flight_delay"
DAGS_FOLDER = Path(__file__).with_name("dags")
PRELOADED = ("pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.pipeline", "skops.io", "sqlalchemy", "pydantic")
CHALLENGER_WEEKS = (flights.REFUSED_WEEK, flights.PROMOTED_WEEK)
_MARK = ".exia-demo"


class StoryTeller:
    """Lives the year against a running Airflow.

    :param airflow: where the DAGs run
    :param library: the library that the tasks use
    :param tell: called with each event and each week
    """

    def __init__(self, airflow: RunningAirflow, library: ModelLibrary, tell: Callable[[Event | Week], None]) -> None:
        self._airflow, self._library, self._tell = airflow, library, tell
        self._decisions = DecisionLog(library.resources.documents)

    def live(self) -> Story:
        """Run the year from the first champion to the last week."""
        story = Story()
        for happening in self._year():
            story.add(happening)
            self._tell(happening)
        return story

    def _year(self) -> Iterator[Event | Week]:
        yield self._train("flight_delay_train", flights.FIRST_CHAMPION_WEEK)
        for week in range(flights.FIRST_CHAMPION_WEEK + 1, flights.LAST_WEEK + 1):
            yield self._predict(week)
            if week in CHALLENGER_WEEKS:
                yield self._train("flight_delay_train", week)
            if week == flights.BAD_MODEL_WEEK:
                yield self._train("flight_delay_accident", week)
                yield self._force_newest(week)
            if week == flights.BAD_MODEL_WEEK + 1:
                yield self._roll_back(week)

    def _train(self, dag_id: str, week: int) -> Event:
        self._run(dag_id, week)
        decision = self._newest_decision()
        action = {"first": "promoted", "accepted": "promoted", "refused": "refused"}[decision.judgement.verdict]
        return Event(week=week, action=action, version=decision.challenger, detail=_numbers(decision))

    def _predict(self, week: int) -> Week:
        self._run("flight_delay_week", week)
        served = str(self._xcom("flight_delay_week", week, "predict", "model_version"))
        predictions = str(self._xcom("flight_delay_week", week, "predict", "return_value"))
        return Week(week=week, version=int(served.partition("/")[2]), brier=_brier(predictions))

    def _force_newest(self, week: int) -> Event:
        version = self._library.resolve(f"{MODEL}@latest")
        entry = self._library.promote(version.reference, by="a person", reason="forced past the gate, for the demo")
        return Event(
            week=week,
            action="forced",
            version=entry.version,
            detail=f"a person promoted it by hand: exia promote {version.reference}",
        )

    def _roll_back(self, week: int) -> Event:
        self._airflow.client.run(
            "flight_delay_rollback", run_id=_run_id(week), conf={"reason": "predictions of the week went wrong"}
        )
        entry = self._library.history(MODEL)[0]
        return Event(
            week=week, action="rolled back", version=entry.version, detail=f"champion is {MODEL}/{entry.version} again"
        )

    def _run(self, dag_id: str, week: int) -> None:
        self._airflow.client.run(dag_id, run_id=_run_id(week), logical_date=flights.week_end(week))

    def _xcom(self, dag_id: str, week: int, task_id: str, key: str) -> object:
        return self._airflow.client.xcom(dag_id, _run_id(week), task_id, key=key)

    def _newest_decision(self) -> GateDecision:
        return self._decisions.of_model(MODEL)[0]


def run(*, folder: Path, keep_up: bool) -> int:
    """Run the demo in a folder of its own and tell its story.

    :param folder: made if absent; what an earlier demo left in it is removed first
    :param keep_up: leave Airflow running at the end until Ctrl-C
    :returns: the exit code
    :raises InvalidInput: the folder holds something else
    """
    from airflow_provider_exia.demo.report import Report

    home = _fresh_folder(folder.absolute())
    report = Report(home)
    started, started_at = time.monotonic(), datetime.now(UTC)
    with running_airflow(
        home / "airflow",
        dags_folder=DAGS_FOLDER,
        preload=PRELOADED,
        progress=report.step,
    ) as airflow:
        documents, blobs = embedded_locations(home / "airflow")
        with open_library(documents, blobs=blobs, by="exia demo") as library:
            report.step("waiting for the DAGs to be read")
            for dag_id in ("flight_delay_train", "flight_delay_week", "flight_delay_accident", "flight_delay_rollback"):
                airflow.client.wait_for_dag(dag_id, parsed_after=started_at)
            story = StoryTeller(airflow, library, report.tell).live()
            report.finish(story, seconds=time.monotonic() - started)
        if keep_up:
            _keep_up(airflow, report)
    return 0


def _keep_up(airflow: RunningAirflow, report: Report) -> None:
    report.address(airflow)
    try:
        while True:
            airflow.check()
            time.sleep(1)
    except KeyboardInterrupt:
        report.step("stopping Airflow")


def _fresh_folder(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise InvalidInput(f"{folder} is not empty and no earlier demo made it: name another folder by --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text("made by exia demo; removed and made anew by the next one\n")
    return folder


def _run_id(week: int) -> str:
    return f"week-{week:02d}"


def _brier(predictions: str) -> float:
    import pandas

    frame = pandas.read_parquet(predictions)
    return float(((frame["probability"] - frame["late"]) ** 2).mean())


def _numbers(decision: GateDecision) -> str:
    judgement = decision.judgement
    if judgement.champion_loss is None:
        return f"the first champion; Brier {judgement.challenger_loss:.4f} on its holdout"
    numbers = (
        f"Brier {judgement.champion_loss:.4f} -> {judgement.challenger_loss:.4f}, "
        f"gain {judgement.gain:+.4f}, lower bound {judgement.lower_bound:+.4f}"
    )
    return f"{numbers} against {decision.model}/{decision.champion}"
