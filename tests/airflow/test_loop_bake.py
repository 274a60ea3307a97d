"""The gate and the bake in a real Airflow: what is promoted is watched, what is worse is taken back, and only that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.monitoring.decisions import DecisionLog
from tests.airflow.loops import AT_ONCE, Loop, Loops, running_loops, wait_until

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import JournalEntry

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

BAKING = {**AT_ONCE, "bake": "2d", "cooldown": "10d"}


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loops]:
    settings: dict[str, Any] = {
        name: {"policy": BAKING} for name in ("better", "refused", "breaching", "overtaken", "by_hand")
    }
    settings |= {"shadowed": {"policy": BAKING, "shadow": True}}
    settings |= {"silent": {"policy": {**BAKING, "max_age": "2d"}}}
    with running_loops(tmp_path_factory.mktemp("loops"), settings) as loops:
        yield loops


def moves(loop: Loop) -> list[JournalEntry]:
    """Return the moves of the alias, oldest first, without the first champion's."""
    return loop.library.history(loop.name)[::-1][1:]


def promote_what_only_looks_good(loop: Loop) -> None:
    """Let an episode train a model that its own holdout flatters."""
    loop.drift()
    loop.plan(guess=loop.truth + 20)
    loop.watch()
    loop.wait_until_idle()
    assert loop.library.alias(loop.name).stack == (2, 1)


def states_since(loop: Loop, move: JournalEntry) -> list[str]:
    return [str(entry.state) for entry in reversed(loop.journal.history()) if entry.watching == move.sequence]


def test_a_better_model_is_watched_beside_its_predecessor_and_stays(loops: Loops) -> None:
    loop = loops["better"]
    loop.drift()
    loop.watch()
    loop.wait_until_idle()

    scored = []
    for _ in range(4):
        run_id = loop.watch()
        scored.append(sorted(loop.airflow.client.xcom(loop.watching_dag, run_id, "watch.score")))

    # Both on the day on which it is first seen and until the bake is over, then the live one alone.
    assert scored == [["better/1", "better/2"]] * 3 + [["better/2"]]
    assert loop.actions_of(1)[:3] == ["degraded", "accepted", "promoted"]
    assert loop.actions_of(1).count("baked") == 1
    assert loop.entry().state == "HEALTHY"
    (promotion,) = moves(loop)
    assert promotion.token == "episode:error:1:champion"
    assert promotion.decision is not None


def test_a_model_that_is_no_better_is_refused_with_the_numbers(loops: Loops) -> None:
    loop = loops["refused"]
    loop.drift()
    loop.plan(guess=10.0, holdout=loop.truth)
    loop.watch()
    loop.wait_until_idle()

    run_id = loop.entry().run_id
    assert loop.airflow.client.state(loop.training_dag, run_id) == "success"
    assert loop.task_states(loop.training_dag, run_id)["promote_if_better.promote"] == "skipped"
    loop.watch()

    assert loop.actions_of(1) == ["degraded", "accepted", "refused", "suspect"]
    assert moves(loop) == []
    (decision,) = DecisionLog(loop.library.resources.documents).of_model(loop.name)
    assert decision.judgement.verdict == "refused"
    assert decision.judgement.gain == 0.0


def test_a_promotion_that_proves_worse_is_taken_back_with_nobody_acting(loops: Loops) -> None:
    loop = loops["breaching"]
    promote_what_only_looks_good(loop)

    seen_on = loop.watch()

    promotion, back = moves(loop)
    assert (promotion.action, promotion.version, promotion.token) == ("promote", 2, "episode:error:1:champion")
    assert (back.action, back.version, back.token) == ("rollback", 1, f"auto:error:{promotion.sequence}")
    assert back.by == f"breaching_watch/{seen_on}/watch.evaluate"
    assert back.expected == promotion.sequence
    assert "worse than the version before it" in back.reason
    # The rollback is not baked: its version is watched alone, and nothing moves it again.
    run_ids = [loop.watch() for _ in range(3)]
    scored = [loop.airflow.client.xcom(loop.watching_dag, run_id, "watch.score") for run_id in run_ids]
    assert [list(values) for values in scored] == [["breaching/1"]] * 3
    assert set(states_since(loop, back)) == {"ROLLED_BACK", "SUSPECT"}
    assert moves(loop) == [promotion, back]


def test_a_newer_promotion_by_a_person_is_left_alone(loops: Loops) -> None:
    loop = loops["overtaken"]
    promote_what_only_looks_good(loop)
    by_hand = loop.publish(loop.truth)

    # The evaluation has seen the breach and is about to roll back when a person acts.
    loop.order("watch.evaluate", "hesitate")
    loop.today += 1
    run_id = loop.ask()
    wait_until("the rollback", (loop.folder / "hold").exists)
    loop.library.promote(by_hand.reference, by="ann", reason="I know a better one")
    (loop.folder / "hold").unlink()

    assert loop.airflow.client.wait(loop.watching_dag, run_id) == "success"
    assert [(move.action, move.version) for move in moves(loop)] == [("promote", 2), ("promote", 3)]
    assert loop.library.load(f"{loop.name}@champion") == {"guess": loop.truth}
    # What the person promoted is baked like any other.
    assert loop.entry().state == "CANDIDATE"
    assert loop.entry().watching == moves(loop)[-1].sequence
    for _ in range(3):
        loop.watch()
    assert loop.entry().state == "HEALTHY"
    assert [move.version for move in moves(loop)] == [2, 3]


def test_a_rollback_by_a_person_is_not_baked(loops: Loops) -> None:
    loop = loops["by_hand"]
    loop.library.promote(loop.publish(loop.truth + 0.05).reference, by="ann", reason="looks fine")
    loop.watch()
    assert loop.entry().state == "CANDIDATE"
    loop.library.rollback(loop.name, by="ann", reason="on second thought")

    run_ids = [loop.watch(), loop.watch()]

    scored = [loop.airflow.client.xcom(loop.watching_dag, run_id, "watch.score") for run_id in run_ids]
    assert [list(values) for values in scored] == [["by_hand/1"]] * 2
    promotion, back = moves(loop)
    assert states_since(loop, back)[:2] == ["ROLLED_BACK", "HEALTHY"]
    assert "CANDIDATE" not in states_since(loop, back)
    assert back.by == "ann"


def test_a_shadow_records_and_acts_on_nothing(loops: Loops) -> None:
    loop = loops["shadowed"]
    loop.drift()

    run_id = loop.watch()

    assert loop.actions_of(1)[:2] == ["degraded", "shadow"]
    assert loop.task_states(loop.watching_dag, run_id)["watch.retrain"] == "skipped"
    loop.library.promote(loop.publish(loop.truth + 20).reference, by="ann", reason="looks fine")
    loop.watch()
    assert loop.entry().episode == 1
    assert "breached" in loop.actions_of(1)
    assert [move.action for move in moves(loop)] == ["promote"]
    assert loop.training_runs() == []


def test_silence_is_evaluated_and_shows(loops: Loops) -> None:
    loop = loops["silent"]
    heard_on = loop.entry().event_time

    run_ids = [loop.watch(labels=False) for _ in range(3)]

    for run_id in run_ids:
        states = loop.task_states(loop.watching_dag, run_id)
        assert states == {"watch.score": "skipped", "watch.evaluate": "success", "watch.retrain": "skipped"}
    blind = loop.entry()
    assert blind.state == "HEALTHY"
    assert blind.blind_since is not None
    assert (blind.blind_since - heard_on).days == 2
    loop.watch()
    assert loop.entry().blind_since is None
