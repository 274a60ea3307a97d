"""`exia demo` as a person runs it: the same story each time, inside its own folder, and nothing left over."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import psutil
import pytest

from airflow_provider_exia.demo import flights
from airflow_provider_exia.demo.story import MODEL, MONITOR
from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.model_library.records import JournalEntry
from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision
from airflow_provider_exia.monitoring.entries import MonitorEntry
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from tests.airflow.test_services import connection_to
from tests.conftest import AIRFLOW_HOME
from tests.servers.session import fresh_blobs_url, fresh_documents_url, shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

PNG = b"\x89PNG\r\n\x1a\n"

STORY = [
    (4, 1, "promoted"),
    (11, 1, "degraded"),
    (11, 2, "refused"),
    (15, 1, "degraded"),
    (15, 3, "promoted"),
    (19, 3, "baked"),
    (25, 3, "degraded"),
    (25, 4, "promoted"),
    (29, 4, "baked"),
    (29, 4, "degraded"),
    (29, 5, "refused"),
    (36, 6, "promoted by hand"),
    (38, 6, "rolled back"),
    (43, 4, "blind"),
    (49, 4, "degraded"),
    (49, 7, "refused"),
]
"""Week, version and what happened. A simulation foretold 11, 15, 25, 31 and 49; in the real year 31 is 29."""

SAME_PACE = "import sys; from airflow_provider_exia.cli.main import main; sys.argv[0] = 'exia'; main()"
SLOWER = """
import sys, time
from airflow_provider_exia.cli.main import main
from airflow_provider_exia.demo.story import StoryTeller

week_run = StoryTeller._run

def after_a_while(self, dag_id, week):
    time.sleep(1.5 * (week % 3 == 0))
    week_run(self, dag_id, week)

StoryTeller._run = after_a_while
sys.argv[0] = "exia"
main()
"""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a demo left behind."""

    folder: Path
    surroundings: Path
    exit_code: int
    output: str
    monitor: list[MonitorEntry]
    moves: list[JournalEntry]
    decisions: list[GateDecision]
    processes: list[str]
    snapshots: list[Mapping[str, Any] | None]


def run_demo(
    place: Path, program: str = SAME_PACE, *, stores: tuple[str, str] | None = None, consul: Consul | None = None
) -> Demo:
    """Run the demo in a folder, with a home, a folder for temporary files and Airflow settings of its own around it.

    :param stores: the URLs of documents and blobs on servers, which the demo is then given by naming one connection
    :param consul: where its training settings lie
    """
    surroundings = place / "surroundings"
    for name in ("home", "tmp", "cwd"):
        (surroundings / name).mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "XDG", "MPL"))}
    environment |= {
        "HOME": str(surroundings / "home"),
        "TMPDIR": str(surroundings / "tmp"),
        # A person's own Airflow, with settings under which the demo could not run.
        "AIRFLOW_HOME": str(surroundings / "airflow"),
        "AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nowhere.invalid/airflow",
        "AIRFLOW__CORE__DAGS_FOLDER": str(surroundings / "dags"),
        "AIRFLOW_CONN_EXIA_DEFAULT": "exia://nowhere.invalid",
    }
    command = [sys.executable, "-c", program, "demo", "--folder", str(place / "demo")]
    if stores:
        command += ["--connection", "exia_servers"]
        environment |= connections_to(*stores)
    if consul:
        command += ["--parameters", "consul_demo"]
        environment["AIRFLOW_CONN_CONSUL_DEMO"] = connection_to(consul)
    finished = subprocess.run(
        command, env=environment, cwd=surroundings / "cwd", capture_output=True, text=True, timeout=840, check=False
    )
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    documents, blobs = stores or embedded_locations(place / "demo" / "airflow")
    with open_library(documents, blobs=blobs, by="the test") as library:
        resources = library.resources
        stores = MonitorStores(documents=resources.documents, clock=resources.clock, new_token=resources.new_token)
        return Demo(
            folder=place / "demo",
            surroundings=surroundings,
            exit_code=finished.returncode,
            output=output,
            monitor=MonitorJournal(stores, MODEL, MONITOR).history()[::-1],
            moves=library.history(MODEL)[::-1],
            decisions=DecisionLog(resources.documents).of_model(MODEL)[::-1],
            processes=processes_around(place),
            snapshots=[version.lineage.snapshot for version in library.versions(MODEL)],
        )


