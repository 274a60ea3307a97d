"""The closed loop in a real Airflow: whatever happens to its tasks and runs, at most one run trains for each episode,
and no state hangs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.airflow.loops import AT_ONCE, Loop, Loops, running_loops, wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

TRIALS, TRIALS_IN_FULL = 4, 10
PATIENT = {**AT_ONCE, "cooldown": "2d"}


# The faults: each happens to an episode that has just been given its reason, and says how its episodes should end


def cleared(loop: Loop, trial: int) -> list[str]:
    """The monitor's task is cleared and run again: while training runs, or after it has promoted."""
    with loop.training_held():
        run_id = loop.watch()
        loop.wait_for_training()
        if trial % 2:
            loop.clear_and_wait(run_id, "watch.evaluate")
    if not trial % 2:
        loop.wait_until_idle()
        loop.clear_and_wait(run_id, "watch.evaluate")
    return ["promoted"]


def crowded(loop: Loop, trial: int) -> list[str]:
    """Ten evaluations of one point at once: mapped tasks, or runs of one event time."""
    loop.today += 1
    if trial % 2:
        for number in range(10):
            loop.ask(name=f"-{number}", dated=False)
    else:
        loop.ask("crowded_crowd")
    loop.wait_until_idle()
    wheres = {entry.event_time for entry in loop.entries_of(loop.entry().episode)}
    assert len(wheres) == 1
    return ["promoted"]


def deleted(loop: Loop, trial: int) -> list[str]:
    """The training run's row is deleted: while it waits, or when it has accepted; then it is evaluated or triggered."""
    if trial % 3 == 0:
        loop.pause_training(paused=True)
        run_id = loop.watch()
        assert loop.entry().state == "DEGRADED"
        loop.delete_training()
        loop.clear_and_wait(run_id, "watch.evaluate")
        loop.pause_training(paused=False)
        return ["promoted"]
    with loop.training_held():
        run_id = loop.watch()
        loop.wait_for_training()
        # As a person does who takes it for stuck. What it has begun to train may go on for a moment.
        loop.mark_training("failed")
        loop.delete_training()
        if trial % 3 == 1:
            loop.clear(run_id, "watch.evaluate")
            wait_until("the end of the episode", lambda: "failed" in loop.actions_of(loop.entry().episode - 1))
        else:
            # An evaluation that was decided before the row was deleted triggers after it.
            loop.clear_and_wait(run_id, "watch.retrain")
            again = loop.entry().run_id
            state = loop.airflow.client.wait(loop.training_dag, again)
            if state == "success":
                assert set(loop.task_states(loop.training_dag, again).values()) == {"skipped"}
                return ["refused", "promoted"]
            # Airflow knows a task by its name: it may take the end of the deleted run's process for this one's.
    return ["failed", "promoted"]


def doubled(loop: Loop, trial: int) -> list[str]:
    """The trigger is sent twice: while training runs, or after it has promoted."""
    with loop.training_held():
        run_id = loop.watch()
        loop.wait_for_training()
        if trial % 2:
            loop.clear_and_wait(run_id, "watch.retrain")
    if not trial % 2:
        loop.wait_until_idle()
        loop.clear_and_wait(run_id, "watch.retrain")
    assert loop.task_states(loop.watching_dag, run_id)["watch.retrain"] == "skipped"
    return ["promoted"]


def crashed(loop: Loop, trial: int) -> list[str]:
    """The task that decides, or the one that triggers, is killed before the trigger: once, or for good."""
    task_id, *orders = [
        ("watch.evaluate", "crash monitor.entry-written"),
        ("watch.evaluate", "crash monitor.entry-written", "die"),
        ("watch.retrain", "die", "die"),
        ("watch.evaluate", "crash monitor.decided"),
    ][trial % 4]
    loop.order(task_id, *orders)
    run_id = loop.watch()
    assert not (loop.folder / f"{task_id}.orders").exists()
    assert loop.airflow.client.state(loop.watching_dag, run_id) == ("failed" if len(orders) == 2 else "success")
    if len(orders) == 2:
        assert loop.entry().state == "DEGRADED"
        assert loop.entry().run_id not in loop.training_runs()
    return ["promoted"]


FAULTS: dict[str, Callable[[Loop, int], list[str]]] = {
    fault.__name__: fault for fault in (cleared, crowded, deleted, doubled, crashed)
}


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loops]:
    settings = {name: {"policy": AT_ONCE, "crowd": name == "crowded"} for name in FAULTS}
    settings |= {name: {"policy": PATIENT} for name in ("raises", "dies", "marked_failed", "marked_success")}
    settings |= {"never_begins": {"policy": PATIENT, "prepares": True}}
    folder: Path = tmp_path_factory.mktemp("loops")
    with running_loops(folder, settings) as loops:
        yield loops


