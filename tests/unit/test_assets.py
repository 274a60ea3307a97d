"""A model as an asset: its names, and what an event tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.assets import MODEL_EVENTS, announce_move, announce_version, model_asset
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.operators.model import ModelPromoteOperator, ModelReadOperator
from tests.unit.operators.conftest import context_of, events_in

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    """A library with two versions of ``churn``."""
    library = open_library(f"sqlite:///{tmp_path}/library.db", blobs=f"file://{tmp_path}/blobs", by="ann")
    for number in (1, 2):
        source = tmp_path / "model.json"
        source.write_text(json.dumps(number))
        library.publish("churn", source, format="json")
    return library


def test_a_model_and_its_alias_are_assets_of_the_connection_they_are_published_through() -> None:
    assert model_asset("churn").uri == "exia-model://exia_default/churn"
    assert model_asset("churn", alias="champion").uri == "exia-model://exia_default/churn@champion"
    assert model_asset("churn", exia_conn_id="exia_prod").uri == "exia-model://exia_prod/churn"


@pytest.mark.parametrize("conn_id", ["exia#prod", "exia/prod", "exia:prod", "exia\\prod", "exia(prod)!"])
def test_every_id_that_airflow_takes_for_a_connection_keeps_its_models_apart(conn_id: str) -> None:
    names = [model_asset(model, exia_conn_id=conn_id).uri for model in ("churn", "delay")]
    names += [model_asset("churn", exia_conn_id=other).uri for other in ("exia", "prod", "exia_prod")]

    assert len(set(names)) == 5
    assert all(name.endswith(("/churn", "/delay")) for name in names)


@pytest.mark.parametrize(("model", "alias"), [("Churn!", None), ("churn", "latest"), ("churn", "a b")])
def test_what_can_be_no_model_or_alias_is_no_asset(model: str, alias: str | None) -> None:
    with pytest.raises(InvalidInput):
        model_asset(model, alias=alias)


def test_a_publication_is_told_to_the_model_alone(library: ModelLibrary) -> None:
    context: Any = context_of()
    version = library.resolve("churn/2")

    announce_version(context, "exia_default", version)

    told = {"action": "publish", "reference": "churn/2", "version": 2, "digest": version.digest}
    assert events_in(context) == [("exia-model://exia_default/churn", told)]


def test_a_move_is_told_to_the_model_and_to_the_alias(library: ModelLibrary) -> None:
    context: Any = context_of()
    entry = library.promote("churn/2", reason="better")

    announce_move(context, "exia_default", entry, library.resolve("churn/2"))

    (of_model, told), (of_alias, told_again) = events_in(context)
    assert (of_model, of_alias) == ("exia-model://exia_default/churn", "exia-model://exia_default/churn@champion")
    assert told == told_again
    assert told == {
        "action": "promote",
        "reference": "churn/2",
        "version": 2,
        "digest": library.resolve("churn/2").digest,
        "alias": "champion",
        "since": 1,
        "by": "ann",
        "reason": "better",
    }


def test_only_tasks_that_can_publish_or_move_have_the_events_as_outlet_beside_the_author_s_own() -> None:
    moving = ModelPromoteOperator(task_id="move", reference="churn/1", outlets=[model_asset("sales")])
    reading = ModelReadOperator(task_id="read", reference="churn/1")

    assert moving.outlets == [model_asset("sales"), MODEL_EVENTS]
    assert reading.outlets == []
