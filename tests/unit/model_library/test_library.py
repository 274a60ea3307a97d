"""The library as one object."""

from __future__ import annotations

import getpass
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import NotFound
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.records import AliasState, State
from airflow_provider_exia.storage.codec import DamagedDocument
from tests.unit.model_library.test_resolving import set_state

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import MakeFile, Publish


def test_models_lists_every_name_once_in_order_though_some_begin_like_others(
    library: ModelLibrary, publish: Publish
) -> None:
    names = ["a", "a_b", "ab", "a0", "a_", "b", "abc", "a_b_c", "z9"]
    for name in names:
        publish(name)
        publish(name)

    assert library.models() == sorted(names)


def test_models_and_versions_come_page_by_page(library: ModelLibrary, publish: Publish) -> None:
    for model in ("delay", "delay_2", "fare", "fare_x"):
        publish(model, {"of": model})
    for number in (2, 3, 4):
        publish("fare", {"number": number})

    assert library.models(limit=3) == ["delay", "delay_2", "fare"]
    assert library.models(limit=3, after="fare") == ["fare_x"]
    assert library.models(after="fare_x") == []
    assert library.models(after="f") == ["fare", "fare_x"]
    assert [version.number for version in library.versions("fare", limit=3)] == [4, 3, 2]
    assert [version.number for version in library.versions("fare", limit=3, before=2)] == [1]
    assert library.versions("fare", before=1) == []


def test_a_page_of_nothing_is_refused(library: ModelLibrary, publish: Publish) -> None:
    publish("fare", {"number": 1})

    with pytest.raises(InvalidInput, match="limit 0: expected how many"):
        library.models(limit=0)
    with pytest.raises(InvalidInput, match="limit -1: expected how many"):
        library.versions("fare", limit=-1)


@pytest.mark.parametrize("name", [None, 7, "delay"])
def test_a_document_that_does_not_name_its_model_is_damaged_and_no_model_is_listed_twice(
    library: ModelLibrary, publish: Publish, tmp_path: Path, name: object
) -> None:
    for model in ("delay", "fare", "sales"):
        publish(model, {"of": model})
    with closing(sqlite3.connect(tmp_path / "library.db")) as database, database:
        (body,) = database.execute("select body from exia_versions where model = 'fare'").fetchone()
        changed = json.dumps({**json.loads(body), "model": name})
        database.execute("update exia_versions set body = ? where model = 'fare'", (changed,))

    with pytest.raises(DamagedDocument, match="model 'fare', .* damaged at 'model': its text says"):
        library.models(limit=3)
    assert library.models(after="fare") == ["sales"]


def test_an_empty_library_has_no_models(library: ModelLibrary) -> None:
    assert library.models() == []


def test_versions_lists_all_newest_first_whatever_their_state(library: ModelLibrary, publish: Publish) -> None:
    for _ in range(11):
        publish()
    set_state(library, library.resolve("delay/3"), State.PENDING)
    publish("other")

    versions = library.versions("delay")

    assert [version.number for version in versions] == list(range(11, 0, -1))
    assert {version.number for version in versions if version.state is not State.READY} == {3}


@pytest.mark.parametrize(("direction", "best"), [("lower", 2), ("higher", 4)])
def test_the_best_version_by_a_metric(library: ModelLibrary, publish: Publish, direction: Any, best: int) -> None:
    for value in (0.3, 0.1, 0.2, 0.4):
        publish(metrics={"brier": value})

    assert library.select("delay", best="brier", direction=direction).number == best


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_of_equals_the_newest_is_the_best(library: ModelLibrary, publish: Publish, direction: Any) -> None:
    for _ in range(3):
        publish(metrics={"brier": 0.2})

    assert library.select("delay", best="brier", direction=direction).number == 3