def connections_to(documents: str, blobs: str) -> dict[str, str]:
    """Return the variables in which Airflow finds the connection ``exia_servers`` and the two that it names."""
    at, bucket = urlsplit(documents), urlsplit(blobs)
    connections: dict[str, dict[str, Any]] = {
        "their_mongo": {"conn_type": "mongo", "host": at.hostname, "port": at.port, "schema": at.path[1:]},
        "their_minio": {
            "conn_type": "minio",
            "host": f"http://{bucket.hostname}",
            "port": bucket.port,
            "login": bucket.username,
            "password": bucket.password,
        },
        "exia_servers": {
            "conn_type": "exia",
            "extra": {"documents": "their_mongo", "blobs": "their_minio", "bucket": bucket.path[1:]},
        },
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()}


def processes_around(place: Path) -> list[str]:
    """Return the processes whose command or environment speaks of a folder, however they came to be."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(place) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"))


def told(output: str) -> list[tuple[int, int, str]]:
    """Return the rows of the story's table: week, version, what happened."""
    rows = re.findall(r"^│\s*(\d+)\s*│\s*(\d+)\s*│\s*([a-z ]+?)\s*│", output, flags=re.MULTILINE)
    return [(int(week), int(version), action) for week, version, action in rows]


def week_of(entry: MonitorEntry) -> int:
    return (entry.event_time.timetuple().tm_yday - 2) // 7


def test_the_story_is_the_year(demo: Demo) -> None:
    assert told(demo.output) == STORY


def test_the_monitor_did_what_the_story_tells(demo: Demo) -> None:
    words = {"degraded": "degraded", "baked": "baked", "rolled back": "rolled back"}
    done = [(week_of(entry), words[entry.action]) for entry in demo.monitor if entry.action in words]

    assert done == [(week, action) for week, _, action in STORY if action in words.values()]
    accepted = [entry.episode for entry in demo.monitor if entry.action == "accepted"]
    assert accepted == [1, 2, 3, 4, 5]
    # A gate's refusal ends the episode at the next week's evaluation.
    refused = [(week_of(entry), entry.episode) for entry in demo.monitor if entry.action == "refused"]
    assert refused == [(12, 1), (30, 4), (50, 5)]


def test_the_gate_decided_what_the_story_tells(demo: Demo) -> None:
    verdicts = [(decision.challenger, decision.judgement.verdict) for decision in demo.decisions]
    assert verdicts == [(1, "first"), (2, "refused"), (3, "accepted"), (4, "accepted"), (5, "refused"), (7, "refused")]
    losses = {decision.challenger: decision.judgement for decision in demo.decisions}
    # scikit-learn's versions may differ a little.
    assert losses[2].champion_loss == pytest.approx(0.2000, abs=0.002)
    assert losses[3].gain == pytest.approx(0.0153, abs=0.002)
    assert losses[4].gain == pytest.approx(0.0167, abs=0.002)
    assert losses[7].gain == pytest.approx(-0.0012, abs=0.002)


def test_the_bad_model_is_taken_back_with_nobody_acting(demo: Demo) -> None:
    by_hand, back = demo.moves[-2:]
    assert [(move.action, move.version) for move in demo.moves] == [
        ("promote", 1),
        ("promote", 3),
        ("promote", 4),
        ("promote", 6),
        ("rollback", 4),
    ]
    assert by_hand.by == "a person"
    assert back.by == "flight_delay_infer/week-38/watch.evaluate"
    assert back.token == f"auto:{MONITOR}:{by_hand.sequence}"
    # The rollback itself is not baked.
    assert {entry.state for entry in demo.monitor if entry.watching == back.sequence and not entry.blind_since} >= {
        "ROLLED_BACK",
        "HEALTHY",
    }
    assert [entry for entry in demo.monitor if entry.watching == back.sequence and entry.state == "CANDIDATE"] == []


