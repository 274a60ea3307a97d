"""``promote_if_better`` and ``watch`` are groups of ordinary tasks, in whatever way the challenger comes about."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, XComArg, task, task_group
from airflow.sdk.definitions.mappedoperator import MappedOperator

import airflow_provider_exia.loop
from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better, watch
from airflow_provider_exia.operators.model import ModelPromoteOperator
from airflow_provider_exia.operators.model_gate import ModelGateOperator

POLICY = Policy(metric="brier", min_gain=0.002)


def score(model: Any, data: str) -> Scores:
    return Scores([0.1], ["mon"])


@task.exia_train(model="delay", format="json")
def train(context: TrainingContext, depth: int = 3) -> TrainedModel:
    return TrainedModel({"depth": depth})


def test_the_group_judges_then_promotes() -> None:
    with DAG("delay", schedule=None) as dag:
        group = promote_if_better(
            train(),
            score=score,
            policy=POLICY,
            alias="shadow",
            exia_conn_id="other",
            trusted_types=["a.B"],
            allow_pickle=True,
        )

    gate, promote = dag.get_task("promote_if_better.gate"), dag.get_task("promote_if_better.promote")
    assert isinstance(group, TaskGroup)
    assert isinstance(gate, ModelGateOperator)
    assert isinstance(promote, ModelPromoteOperator)
    assert (gate.score, gate.policy, gate.alias) == (score, POLICY, "shadow")
    assert (gate.trusted_types, gate.allow_pickle) == (("a.B",), True)
    assert (promote.alias, gate.exia_conn_id, promote.exia_conn_id) == ("shadow", "other", "other")
    assert (gate.upstream_task_ids, promote.upstream_task_ids) == ({"train"}, {gate.task_id})


def test_a_version_from_elsewhere_can_be_judged() -> None:
    with DAG("delay", schedule=None) as dag:
        promote_if_better("{{ params.version }}", score="flights.delay:score", policy=POLICY)

    gate = dag.get_task("promote_if_better.gate")
    assert gate.challenger == "{{ params.version }}"
    assert gate.upstream_task_ids == set()


def test_two_groups_in_one_dag_do_not_collide() -> None:
    with DAG("delay", schedule=None) as dag:
        first = promote_if_better(train.override(task_id="one")(), score=score, policy=POLICY)
        second = promote_if_better(train.override(task_id="two")(), score=score, policy=POLICY)
        promote_if_better("delay/1", score=score, policy=POLICY, group_id="by_hand")

    assert (first.group_id, second.group_id) == ("promote_if_better", "promote_if_better__1")
    assert {"promote_if_better__1.gate", "by_hand.promote"} <= set(dag.task_ids)


def test_after_mapped_training_both_tasks_are_mapped() -> None:
    with DAG("delay", schedule=None) as dag:
        promote_if_better(train.expand(depth=[1, 2]), score=score, policy=POLICY)

    gate, promote = dag.get_task("promote_if_better.gate"), dag.get_task("promote_if_better.promote")
    assert isinstance(gate, MappedOperator)
    assert isinstance(promote, MappedOperator)
    assert (gate.upstream_task_ids, promote.upstream_task_ids) == ({"train"}, {gate.task_id})


def test_inside_a_mapped_group_the_tasks_are_plain() -> None:
    with DAG("delay", schedule=None) as dag:

        @task_group
        def one_model(depth: int) -> None:
            promote_if_better(train(depth), score=score, policy=POLICY)

        one_model.expand(depth=[1, 2])

    assert isinstance(dag.get_task("one_model.promote_if_better.gate"), ModelGateOperator)


def test_the_versions_of_a_mapped_group_are_each_judged() -> None:
    with DAG("delay", schedule=None) as dag:

        @task_group
        def one_model(depth: int) -> XComArg:
            return train(depth)

        promote_if_better(one_model.expand(depth=[1, 2]), score=score, policy=POLICY)

    assert isinstance(dag.get_task("promote_if_better.gate"), MappedOperator)


def test_what_may_be_loaded_goes_to_the_task_that_scores() -> None:
    with DAG("delay", schedule=None) as dag:
        watch(
            "delay",
            score=score,
            data="week.json",
            policy=Policy(metric="brier", enter=0.2),
            retrain="train_delay",
            trusted_types=["a.B"],
            allow_pickle=True,
        )

    scored = dag.get_task("watch.score")
    assert (scored.trusted_types, scored.allow_pickle) == (("a.B",), True)


def test_every_name_that_is_offered_exists() -> None:
    for name in airflow_provider_exia.loop.__all__:
        assert hasattr(airflow_provider_exia.loop, name)


@pytest.mark.parametrize("module", ["loop", "testing"])
def test_an_authors_functions_need_no_airflow(module: str) -> None:
    imported = importlib.import_module(f"airflow_provider_exia.{module}")

    at_module_level = [
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.parse(Path(str(imported.__file__)).read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert [name for name in at_module_level if name.split(".")[0] == "airflow"] == []