def test_the_best_is_in_use_published_and_has_the_metric(library: ModelLibrary, publish: Publish) -> None:
    chosen = publish(metrics={"brier": 0.3})
    publish(metrics={"auc": 0.0})
    retired = publish(metrics={"brier": 0.1})
    pending = publish(metrics={"brier": 0.05})
    library.retire(retired.reference)
    set_state(library, pending, State.PENDING)

    assert library.select("delay", best="brier") == chosen


def test_zero_and_negative_metrics_are_metrics(library: ModelLibrary, publish: Publish) -> None:
    for value in (0.0, -1.5, 1.0):
        publish(metrics={"gain": value})

    assert library.select("delay", best="gain", direction="lower").number == 2
    assert library.select("delay", best="gain", direction="higher").number == 3


def test_no_version_with_the_metric_says_how_to_record_one(library: ModelLibrary, publish: Publish) -> None:
    publish(metrics={"auc": 0.9})

    with pytest.raises(NotFound, match=r"no version of 'delay' in use has a metric 'brier': publish with metrics="):
        library.select("delay", best="brier")


def test_another_direction_is_refused(library: ModelLibrary, publish: Publish) -> None:
    publish(metrics={"auc": 0.9})

    with pytest.raises(InvalidInput, match="direction 'up': expected 'lower' or 'higher'"):
        library.select("delay", best="auc", direction="up")


def test_an_alias_that_was_never_set_stands_at_nothing(library: ModelLibrary) -> None:
    assert library.alias("delay") == AliasState(since=0, stack=())
    assert library.aliases("delay") == {}


def test_who_acts_is_the_call_then_the_library_then_the_login(
    library: ModelLibrary, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setenv("LOGNAME", "login_name")
    anonymous = ModelLibrary(library.resources)

    names = [entry.by for entry in (library.promote("delay/1", by="bob"), library.promote("delay/1"))]
    names.append(anonymous.promote("delay/1").by)

    assert names == ["bob", "ann", "login_name"]


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set")])
def test_a_container_user_without_a_name_can_act_too(
    library: ModelLibrary, publish: Publish, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def nameless() -> str:  # as in a container whose user is not in /etc/passwd
        raise error

    publish()
    monkeypatch.setattr(getpass, "getuser", nameless)

    assert ModelLibrary(library.resources).promote("delay/1").by == "unknown"


def test_a_loaded_version_may_be_given_itself(library: ModelLibrary, publish: Publish) -> None:
    version = publish(value=[1])

    assert library.load(version) == [1]


def test_a_library_opened_by_urls_keeps_what_it_is_given(tmp_path: Path, make_file: MakeFile) -> None:
    documents, blobs = f"sqlite:///{tmp_path}/folder/exia.db", f"file://{tmp_path}/my%20blobs"
    with open_library(documents, blobs=blobs, by="ann") as library:
        library.publish("delay", str(make_file(content=[1])), format="json")
        library.promote("delay/1")

    with open_library(documents, blobs=blobs) as again:
        assert again.load("delay@champion") == [1]
        assert again.history("delay")[0].by == "ann"
    assert (tmp_path / "my blobs").is_dir()


def test_a_library_opened_by_urls_obeys_its_policy(tmp_path: Path) -> None:
    policy = LoadPolicy(formats=frozenset({"json"}))

    library = open_library(f"sqlite:///{tmp_path}/exia.db", blobs=f"file://{tmp_path}/blobs", policy=policy)

    assert library.policy is policy


@pytest.mark.parametrize("url", ["", "redis://server/0", "exia.db", "/var/lib/exia.db"])
def test_a_document_store_of_another_kind_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidInput, match="as in 'sqlite:////var/lib/exia/library.db'"):
        open_library(url, blobs="file:///tmp/blobs")


@pytest.mark.parametrize("url", ["", "/var/lib/blobs", "file:blobs", "file://blobs", "file://", "http://x/y"])
def test_a_blob_store_of_another_kind_is_refused_with_an_example(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="expected a folder's URL, as in 'file:///var/lib/exia/blobs'"):
        open_library(f"sqlite:///{tmp_path}/exia.db", blobs=url)