def test_silence_is_seen_once_and_ends(demo: Demo) -> None:
    blind = [week_of(entry) for entry in demo.monitor if entry.blind_since is not None]
    assert blind == [43]


def test_the_year_is_drawn(demo: Demo) -> None:
    chart = (demo.folder / "story.png").read_bytes()
    assert chart.startswith(PNG)
    assert len(chart) > 20_000


def test_nothing_is_left_running(demo: Demo) -> None:
    assert demo.processes == []


def test_nothing_is_written_outside_the_folder(demo: Demo) -> None:
    left = sorted(str(path.relative_to(demo.surroundings)) for path in demo.surroundings.rglob("*"))
    assert left == ["cwd", "home", "tmp"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    refused = subprocess.run(
        [sys.executable, "-c", SAME_PACE, "demo", "--folder", str(tmp_path)],
        env=os.environ | {"AIRFLOW_HOME": str(AIRFLOW_HOME)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert "is not empty and no earlier demo made it" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# The same year again


PASSING = ("at", "state_since", "ticket", "revision")
"""What differs from run to run: wall times, and what is drawn by lot."""


def comparable(demo: Demo) -> Mapping[str, Any]:
    """Return what has to be the same whenever the year is lived."""
    monitor = [without(entry, PASSING) for entry in demo.monitor]
    moves = [without(move, ("at", "token", "decision", "revision")) for move in demo.moves]
    decisions = [without(decision, ("at", "id", "work", "holdout_digest", "revision")) for decision in demo.decisions]
    return {"monitor": monitor, "moves": moves, "decisions": decisions}


def without(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    fields = dataclasses.fields(record)
    return {field.name: getattr(record, field.name) for field in fields if field.name not in names}


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("program", [SAME_PACE, SLOWER], ids=["again", "at-another-speed"])
def test_the_year_is_the_same(demo: Demo, tmp_path: Path, program: str) -> None:
    other = run_demo(tmp_path, program)

    assert comparable(other) == comparable(demo)
    assert told(other.output) == STORY


@pytest.mark.full
@pytest.mark.servers("consul", "minio", "mongo")
@pytest.mark.timeout(1800)
def test_the_year_is_the_same_on_servers(demo: Demo, tmp_path: Path) -> None:
    consul = cast("Consul", shared("consul"))
    other = run_demo(tmp_path, stores=(fresh_documents_url("mongo"), fresh_blobs_url("minio")), consul=consul)

    assert comparable(other) == comparable(demo)
    assert told(other.output) == told(demo.output) == STORY
    assert not (tmp_path / "demo" / "airflow" / "exia").exists(), "nothing was kept in the embedded library"
    trained = [snapshot for snapshot in other.snapshots if snapshot is not None]
    assert len(trained) == len(other.snapshots) - 1, "all but the one that a person made"
    assert {snapshot["digest"] for snapshot in trained} == {trained[0]["digest"]}
    assert trained[0]["values"] == flights.SETTINGS
    assert f"digest {trained[0]['digest'][:12]}" in other.output
    assert consul.token not in other.output
    secret = urlsplit(fresh_blobs_url("minio")).password or ""
    assert secret not in other.output
    assert [str(path) for path in other.folder.rglob("*.log") if secret in path.read_text(errors="replace")] == []


@pytest.mark.servers("minio", "mongo")
def test_a_library_that_holds_the_model_already_is_refused(tmp_path: Path) -> None:
    stores = fresh_documents_url("mongo"), fresh_blobs_url("minio")
    (tmp_path / "model.json").write_text("{}")
    with open_library(stores[0], blobs=stores[1]) as library:
        library.publish(MODEL, tmp_path / "model.json", format="json")

    refused = subprocess.run(
        [sys.executable, "-c", SAME_PACE, "demo", "--folder", str(tmp_path / "demo"), "--connection", "exia_servers"],
        env=os.environ | {"AIRFLOW_HOME": str(AIRFLOW_HOME)} | connections_to(*stores),
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert "the library of connection 'exia_servers' already holds a model 'flight_delay'" in refused.stderr
    assert not (tmp_path / "demo").exists()
