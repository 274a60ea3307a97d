"""A monitor's policy: every refusal is one sentence that names the setting, and what is written down can be read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.policy import Policy, check_monitor_name, policy_of_2020

BAND = {"direction": "band", "enter": (0.5, 1.5), "exit": (0.8, 1.2)}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"direction": "down"}, "direction 'down': expected 'lower', 'higher' or 'band'"),
        ({"enter": math.nan}, "enter nan: expected a number, or two of them for direction 'band'"),
        ({"enter": math.inf}, "enter inf: expected a number"),
        ({"enter": "0.2"}, "enter '0.2': expected a number"),
        ({"enter": True}, "enter True: expected a number"),
        ({"enter": (0.1,)}, "enter (0.1,): expected a number"),
        ({"enter": (0.1, 0.2, 0.3)}, "enter (0.1, 0.2, 0.3): expected a number"),
        ({"enter": (0.1, "x")}, "enter (0.1, 'x'): expected a number"),
        ({"enter": None, "exit": 0.1}, "exit 0.1: give 'enter' too"),
        ({"exit": 0.3}, "exit 0.3: expected at or below enter 0.2, since lower is better"),
        ({"direction": "higher", "exit": 0.1}, "exit 0.1: expected at or above enter 0.2, since higher is better"),
        ({"enter": (0.1, 0.2)}, "enter (0.1, 0.2), exit (0.1, 0.2): two limits are for direction 'band'"),
        ({"direction": "band"}, "enter 0.2, exit 0.2: a band needs two limits each"),
        ({**BAND, "exit": (0.4, 1.2)}, "enter (0.5, 1.5), exit (0.4, 1.2): a band needs two limits each, the exit's"),
        ({**BAND, "exit": 0.8}, "enter (0.5, 1.5), exit 0.8: a band needs two limits each"),
        ({"breaches": 0}, "breaches 0 of window 10: expected at least 1 breach"),
        (
            {"breaches": 4, "window": 3},
            "breaches 4 of window 3: expected at least 1 breach and a window that holds them",
        ),
        ({"breaches": 1.0}, "breaches 1.0 of window 10"),
        ({"min_samples": -1}, "min_samples -1: expected a whole number, 0 or more"),
        ({"budget": 0}, "budget 0: expected a whole number, 1 or more"),
        ({"bake_margin": -0.1}, "bake_margin -0.1: expected 0 or more"),
        ({"bake_margin": math.nan}, "bake_margin nan: expected 0 or more"),
        ({"cooldown": "three weeks"}, "cooldown 'three weeks': expected a number and a unit (w, d, h, m or s)"),
        ({"cooldown": None}, "cooldown None: expected a number and a unit"),
        ({"bake": None}, "bake None: expected a number and a unit"),
        ({"bake": timedelta(-1)}, "bake datetime.timedelta(days=-1): expected no negative duration"),
        ({"max_age": "10"}, "max_age '10': expected a number and a unit"),
        ({"budget_window": "99999999w"}, "budget_window '99999999w': expected at most 36525d, a hundred years"),
        ({"accept_within": ""}, "accept_within '': expected a number and a unit"),
        ({"finish_within": 60}, "finish_within 60: expected a number and a unit"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_sentence(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Policy(**{"metric": "loss", "enter": 0.2, **values})

    assert str(refused.value).startswith(f"policy: {problem}")
    assert "\n" not in str(refused.value)


def test_a_policy_for_a_gate_only_is_no_policy_of_a_monitor() -> None:
    with pytest.raises(InvalidInput, match="'enter' is missing: a monitor needs to know where bad begins"):
        Policy(metric="loss").require_thresholds()


@pytest.mark.parametrize(
    "policy",
    [
        Policy(metric="loss"),
        Policy(metric="loss", enter=0.2, exit=0.18, max_age="10d", bake_margin=0.1, cooldown="1000001s"),
        Policy(metric="loss", direction="band", enter=(0.5, 1.5), exit=(0.8, 1.2)),
        policy_of_2020(),
    ],
)
def test_a_policy_comes_back_from_its_document(policy: Policy) -> None:
    written = json.loads(json.dumps(policy.as_document()))

    assert Policy(**written) == policy
    assert Policy(**written).digest == policy.digest


def test_one_policy_has_one_digest_however_it_is_written() -> None:
    policies = [
        Policy(metric="loss", direction="band", enter=(1, 2), cooldown="3w", max_age="48h"),
        Policy(metric="loss", direction="band", enter=[1.0, 2.0], cooldown=timedelta(21), max_age="2d"),
    ]

    assert policies[0] == policies[1]
    assert policies[0].digest == policies[1].digest
    assert Policy(metric="loss", enter=0.2).digest != Policy(metric="loss", enter=0.2, window=11).digest


def test_the_digest_is_the_same_in_another_process() -> None:
    code = (
        "from airflow_provider_exia.monitoring.policy import Policy\n"
        "print(Policy(metric='loss', enter=0.2, exit=0.18, max_age='10d').digest)"
    )

    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert told == {Policy(metric="loss", enter=0.2, exit=0.18, max_age="10d").digest}


def test_the_evidence_of_the_default_policy_is_five_of_ten() -> None:
    policy = Policy(metric="loss", enter=0.2)

    assert (policy.breaches, policy.window, policy.exit, policy.max_age) == (5, 10, None, None)


def test_a_value_is_never_good_and_bad_at_once() -> None:
    policies = [
        Policy(metric="loss", enter=0.2),
        Policy(metric="loss", direction="higher", enter=0.2),
        Policy(metric="loss", direction="band", enter=(0.2, 0.4)),
    ]

    for policy in policies:
        for value in (0.1, 0.2, 0.3, 0.4, 0.5):
            assert policy.is_good(value) != policy.is_bad(value)


@pytest.mark.parametrize("name", ["", "Brier", "9lives", "a b", "a-b", "a/b", "squared error", "a" * 65, "ä"])
def test_a_name_that_cannot_be_part_of_a_run_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no monitor name: expected a lower-case letter"):
        check_monitor_name(name)


def test_the_name_of_a_monitor() -> None:
    assert check_monitor_name("brier_7d") == "brier_7d"
