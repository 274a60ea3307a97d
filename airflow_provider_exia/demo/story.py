"""The driver of ``exia demo``: a year of flights through a real Airflow, one week after the other.

It compiles the demo's spec, runs the weekly DAG with the event time of each week, once promotes a bad model as a person
would, and tells what came of it. Nothing it tells is decided here: states, verdicts and numbers are read back from the
library and from what the tasks returned.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_exia.dag_compiler.compiling import compile_specs
from airflow_provider_exia.dag_compiler.reading import read_spec
from airflow_provider_exia.demo import flights
from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.demo.events import Event, Story, Week
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.formats import format_named
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.training import TrainingContext
from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.policy import Policy

if TYPE_CHECKING:
    from airflow_provider_exia.demo.connected import ConnectedLibrary
    from airflow_provider_exia.demo.report import Report
    from airflow_provider_exia.demo.training_settings import SettingsInConsul
    from airflow_provider_exia.monitoring.entries import MonitorEntry

MODEL, MONITOR = "flight_delay", "brier"
TRAIN_DAG, WEEKLY_DAG = "flight_delay_train", "flight_delay_infer"
SPEC = Path(__file__).with_name("flight_delay.yaml")
PRELOADED = ("pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.pipeline", "skops.io", "sqlalchemy", "pydantic")
_MARK = ".exia-demo"


class StoryTeller:
    """Lives the year against a running Airflow.

    :param airflow: where the DAGs run
    :param library: the library that the tasks use
    :param data_folder: where the flights lie
    :param tell: called with each event and each week
    """

    def __init__(
        self, airflow: RunningAirflow, library: ModelLibrary, data_folder: Path, tell: Callable[[Event | Week], None]
    ) -> None:
        self._airflow, self._library, self._data_folder, self._tell = airflow, library, data_folder, tell
        self._decisions = DecisionLog(library.resources.documents)
        stores = MonitorStores(
            documents=library.resources.documents,
            clock=library.resources.clock,
            new_token=library.resources.new_token,
        )
        self.journal = MonitorJournal(stores, MODEL, MONITOR)
        self._told_entries = 0
        self._told_decisions: set[str] = set()

    def live(self) -> Story:
        """Run the year from the first champion to the last week."""
        story = Story()
        for happening in self._year():
            story.add(happening)
            self._tell(happening)
        return story

    def _year(self) -> Iterator[Event | Week]:
        self._run(TRAIN_DAG, flights.FIRST_CHAMPION_WEEK)
        yield from self._news(flights.FIRST_CHAMPION_WEEK, served=0)
        for week in range(flights.FIRST_CHAMPION_WEEK + 1, flights.LAST_WEEK + 1):
            self._run(WEEKLY_DAG, week)
            told = self._week(week)
            yield told
            yield from self._news(week, served=told.version)
            if week == flights.BAD_MODEL_WEEK:
                yield self._promote_bad_model(week)

    def _run(self, dag_id: str, week: int) -> None:
        self._airflow.client.run(dag_id, run_id=_run_id(week), logical_date=flights.week_end(week))
        self._airflow.client.wait_until_idle()  # a training run that this week's evaluation asked for

    def _week(self, week: int) -> Week:
        served = str(self._airflow.client.xcom(WEEKLY_DAG, _run_id(week), "predict", key="model_version"))
        values = self._airflow.client.xcom(WEEKLY_DAG, _run_id(week), "watch.score") or {}
        newest = self.journal.newest()
        return Week(
            week=week,
            version=int(served.partition("/")[2]),
            brier=values.get(served),
            state=newest.state if newest else "",
            blind=newest is not None and newest.blind_since is not None,
        )

    def _news(self, week: int, *, served: int) -> Iterator[Event]:
        """Yield what the week's runs did: moves of the monitor, and decisions of the gate.

        :param served: number of the version that served in this week
        """
        entries = [entry for entry in reversed(self.journal.history()) if entry.sequence > self._told_entries]
        for entry in entries:
            self._told_entries = entry.sequence
            if event := _event_of_entry(week, entry, served):
                yield event
        for decision in reversed(self._decisions.of_model(MODEL)):
            if decision.id not in self._told_decisions:
                self._told_decisions.add(decision.id)
                yield _event_of_decision(week, decision)

    def _promote_bad_model(self, week: int) -> Event:
        """Do what a person in a hurry does: train in a notebook, publish, promote by hand, past the gate."""
        as_of = flights.week_end(week)
        context = TrainingContext(model=MODEL, as_of=as_of, data=flights.extract(as_of, self._data_folder))
        trained = flights.make_bad(context)
        with tempfile.TemporaryDirectory(prefix="exia-") as folder:
            file = Path(folder) / "model.skops"
            format_named("skops").save(trained.model, file)
            version = self._library.publish(MODEL, file, format="skops", metrics=trained.metrics)
        self._library.promote(version.reference, by="a person", reason="forced past the gate, for the demo")
        return Event(
            week=week,
            action="promoted by hand",
            version=version.number,
            detail=f"a model trained on inverted labels: exia promote {version.reference}",
        )


def run(
    *,
    folder: Path,
    keep_up: bool,
    connected: ConnectedLibrary | None = None,
    settings: SettingsInConsul | None = None,
) -> int:
    """Run the demo in a folder of its own and tell its story.

    :param folder: made if absent; what an earlier demo left in it is removed first
    :param keep_up: leave Airflow running at the end until Ctrl-C
    :param connected: the library to use; None: an embedded one in the folder
    :param settings: what every training takes a snapshot of; None: it works with those in the code
    :returns: the exit code
    :raises InvalidInput: the folder holds something else
    """
    from airflow_provider_exia.demo.report import Report

    home = _fresh_folder(folder.absolute())
    report = Report(home)
    started, started_at = time.monotonic(), datetime.now(UTC)
    dags_folder = home / "dags"
    spec = settings.spec(SPEC, home) if settings else SPEC
    if settings:
        report.step(settings.sentence)
    report.step(f"compiling {spec.name} into {dags_folder}")
    compile_specs([spec], dags_folder)
    airflow_home = home / "airflow"
    # Drawing writes caches, by default into the home folder: like all else they go into the demo's.
    os.environ["MPLCONFIGDIR"] = str(airflow_home / "matplotlib")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # to whom Airflow, once imported, would lend its voice
    connections = {name: text for place in (connected, settings) if place for name, text in place.connections.items()}
    with running_airflow(
        airflow_home, dags_folder=dags_folder, preload=PRELOADED, connections=connections, progress=report.step
    ) as airflow:
        with connected.library if connected else _embedded(airflow_home) as library:
            report.step("waiting for the DAGs to be read")
            for dag_id in (TRAIN_DAG, WEEKLY_DAG):
                airflow.client.wait_for_dag(dag_id, parsed_after=started_at)
            teller = StoryTeller(airflow, library, flights.data_folder(airflow_home), report.tell)
            story = teller.live()
            report.finish(story, Policy(**read_spec(SPEC).policy()), seconds=time.monotonic() - started)
            named = f"--connection {connected.conn_id}" if connected else ""
            report.journal(named)
            if settings:
                report.snapshot(named, library.resolve(MODEL))
        if keep_up:
            _keep_up(airflow, report)
    return 0


def _embedded(airflow_home: Path) -> ModelLibrary:
    documents, blobs = embedded_locations(airflow_home)
    return open_library(documents, blobs=blobs, by="exia demo")


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


def _event_of_entry(week: int, entry: MonitorEntry, served: int) -> Event | None:
    if entry.action not in ("degraded", "baked", "halted", "rolled back"):
        if entry.blind_since is not None and entry.action == "heard":
            detail = f"no label since {entry.heard_at.date()}: silence is an alarm"
            return Event(week=week, action="blind", version=served, detail=detail)
        return None
    return Event(week=week, action=entry.action, version=served, detail=entry.reason)


def _event_of_decision(week: int, decision: GateDecision) -> Event:
    judgement = decision.judgement
    action = "refused" if judgement.verdict == "refused" else "promoted"
    if judgement.champion_loss is None:
        detail = f"the first champion; Brier {judgement.challenger_loss:.4f} on its holdout"
    else:
        detail = (
            f"Brier {judgement.champion_loss:.4f} -> {judgement.challenger_loss:.4f}, gain {judgement.gain:+.4f}, "
            f"lower bound {judgement.lower_bound:+.4f} against {decision.model}/{decision.champion}"
        )
    return Event(week=week, action=action, version=decision.challenger, detail=detail)
