"""Write the library that later releases have to read: ``python -m tests.compatibility.make_library``.

It is made once more on SQLite and on a Mongo wire server for each release that changes what is stored, into a folder of
that release's name. The folder of a release that is out is never written again.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.model_library.annotations import ANNOTATIONS, Annotation
from airflow_provider_exia.model_library.copying import copy_versions
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import (
    MODEL_JOURNAL,
    PINS,
    VERSIONS,
    JournalEntry,
    Lineage,
    Pin,
    Role,
    Version,
)
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.signing import read_keys
from airflow_provider_exia.monitoring.decisions import DECISIONS, DecisionLog, GateDecision
from airflow_provider_exia.monitoring.entries import MONITOR_JOURNAL, Evidence, MonitorEntry
from airflow_provider_exia.monitoring.gate import Judgement, Verdict
from airflow_provider_exia.monitoring.journal import MonitorJournal, MonitorStores
from airflow_provider_exia.monitoring.points import POINTS, Point, PointLog
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import MonitorState
from airflow_provider_exia.storage.codec import from_document
from airflow_provider_exia.storage.documents import Collection, Query, StoreRefused
from airflow_provider_exia.storage.opening import open_blobs, open_documents
from tests.servers.catalogue import make

if TYPE_CHECKING:
    from pymongo.database import Database

FOLDER = Path(__file__).with_name("library_0_1")
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
HMAC_KEY = f"hmac:{base64.b64encode(b'no secret, for compatibility only').decode()}"
ED25519_KEY = f"ed25519:{base64.b64encode(b'no secret, compatibility tests..').decode()}"
RECORDS: tuple[tuple[Collection, type[Any]], ...] = (
    (VERSIONS, Version),
    (MODEL_JOURNAL, JournalEntry),
    (PINS, Pin),
    (ANNOTATIONS, Annotation),
    (MONITOR_JOURNAL, MonitorEntry),
    (POINTS, Point),
    (DECISIONS, GateDecision),
)


class StoryClock:
    """A clock that goes on by a second whenever somebody looks, and by days where the story says so."""

    def __init__(self) -> None:
        self._now = EPOCH
        self._monotonic = itertools.count()

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def monotonic(self) -> float:
        return next(self._monotonic) / 1000

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def pass_by(self, **time: float) -> None:
        """Let time pass."""
        self._now += timedelta(**time)


def open_for_story(documents: str, blobs: str, clock: StoryClock) -> Callable[[str], ModelLibrary]:
    """Return what opens the one library with one key or the other."""
    tokens = itertools.count(1)
    stores = open_documents(documents), open_blobs(blobs)

    def open_with(key: str) -> ModelLibrary:
        resources = Resources(
            documents=stores[0],
            blobs=stores[1],
            new_token=lambda: f"token-{next(tokens)}",
            keys=read_keys(key, [HMAC_KEY, ED25519_KEY]),
            clock=clock,
        )
        return ModelLibrary(resources, by="ann")

    return open_with


class FullBlobs:
    """A blob store that takes nothing more."""

    def __init__(self, blobs: Any) -> None:
        self._blobs = blobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def put(self, *_: Any, **__: Any) -> None:
        raise StoreRefused("the disk is full; nothing was written")


def tell(documents: str, blobs: str, folder: Path) -> None:
    """Live the story that the library holds."""
    clock = StoryClock()
    open_with = open_for_story(documents, blobs, clock)
    ours, theirs = open_with(HMAC_KEY), open_with(ED25519_KEY)
    publish_versions(ours, theirs, folder)
    live_with_them(ours, clock)
    begin(ours, folder, limit=6)
    copy_from_elsewhere(theirs, folder)
    watch_over_them(ours)
    ours.annotations.tag("rules/2", {"team": "delays", "reviewed": "yes"})
    ours.annotations.note("rules/2", "grüße")
    ours.annotations.note("rules", "what delays cost")
    ours.close()


def publish_versions(ours: ModelLibrary, theirs: ModelLibrary, folder: Path) -> None:
    """Publish versions 1 to 4 of ``rules``, begin 5, and publish a value that lies in its document."""
    everything = Lineage(
        as_of=EPOCH,
        data_digest="d" * 64,
        parameters={"depth": 3, "names": ["ä", "b"]},
        training_blocks=("2026-10-01", "2026-10-02"),
        dag_run={"dag_id": "rules_train", "run_id": "manual__1", "task_id": "train", "map_index": -1},
        code_version="1.2.3",
        environment={"python": "3.11.2", "scikit-learn": "1.7.0"},
        champion="rules/1",
        snapshot={"prefix": "team", "values": {"limit": 10}, "digest": "e" * 64},
    )
    ours.publish("rules", write(folder, "model.json", {"limit": 1}), format="json", work="first")
    theirs.publish(
        "rules",
        [
            SourceFile(source=write(folder, "model.json", {"limit": 2})),
            SourceFile(source=write(folder, "holdout.csv", "a,b\n1,2\n"), role=Role.HOLDOUT),
            SourceFile(source=write(folder, "words.txt", "grüße"), path="tokens/words.txt", role=Role.OTHER),
        ],
        format="json",
        metrics={"brier": 0.1975, "rows": 1e6},
        lineage=everything,
        input_schema={"a": "int64", "b": "float64"},
        work="second",
    )
    ours.publish("rules", write(folder, "model.json", {"limit": 3}), format="json", work="second")
    ours.publish("rules", write(folder, "weights.bin", "\0\1\2"), format="raw", work="raw")
    begin(ours, folder, limit=5)
    theirs.publish_inline("settings", {"words": ["grüße", 1.5, None]}, metrics={"words": 3}, work="inline")


def begin(ours: ModelLibrary, folder: Path, *, limit: int) -> None:
    """Begin a publication of which no file arrives."""
    full = ModelLibrary(replace(ours.resources, blobs=FullBlobs(ours.resources.blobs)), by="ann")
    with suppress(StoreRefused):
        full.publish("rules", write(folder, "model.json", {"limit": limit}), format="json", work=f"work {limit}")


def live_with_them(ours: ModelLibrary, clock: StoryClock) -> None:
    """Write every action into the journal; version 1 ends collected, version 4 retired, version 5 abandoned."""
    ours.promote("rules/1", reason="the first one")
    ours.promote("rules/2", expected=1, decision="rules:work-2", by="bob")
    ours.promote("rules/3", alias="challenger", token="a token of ours")
    ours.resolve_pinned("rules@champion", scope="run-1")
    ours.promote("rules/3")
    ours.rollback("rules", reason="too many complaints")
    ours.retire("rules/4")
    ours.restore("rules/4")
    ours.retire("rules/1", reason="old")
    clock.pass_by(days=10)
    ours.retire("rules/4", reason="nobody asked for it")
    ours.collect("rules", delete=True)


def copy_from_elsewhere(theirs: ModelLibrary, folder: Path) -> None:
    """Take a version over from another library."""
    clock = StoryClock()
    elsewhere = open_for_story(f"sqlite:///{folder}/elsewhere.db", f"file://{folder}/elsewhere", clock)(HMAC_KEY)
    with elsewhere:
        elsewhere.publish("copied", write(folder, "model.json", {"copied": True}), format="json", work="w")
        assert [copied.is_new for copied in copy_versions(elsewhere, theirs, "copied")] == [True]


def watch_over_them(ours: ModelLibrary) -> None:
    """Keep a decision of each kind, points with a re-measurement and a gap, and the journal of a monitor."""
    documents, clock = ours.resources.documents, ours.resources.clock
    policy = Policy(metric="brier", direction="lower", enter=0.2, exit=0.18)
    refused = Judgement(
        verdict=Verdict.REFUSED,
        reasons=("the gain is too small",),
        champion_loss=0.2,
        challenger_loss=0.199,
        gain=0.001,
        lower_bound=-0.002,
        rows=1000,
        blocks=20,
        slice_gains={"carrier=AA": -0.01},
    )
    for work, champion, judgement in (("work-2", None, Judgement(verdict=Verdict.FIRST)), ("work-3", 2, refused)):
        decision = GateDecision(
            model="rules",
            work=work,
            challenger=3,
            champion=champion,
            alias="champion",
            since=2,
            holdout_digest="f" * 64 if champion else None,
            policy=policy.as_document(),
            judgement=judgement,
            at=clock.now(),
        )
        DecisionLog(documents).record(decision)
    log, point = (
        PointLog(documents),
        Point(model="rules", monitor="brier", metric="brier", event_time=EPOCH, value=0.21),
    )
    log.record(point)
    log.record(replace(point, version=2, samples=10, value=0.25))
    log.record(replace(point, version=2, samples=20, value=0.24, source="labels"))
    log.record(replace(point, version=2, samples=30, value=float("nan"), event_time=EPOCH + timedelta(days=1)))
    keep_monitor(MonitorJournal(MonitorStores(documents=documents, clock=clock, new_token=str), "rules", "brier"))


def keep_monitor(journal: MonitorJournal) -> None:
    """Let a monitor live through an episode, a bake and silence."""

    def then(state: MonitorState, action: str, **more: Any) -> None:
        before = journal.newest()
        assert before is not None
        after = replace(before, state=state, action=action, **more)
        journal.append(before, after, by="rules_week/week-1/watch.evaluate")

    days = [EPOCH + timedelta(days=number) for number in range(8)]
    bad = (Evidence(event_time=days[0], value=0.25, samples=10, previous=0.2),)
    journal.begin(state=MonitorState.HEALTHY, watching=2, event_time=days[0], by="ann", policy_digest="a" * 64)
    then(MonitorState.SUSPECT, "heard", evidence=bad, event_time=days[1], heard_at=days[1])
    opened = {"episode": 1, "episode_opened_at": days[2], "last_action_at": days[2], "recent_actions": (days[2],)}
    then(MonitorState.DEGRADED, "degraded", reason="brier 0.25 above 0.2", event_time=days[2], **opened)
    then(MonitorState.RETRAINING, "accepted", ticket="ticket-1")
    then(MonitorState.ENDED, "refused", rejections=1)
    then(MonitorState.CANDIDATE, "promoted", watching=5, bake_since=days[5], counts_from=days[5], event_time=days[5])
    then(MonitorState.CANDIDATE, "heard", blind_since=days[7], event_time=days[7])


def write(folder: Path, name: str, content: object) -> Path:
    """Write a file to publish."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def dump(database: Database[dict[str, Any]]) -> Iterator[str]:
    """Yield every document of a database as mongoexport writes it, with the name of its collection in front."""
    from bson import json_util

    for name in sorted(database.list_collection_names()):
        for kept in database[name].find().sort("_id"):
            if not isinstance(kept["_id"], str):  # made by the server, and no concern of ours
                del kept["_id"]
            yield f"{name}\t{json_util.dumps(kept, ensure_ascii=True)}\n"


