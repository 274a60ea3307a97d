"""The gate's task scores both on the challenger's holdout and keeps one decision, or says why it cannot."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import UnknownVersion
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import Lineage, Role
from airflow_provider_exia.monitoring.decisions import DecisionLog
from airflow_provider_exia.monitoring.gate import Verdict
from airflow_provider_exia.monitoring.policy import Policy
from airflow_provider_exia.monitoring.scores import Scores
from airflow_provider_exia.operators.model_gate import ModelGateOperator
from tests.unit.operators.conftest import context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

POLICY = Policy(metric="error", min_gain=0.1, draws=200)
ROWS = [{"day": day, "y": 10.0 + day % 3} for day in range(8) for _ in range(5)]


def score(model: dict[str, float], data: str) -> Scores:
    rows = json.loads(Path(data).read_text())
    return Scores(loss=[abs(row["y"] - model["guess"]) for row in rows], block=[row["day"] for row in rows])


def publish(library: ModelLibrary, folder: Path, guess: float, *, holdout: bool = True, blocks: Any = None) -> str:
    """Publish a model that guesses one value, with the holdout that it is judged on."""
    (folder / "model.json").write_text(json.dumps({"guess": guess}))
    (folder / "holdout.json").write_text(json.dumps(ROWS))
    files = [SourceFile(source=folder / "model.json")]
    if holdout:
        files.append(SourceFile(source=folder / "holdout.json", role=Role.HOLDOUT))
    return library.publish("delay", files, format="json", lineage=Lineage(training_blocks=blocks)).reference


def gate(library: ModelLibrary, challenger: str, *, try_number: int = 1, **values: Any) -> Any:
    """Run the gate's task and return the decision that it handed on."""
    operator = ModelGateOperator(
        **{"task_id": "g", "challenger": challenger, "score": score, "policy": POLICY, **values}
    )
    decision = operator.execute(context_of(f"gate of {challenger}", try_number=try_number))
    return DecisionLog(library.resources.documents).get(decision)


def test_the_first_model_is_recorded_as_the_first(library: ModelLibrary, tmp_path: Path) -> None:
    decision = gate(library, publish(library, tmp_path, 0.0))

    assert (decision.judgement.verdict, decision.champion, decision.since) == (Verdict.FIRST, None, 0)
    assert decision.judgement.challenger_loss == pytest.approx(10.875)
    assert decision.holdout_digest is not None
    assert decision.policy["min_gain"] == 0.1


def test_the_first_model_may_come_without_a_holdout(library: ModelLibrary, tmp_path: Path) -> None:
    decision = gate(library, publish(library, tmp_path, 0.0, holdout=False))

    assert (decision.judgement.verdict, decision.holdout_digest) == (Verdict.FIRST, None)


def test_a_better_challenger_is_accepted_against_the_champion_of_that_moment(
    library: ModelLibrary, tmp_path: Path
) -> None:
    library.promote(publish(library, tmp_path, 0.0))

    decision = gate(library, publish(library, tmp_path, 11.0))

    assert (decision.challenger, decision.champion, decision.since) == (2, 1, 1)
    assert decision.judgement.verdict is Verdict.ACCEPTED
    assert decision.judgement.champion_loss == pytest.approx(10.875)


def test_a_challenger_that_is_no_better_is_refused_with_the_numbers(library: ModelLibrary, tmp_path: Path) -> None:
    library.promote(publish(library, tmp_path, 11.0))

    decision = gate(library, publish(library, tmp_path, 11.05))

    assert decision.judgement.verdict is Verdict.REFUSED
    assert decision.describe().startswith("delay/2 against delay/1: refused: error 0.625 -> ")


def test_a_retry_keeps_the_decision_though_the_champion_changed(library: ModelLibrary, tmp_path: Path) -> None:
    library.promote(publish(library, tmp_path, 0.0))
    challenger = publish(library, tmp_path, 5.0)
    first = gate(library, challenger)
    library.promote(publish(library, tmp_path, 11.0))

    assert gate(library, challenger, try_number=2) == first


def test_a_version_that_is_champion_already_is_not_judged(library: ModelLibrary, tmp_path: Path) -> None:
    library.promote(publish(library, tmp_path, 0.0))

    with pytest.raises(InvalidInput, match="delay/1 is champion already: there is nothing to decide"):
        gate(library, "delay/1")


def test_a_challenger_without_a_holdout_cannot_beat_a_champion(library: ModelLibrary, tmp_path: Path) -> None:
    library.promote(publish(library, tmp_path, 0.0))

    with pytest.raises(InvalidInput, match=r"delay/2 has no holdout to be judged on: return TrainedModel"):
        gate(library, publish(library, tmp_path, 1.0, holdout=False))


def test_a_holdout_that_overlaps_the_training_data_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    challenger = publish(library, tmp_path, 1.0, blocks=("-1", "7"))

    with pytest.raises(InvalidInput, match="the holdout overlaps the training data in 1 of 8 blocks .first: '7'"):
        gate(library, challenger)

    assert DecisionLog(library.resources.documents).of_model("delay") == []


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        (lambda _model, _data: 0.2, r"score\(\) returned float: return Scores\(loss=..., block=...\)"),
        (lambda _model, _data: Scores([], []), "scores have no rows"),
        (lambda _model, _data: Scores([math.nan], ["mon"]), "scores have a loss of nan at row 0"),
        (lambda _model, _data: Scores([math.inf], ["mon"]), "scores have a loss of inf at row 0"),
        ("no_such_package:score", "score 'no_such_package:score': no module 'no_such_package'"),
        ("json:score", "score 'json:score': module 'json' has no function 'score'"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(
    library: ModelLibrary, tmp_path: Path, scores: Any, problem: str
) -> None:
    challenger = publish(library, tmp_path, 1.0)

    with pytest.raises(InvalidInput, match=problem):
        gate(library, challenger, score=scores)


def test_a_model_that_drops_rows_when_it_is_scored_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    def picky(model: dict[str, float], data: str) -> Scores:
        scores = score(model, data)
        return scores if model["guess"] == 0.0 else Scores(scores.loss[1:], scores.block[1:])

    library.promote(publish(library, tmp_path, 0.0))

    with pytest.raises(InvalidInput, match="scored on different rows .40 and 39.: score"):
        gate(library, publish(library, tmp_path, 1.0), score=picky)


def test_an_unknown_challenger_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 0.0)

    with pytest.raises(UnknownVersion, match="no version delay/9"):
        gate(library, "delay/9")