def endings(loop: Loop, episode: int) -> list[str]:
    """Return how an episode ended; a list, since it must not end twice."""
    return [action for action in loop.actions_of(episode) if action in ("promoted", "failed", "refused")]


@pytest.mark.parametrize(
    "trial",
    [pytest.param(n, marks=[] if n < TRIALS else pytest.mark.full) for n in range(TRIALS_IN_FULL)],
)
@pytest.mark.parametrize("name", FAULTS)
def test_one_run_trains_for_each_episode(loops: Loops, name: str, trial: int) -> None:
    loop = loops[name]
    before, known = loop.entry(), set(loop.training_runs())
    assert before.state == "HEALTHY"
    versions = len(loop.library.versions(loop.name))
    loop.drift()

    expected = FAULTS[name](loop, trial)
    loop.settle()

    episodes = [before.episode + 1 + number for number in range(len(expected))]
    assert loop.entry().episode == episodes[-1]
    assert [endings(loop, episode) for episode in episodes] == [[ending] for ending in expected]
    # Counted three times: by the function that trains, by the monitor's journal, by Airflow's list of runs.
    assert [loop.calls()[str(episode)] for episode in episodes] == [1] * len(episodes)
    assert [loop.actions_of(episode).count("accepted") for episode in episodes] == [1] * len(episodes)
    runs = {loop.entries_of(episode)[0].run_id: ending for episode, ending in zip(episodes, expected, strict=True)}
    trained = loop.trained_runs(besides=known)
    assert len(trained) == len(set(trained))
    assert {run for run in runs if runs[run] == "promoted"} <= set(trained)
    assert {runs.get(run) for run in trained} <= {"promoted", "failed"}
    assert len(loop.library.versions(loop.name)) - versions in (1, len(episodes))
    assert loop.library.load(f"{loop.name}@champion") == {"guess": loop.truth}


# An episode whose run comes to nothing


@pytest.mark.parametrize("wrong", ["raises", "dies"])
def test_a_training_that_fails_for_good_ends_its_episode_and_is_waited_for_longer_each_time(
    loops: Loops, wrong: str
) -> None:
    loop = loops[wrong]
    loop.drift()
    loop.plan(wrong=wrong.removesuffix("s"))

    opened = []
    for _ in range(8):
        loop.watch()
        loop.wait_until_idle()
        if loop.entry().state in ("DEGRADED", "RETRAINING"):
            opened.append(loop.today)

    # Two days after the first failure, four after the second.
    assert [day - opened[0] for day in opened] == [0, 2, 6]
    assert [endings(loop, episode) for episode in (1, 2)] == [["failed"], ["failed"]]
    assert loop.calls() == {"1": 1, "2": 1, "3": 1}
    assert loop.entries_of(2)[-1].rejections == 2
    loop.plan()
    loop.today += 8
    loop.settle()
    assert endings(loop, 4) == ["promoted"]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_a_person_ends_ends_its_episode(loops: Loops, state: str) -> None:
    loop = loops[f"marked_{state}"]
    loop.drift()
    with loop.training_held():
        loop.watch()
        loop.wait_for_training()
        loop.mark_training(state)
        loop.watch()
        ended = loop.entry()

    # Airflow fails the running task and skips the others; its scheduler may then call that run a success.
    assert endings(loop, 1) in ([["failed"], ["refused"]] if state == "failed" else [["refused"]])
    assert ended.state == "SUSPECT"
    assert ended.rejections == 1
    loop.today += 2
    loop.settle()
    assert endings(loop, 2) == ["promoted"]
    assert loop.calls() == {"1": 1, "2": 1}


def test_a_run_that_fails_before_it_accepts_ends_its_episode(loops: Loops) -> None:
    loop = loops["never_begins"]
    loop.drift()
    loop.order("prepare", "fail")
    loop.watch()
    loop.wait_until_idle()
    assert loop.entry().state == "DEGRADED"

    loop.watch()

    assert loop.actions_of(1) == ["degraded", "failed", "suspect"]
    assert "ended before it began to train" in loop.entries_of(1)[1].reason
    assert loop.calls() == {}
    (loop.folder / "prepare.orders").unlink()
    loop.today += 2
    loop.settle()
    assert endings(loop, 2) == ["promoted"]


def test_over_all_trials_no_episode_was_trained_for_twice(loops: Loops) -> None:
    for loop in loops:
        assert set(loop.calls().values()) <= {1}, loop.name
        accepted = Counter(entry.episode for entry in loop.journal.history() if entry.action == "accepted")
        assert set(accepted.values()) <= {1}, loop.name
