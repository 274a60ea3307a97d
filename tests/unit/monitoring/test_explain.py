"""Each state in words: what was seen, with numbers, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.monitoring.backtest import Outcome, Reading, backtest
from airflow_provider_exia.monitoring.explain import explain
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.states import MonitorState

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.entries import MonitorEntry

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)
POLICY = Policy(
    metric="brier", enter=0.2, exit=0.18, breaches=2, window=3, cooldown="21d", bake="21d", min_gain=0.002, budget=8,
    budget_window="365d", max_age="10d",
)  # fmt: skip
BAD = (0.15, 0.25, 0.25, 0.25, 0.25, 0.25)


def lived(*values: float | None, previous: float | None = None, policy: Policy = POLICY) -> list[MonitorEntry]:
    """Return the journal of a weekly history whose runs are refused, or promoted if the previous value is known."""
    readings = [
        Reading(event_time=START + index * WEEK, value=value, previous=previous) for index, value in enumerate(values)
    ]
    outcome = Outcome.REFUSED if previous is None else Outcome.PROMOTED
    return backtest(policy, readings, outcome=outcome, model="delay")


def up_to(entries: list[MonitorEntry], state: MonitorState) -> list[MonitorEntry]:
    """Return the history of the first time in a state, newest first."""
    place = next(index for index, entry in enumerate(entries) if entry.state is state)
    return entries[place::-1]


def told(history: list[MonitorEntry], policy: Policy | None = POLICY) -> str:
    explanation = explain(history, policy)
    return "\n".join([explanation.standing, *explanation.because, "WAITS FOR", *explanation.waits_for])


def test_healthy() -> None:
    text = told(lived(0.15, 0.19)[::-1])

    assert text.startswith("delay brier is HEALTHY since 2026-01-01: nothing asks for action.\n")
    assert "0 of the last 2 points of brier are bad: 0.15 on 2026-01-01, 0.19 on 2026-01-08." in text
    assert "Bad begins at 0.2, good at 0.18, lower is better; an episode needs 2 bad of 3 points." in text
    assert "The next points: with 2 bad of 3, episode 1 is opened." in text
    assert "0 of 8 episodes within 365d are spent." in text
    assert "A usable point by 2026-01-18; without one it is blind." in text


def test_before_the_first_point() -> None:
    assert "No point counts yet for the version that is live." in told(lived(None)[::-1])


def test_suspect() -> None:
    text = told(up_to(lived(*BAD), MonitorState.SUSPECT))

    assert "is SUSPECT since 2026-01-08: there are signs of trouble." in text
    assert "bad from 0.2, good from 0.18, 2 of 3 count." in text
    assert text.count("of the last 2 points") == 1  # said once


def test_suspect_in_the_cooldown_waits_for_its_end() -> None:
    text = told(lived(*BAD[:5])[::-1])

    assert "is SUSPECT since 2026-01-22, episode 1" in text
    assert "The cooldown: episode 2 is not opened before 2026-02-05 (cooldown of 21d), and only if" in text
    assert "1 of 8 episodes within 365d are spent." in text
    assert "The last training run brought no new champion." in text


def test_a_cooldown_that_grew_is_explained() -> None:
    history = lived(*[0.25] * 8)[::-1]

    assert "(cooldown of 21d x 2 after 2 in vain)" in told(history)
    assert "The last 2 training runs in a row brought no new champion." in told(history)


def test_calm_in_the_cooldown() -> None:
    text = told(lived(0.25, 0.25, 0.15, 0.15)[::-1])

    assert "is HEALTHY since 2026-01-22" in text
    assert "No episode is opened before 2026-01-29 (cooldown of 21d)." in text


def test_sick_and_free_to_act_waits_for_the_evaluation() -> None:
    stricter = replace(POLICY, breaches=1)
    history = up_to(lived(*BAD), MonitorState.SUSPECT)

    assert "The next evaluation: the points are bad enough for episode 1." in told(history, stricter)


def test_degraded() -> None:
    text = told(up_to(lived(*BAD), MonitorState.DEGRADED))

    assert "is DEGRADED since 2026-01-15, episode 1: the model is bad and a training run is wanted." in text
    assert "Degraded (backtest, 2026-01-15 00:00Z): 2 of the last 3 points of brier are bad (0.15, 0.25, 0.25)" in text
    assert "The run exia__delay__brier__1: the next evaluation asks for it" in text
    assert "If it does not begin to train by 2026-01-15 01:00Z (1h of wall time), the episode ends." in text


def test_retraining_tells_why_the_episode_was_opened() -> None:
    text = told(up_to(lived(*BAD), MonitorState.RETRAINING))

    assert "Degraded (backtest" in text
    assert "Accepted (backtest, 2026-01-15 00:00Z): backtest trains for episode 1." in text
    assert "The run exia__delay__brier__1: it promotes a version, or ends and with it the episode." in text
    assert "If it has not ended by 2026-01-16 00:00Z (1d of wall time), the episode ends." in text


def test_ended_tells_the_whole_episode() -> None:
    text = told(up_to(lived(*BAD), MonitorState.ENDED))

    assert [line.partition(" ")[0] for line in text.splitlines()[1:4]] == ["Degraded", "Accepted", "Refused"]
    assert "run exia__delay__brier__1 ended without a promotion." in text


def test_candidate() -> None:
    history = lived(0.25, 0.25, 0.15, 0.151, previous=0.15)[::-1]
    text = told(history)

    assert "is CANDIDATE since 2026-01-15, episode 1: a promotion is being watched" in text
    assert "Points since the promotion: 0.15 against 0.15 on 2026-01-15, 0.151 against 0.15 on 2026-01-22." in text
    assert "Worse than the version before by more than 0.002: 0 of 2 paired points; 2 of 3 would take it back." in text
    assert "The end of the bake on 2026-02-05 (21d after it began), or a breach." in text


def test_a_candidate_that_nobody_scored_and_one_whose_time_is_over() -> None:
    history = up_to(lived(0.25, 0.25, 0.15, previous=0.15), MonitorState.CANDIDATE)
    late = [replace(history[0], event_time=START + 9 * WEEK, blind_since=START + 4 * WEEK), *history[1:]]

    assert "Neither version was scored since the promotion." in told(history)
    assert "but it is blind" in told(late)
    assert "A point that both versions were scored on: the bake's time is over" in told(late)


def test_a_breach_is_told_before_it_is_acted_on() -> None:
    stricter = replace(POLICY, bake_margin=0.0005, breaches=1)
    history = lived(0.25, 0.25, 0.15, 0.151, previous=0.15)[::-1]

    assert "The next evaluation: the bake is breached, and it takes the promotion back." in told(history, stricter)


def test_rolled_back() -> None:
    text = told(up_to(lived(0.25, 0.25, 0.4, 0.4, previous=0.15), MonitorState.ROLLED_BACK))

    assert "is ROLLED_BACK since 2026-01-22, episode 1: the last move of the alias went back." in text
    assert "0.4 against 0.15, 0.4 against 0.15." in text


@pytest.mark.parametrize(("bake_since", "after"), [(None, "begins anew as HEALTHY"), (START, "goes on watching")])
def test_halted_waits_for_a_person(bake_since: datetime | None, after: str) -> None:
    history = lived(*[0.25] * 6, policy=replace(POLICY, budget=1))[::-1]
    text = told([replace(history[0], bake_since=bake_since), *history[1:]])

    assert "is HALTED since 2026-01-29, episode 1: nothing is done until a person resumes it." in text
    assert "the budget is spent, a person must resume" in text
    assert "A person: 'exia monitor resume delay --monitor brier --reason TEXT'; it then " + after in text


def test_a_budget_that_is_spent_is_told_before_it_halts() -> None:
    assert "1 of 1 episodes within 365d are spent: instead of the next one it halts." in told(
        lived(*BAD[:4])[::-1], replace(POLICY, budget=1)
    )


def test_blind() -> None:
    text = told(lived(0.15, None, None)[::-1])

    assert "nothing asks for action, but it is blind.\n" in text
    assert "Blind since 2026-01-11: the newest usable point is of 2026-01-01; labels are late" in text
    assert text.endswith("A usable point, which ends the blindness.")


def test_bad_points_that_are_too_old_to_act_on() -> None:
    history = lived(0.15, 0.25, None, None)[::-1]

    assert "A fresh point: what was seen is bad enough, but too old to act on." in told(
        history, replace(POLICY, breaches=1)
    )


def test_another_policy_is_named() -> None:
    other = replace(POLICY, enter=0.3)
    text = told(lived(0.15)[::-1], other)

    assert f"This policy ({other.digest[:12]}) is not the one of the newest entry ({POLICY.digest[:12]})" in text


def test_a_band_has_two_limits_each() -> None:
    band = Policy(metric="share", direction="band", enter=(0.2, 0.8), exit=(0.3, 0.7), breaches=1, window=2)

    text = told(lived(0.75, 0.76, policy=band)[::-1], band)

    assert "Bad begins at 0.2 and 0.8, good at 0.3 and 0.7, inside is better; an episode needs 1 bad of 2" in text


def test_without_the_policy_the_entries_speak() -> None:
    in_cooldown = told(lived(*BAD[:5])[::-1], None)
    baking = told(lived(0.25, 0.25, 0.15, previous=0.15)[::-1], None)

    assert "Heard since, up to 2026-01-29: 3 of the last 3 points of brier are bad (0.25, 0.25, 0.25); bad from" in (
        in_cooldown
    )
    assert "A cooldown may hold the next episode back; the last was opened on 2026-01-15." in in_cooldown
    assert "The end of the bake that began on 2026-01-15, or a breach, which takes the promotion back." in baking


def test_every_history_can_be_explained_in_whole_sentences() -> None:
    entries = lived(*BAD, *BAD, *BAD)
    for place in range(len(entries)):
        for known in (POLICY, None):
            explanation = explain(entries[place::-1], known)
            sentences = [explanation.standing, *explanation.because, *explanation.waits_for]
            assert explanation.waits_for
            assert all(sentence.endswith((".", "TEXT'")) and ".." not in sentence for sentence in sentences)