def unused_fields(library: ModelLibrary) -> set[str]:
    """Return the fields that no record of the library uses: a fixture that leaves one out shows nothing about it."""
    used: set[str] = set()
    known: set[str] = set()

    def look(kind: type, values: Any) -> None:
        for field in fields(kind):
            name, value = f"{kind.__name__}.{field.name}", getattr(values, field.name)
            known.add(name)
            if value not in (None, (), {}, "", 0):
                used.add(name)
            for part in value if isinstance(value, tuple) else [value]:
                if is_dataclass(part):
                    look(type(part), part)

    for collection, kind in RECORDS:
        for document in library.resources.documents.find(collection, Query(order=collection.identity[0])):
            look(kind, from_document(kind, document))
    return known - used


def main() -> None:
    from pymongo import MongoClient

    with tempfile.TemporaryDirectory() as work, make("mongo") as server:
        made, sources = Path(work) / "made", Path(work) / "sources"
        for backend in ("sqlite", "mongo"):
            (sources / backend).mkdir(parents=True)
        tell(f"sqlite:///{made}/library.db", f"file://{made}/blobs", sources / "sqlite")
        url = server.fresh_documents_url()  # type: ignore[attr-defined]  # the Mongo wire server keeps documents
        tell(url, f"file://{work}/blobs-beside-mongo", sources / "mongo")
        with MongoClient(url) as client:
            (made / "mongo.jsonl").write_text("".join(dump(client.get_default_database())), encoding="ascii")
        with open_for_story(f"sqlite:///{made}/library.db", f"file://{made}/blobs", StoryClock())(HMAC_KEY) as library:
            if unused := unused_fields(library):
                sys.exit(f"no document uses {', '.join(sorted(unused))}: let the story use them")
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(made, FOLDER)
    print(*sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()), sep="\n")


if __name__ == "__main__":
    main()
