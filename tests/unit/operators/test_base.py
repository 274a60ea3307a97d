"""Every operator retries what a repetition can find out, and fails at once on what it cannot mend."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction

from airflow_provider_exia.exceptions import ExiaError, InvalidInput, MissingExtra, OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import AliasMoved, UnknownModel
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.operators.base import RETRY_POLICY, ExiaOperator
from airflow_provider_exia.operators.model import ModelPromoteOperator, ModelReadOperator
from airflow_provider_exia.operators.model_gate import ModelGateOperator
from airflow_provider_exia.storage.documents import StoreUnavailable, WriteUnknown

OTHER_POLICY = ExceptionRetryPolicy(rules=[])


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (OutcomeUnknown(operation="promote", token="t"), RetryAction.RETRY),
        (StoreUnavailable("the server is away"), RetryAction.RETRY),
        (WriteUnknown("no answer"), RetryAction.RETRY),
        (InvalidInput("no rows"), RetryAction.FAIL),
        (UnknownModel("delay"), RetryAction.FAIL),
        (AliasMoved(model="delay", alias="champion", expected=1, winner=None), RetryAction.FAIL),
        (MissingExtra(library="skops", extra="sklearn", purpose="reading"), RetryAction.FAIL),
        (ExiaError("anything else"), RetryAction.FAIL),
        (ConnectionError("the author's own database"), RetryAction.DEFAULT),
        (ValueError("the author's own mistake"), RetryAction.DEFAULT),
    ],
)
def test_what_a_retry_can_mend_is_retried(error: Exception, action: RetryAction) -> None:
    assert RETRY_POLICY.evaluate(error, 1, 2).action is action


def test_a_task_keeps_the_policy_unless_its_author_gives_another() -> None:
    assert ModelReadOperator(task_id="read", reference="delay").retry_policy is RETRY_POLICY
    assert ModelReadOperator(task_id="read", reference="delay", retry_policy=OTHER_POLICY).retry_policy is OTHER_POLICY
    assert ModelReadOperator(task_id="read", reference="delay", retry_policy=None).retry_policy is None


def test_a_dag_may_give_another_policy_to_all_its_tasks() -> None:
    with DAG("delay", schedule=None, default_args={"retry_policy": OTHER_POLICY}):
        read = ModelReadOperator(task_id="read", reference="delay")

    assert read.retry_policy is OTHER_POLICY


@pytest.mark.parametrize(
    ("operator", "partial", "mapped"),
    [
        (ModelPromoteOperator, {}, {"reference": ["delay/1", "delay/2"]}),
        (ModelGateOperator, {"score": "flights:score", "policy": Policy(metric="brier")}, {"challenger": ["delay/1"]}),
    ],
)
def test_mapped_tasks_keep_the_policy_too(
    operator: type[ExiaOperator], partial: dict[str, Any], mapped: dict[str, Any]
) -> None:
    with DAG("delay", schedule=None):
        task = operator.partial(task_id="task", **partial).expand(**mapped)

    assert task.retry_policy is RETRY_POLICY
    assert task.unmap({name: values[0] for name, values in mapped.items()}).retry_policy is RETRY_POLICY


def test_what_a_task_may_trust_goes_to_its_hook() -> None:
    operator = ModelReadOperator(task_id="read", reference="delay", exia_conn_id="other", trusted_types=["a.B"])
    unwise = ModelReadOperator(task_id="read_any", reference="delay", allow_pickle=True)

    assert (operator.hook.exia_conn_id, operator.hook.trusted_types) == ("other", ("a.B",))
    assert (operator.hook.allow_pickle, unwise.hook.allow_pickle) == (False, True)
    assert operator.hook is operator.hook
