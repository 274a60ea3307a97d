"""A scheduler that dies under a training run and a triggerer that dies under a sensor cost time and change no decision;
a sensor waits for a monitor in each of Airflow's ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.monitoring.decisions import DecisionLog
from airflow_provider_exia.monitoring.requests import stop
from tests.airflow.loops import AT_ONCE, Loop, Loops, running_loops, wait_until

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.gate import Judgement

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

WAYS = ("poke", "reschedule", "deferred")


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loops]:
    watched = ("waited_for", "halted_unseen", "given_up")
    settings: dict[str, Any] = {name: {"policy": AT_ONCE} for name in watched}
    settings |= {name: {"policy": AT_ONCE, "retries": 2} for name in ("undisturbed", "lost_with", "lost_without")}
    folder = tmp_path_factory.mktemp("loops")
    with running_loops(folder, settings, Path(__file__).parent / "dags" / "sensors.py") as loops:
        yield loops


# The scheduler


def live_through_an_episode(loop: Loop, lose_scheduler: dict[str, bool] | None = None) -> None:
    loop.drift()
    with loop.training_held():
        loop.watch()
        loop.wait_for_training()
        if lose_scheduler is not None:
            loop.airflow.kill("scheduler", **lose_scheduler)
            loop.airflow.start("scheduler")
            loop.wait_for_training(times=2)
    loop.settle()


def what_was_decided(loop: Loop) -> tuple[list[Any], list[Any], list[Judgement]]:
    """Return it without the versions' numbers: two tries that publish the same work at once draw two and use one."""
    monitor = [
        (entry.state, entry.episode, entry.event_time, entry.action, entry.evidence, entry.watching)
        for entry in loop.journal.history()
    ]
    place = {version.number: place for place, version in enumerate(reversed(loop.library.versions(loop.name)), start=1)}
    history = loop.library.history(loop.name)
    moves = [(move.action, place[move.version], move.token) for move in history if move.sequence > 1]
    decisions = DecisionLog(loop.library.resources.documents).of_model(loop.name)
    return monitor, moves, [replace(decision.judgement) for decision in decisions]


@pytest.mark.parametrize("tasks_too", [True, False], ids=["with-its-tasks", "without-its-tasks"])
def test_the_loss_of_the_scheduler_while_training_changes_nothing_that_is_decided(
    loops: Loops, tasks_too: bool
) -> None:
    undisturbed, loop = loops["undisturbed"], loops["lost_with" if tasks_too else "lost_without"]
    if undisturbed.entry().episode == 0:
        live_through_an_episode(undisturbed)

    live_through_an_episode(loop, {"tasks_too": tasks_too})

    assert what_was_decided(loop) == what_was_decided(undisturbed)
    # The killed try was called and came to nothing; the run and the episode are the same.
    assert (undisturbed.calls(), loop.calls()) == ({"1": 1}, {"1": 2})
    assert loop.actions_of(1).count("accepted") == 1
    assert loop.trained_runs() == [f"exia__{loop.name}__error__1"]
    assert [version.state for version in loop.library.versions(loop.name)] == ["READY", "READY"]


# The sensor


def sensors(loop: Loop, dag_id: str, run_id: str) -> dict[str, str | None]:
    return loop.task_states(dag_id, run_id)


def ask(loop: Loop, dag_id: str) -> str:
    loop.airflow.client.trigger(dag_id, run_id="waiting", conf={"model": loop.name})
    return "waiting"


def test_a_sensor_waits_for_a_state_and_for_a_value_in_each_way(loops: Loops) -> None:
    loop = loops["waited_for"]
    run_id = ask(loop, "waits")
    for way, waiting in (("poke", "running"), ("reschedule", "up_for_reschedule"), ("deferred", "deferred")):
        for what in ("state", "value"):
            wait_until(
                f"{what}_{way} waits",
                lambda task=f"{what}_{way}", state=waiting: sensors(loop, "waits", run_id)[task] == state,
            )

    loop.drift()
    loop.watch()
    for way in WAYS:
        wait_until(f"value_{way}", lambda way=way: sensors(loop, "waits", run_id)[f"value_{way}"] == "success")
    assert all(sensors(loop, "waits", run_id)[f"state_{way}"] != "success" for way in WAYS)
    stop(loop.journal, by="ann", reason="the test wants it")

    assert loop.airflow.client.wait("waits", run_id) == "success"
    for way in WAYS:
        assert "HALTED" in loop.airflow.client.xcom("waits", run_id, f"state_{way}")
        assert "10" in loop.airflow.client.xcom("waits", run_id, f"value_{way}")


def test_a_sensor_gives_up_in_each_way_and_is_not_tried_again(loops: Loops) -> None:
    loop = loops["given_up"]

    run_id = ask(loop, "gives_up")

    assert loop.airflow.client.wait("gives_up", run_id) == "failed"
    ended = {task.name: (task.state, task.try_number) for task in loop.airflow.client.task_runs("gives_up", run_id)}
    assert ended == {f"state_{way}": ("failed", 1) for way in WAYS}


def test_a_sensor_outlives_the_loss_of_the_triggerer(loops: Loops) -> None:
    loop = loops["halted_unseen"]
    run_id = ask(loop, "waits_deferred")
    wait_until("deferral", lambda: sensors(loop, "waits_deferred", run_id) == {"state_deferred": "deferred"})

    loop.airflow.kill("triggerer")
    stop(loop.journal, by="ann", reason="the test wants it")
    assert sensors(loop, "waits_deferred", run_id) == {"state_deferred": "deferred"}
    loop.airflow.start("triggerer")

    assert loop.airflow.client.wait("waits_deferred", run_id) == "success"
    assert "HALTED" in loop.airflow.client.xcom("waits_deferred", run_id, "state_deferred")
    (task,) = loop.airflow.client.task_runs("waits_deferred", run_id)
    assert task.try_number == 1
