"""A protected alias is moved by those who are named for it, and by nobody else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.permissions import AliasProtected, Permissions, read_permissions
from airflow_provider_exia.task_identity import Actor, person, task_actor

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources
    from tests.unit.model_library.conftest import Publish

MOVERS = {"champion": ["dag:delay_train", "person:ann"], "delay@challenger": ["monitor"]}


def task(dag_id: str, *, automatic: bool = False) -> Actor:
    instance = SimpleNamespace(dag_id=dag_id, run_id="week-9", task_id="promote", map_index=-1)
    return task_actor({"ti": instance}, automatic=automatic)


@pytest.fixture
def protected(resources: Resources, publish: Publish) -> ModelLibrary:
    """A library with protected aliases and three versions."""
    for _ in range(3):
        publish()
    return ModelLibrary(resources, by="bob", protected=read_permissions(MOVERS))


def test_a_named_dag_and_a_named_person_move_a_protected_alias(protected: ModelLibrary) -> None:
    by_task = protected.promote("delay/1", by=task("delay_train"))
    protected.promote("delay/2", by="ann")

    assert by_task.by == "delay_train/week-9/promote"
    assert protected.rollback("delay", by=task("delay_train")).version == 1


def test_anybody_else_is_refused_with_the_names_of_those_who_may(protected: ModelLibrary) -> None:
    with pytest.raises(AliasProtected) as caught:
        protected.promote("delay/1")

    assert str(caught.value) == (
        "alias 'champion' of 'delay' is protected: it is moved by the DAG delay_train or ann, not by bob; let one "
        "of them do it, or change the protected aliases of the connection"
    )
    assert protected.alias("delay").since == 0


@pytest.mark.parametrize("forged", ["delay_train", "delay_train/week-9/promote", "dag:delay_train", "monitor"])
def test_a_person_cannot_pass_as_a_dag(protected: ModelLibrary, forged: str) -> None:
    with pytest.raises(AliasProtected, match="it is moved by the DAG delay_train or ann"):
        protected.promote("delay/1", by=forged)


def test_a_dag_cannot_pass_as_a_person(protected: ModelLibrary) -> None:
    with pytest.raises(AliasProtected, match="not by the DAG ann"):
        protected.promote("delay/1", by=task("ann"))


def test_a_rollback_is_a_move_like_any_other(protected: ModelLibrary) -> None:
    protected.promote("delay/1", by="ann")
    protected.promote("delay/2", by="ann")

    with pytest.raises(AliasProtected):
        protected.rollback("delay", by=task("delay_week", automatic=True))


def test_a_monitor_may_be_allowed_its_own_rollbacks_and_nothing_else(resources: Resources, publish: Publish) -> None:
    publish()
    publish()
    free = ModelLibrary(resources)
    free.promote("delay/1", alias="challenger")
    free.promote("delay/2", alias="challenger")
    protected = ModelLibrary(resources, protected=read_permissions(MOVERS))

    with pytest.raises(AliasProtected, match="it is moved by a monitor by itself, not by the DAG delay_week"):
        protected.rollback("delay", alias="challenger", by=task("delay_week"))
    entry = protected.rollback("delay", alias="challenger", by=task("delay_week", automatic=True))

    assert entry.version == 1


def test_other_aliases_and_other_models_are_free(protected: ModelLibrary, publish: Publish) -> None:
    publish(model="churn")

    assert protected.promote("delay/1", alias="canary").alias == "canary"
    assert protected.promote("churn/1", alias="challenger").version == 1


def test_the_rule_of_a_model_stands_for_the_general_one() -> None:
    permissions = Permissions(movers={"champion": ("person:ann",), "churn@champion": ("person:bob",)})

    permissions.check("churn", "champion", person("bob"))
    with pytest.raises(AliasProtected):
        permissions.check("churn", "champion", person("ann"))


def test_what_was_done_while_it_was_allowed_is_found_again(protected: ModelLibrary, resources: Resources) -> None:
    done = protected.promote("delay/1", by="ann", token="mine")
    stricter = ModelLibrary(resources, protected=read_permissions({"champion": []}))

    assert stricter.promote("delay/1", by="ann", token="mine") == done
    with pytest.raises(AliasProtected, match="it is moved by nobody, not by ann"):
        stricter.promote("delay/2", by="ann")


@pytest.mark.parametrize("written", [None, "", "{}", {}])
def test_nothing_written_protects_nothing(written: Any) -> None:
    assert read_permissions(written).movers == {}


def test_permissions_may_be_written_as_text() -> None:
    assert read_permissions('{"champion": ["monitor"]}').movers == {"champion": ("monitor",)}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{", "it is no JSON"),
        ("[]", r"it is \[\]: expected aliases with those who may move them"),
        ({"champion": "dag:a"}, "'champion' has 'dag:a': expected a list of"),
        ({"champion": ["ann"]}, "'champion' has 'ann': expected a list of"),
        ({"champion": ["dag:"]}, "'champion' has 'dag:': expected a list of"),
        ({"champion": [3]}, r"'champion' has \[3\]: expected a list of"),
        ({"latest": ["person:ann"]}, "'latest' is no alias"),
        ({"Big One@champion": ["person:ann"]}, "Big One"),
    ],
)
def test_permissions_that_make_no_sense_are_refused(written: Any, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_permissions(written)
