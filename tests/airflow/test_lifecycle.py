"""The life of a model in a real Airflow: trained, judged, promoted or refused, used, rolled back; mapped or not."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, get_current_context, task, task_group

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better
from airflow_provider_exia.model_library.library import open_library
from airflow_provider_exia.operators.model import ModelPromoteOperator, ModelReadOperator, ModelRollbackOperator
from airflow_provider_exia.operators.model_predict import ModelPredictOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from tests.airflow.running import run_dag

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

POLICY = Policy(metric="error", min_gain=0.1, draws=200)
ROWS = [{"day": day, "y": 10.0 + day % 3} for day in range(8) for _ in range(5)]
GOOD, BAD = 11.0, 4.0


def score(model: dict[str, float], data: str) -> Scores:
    rows = json.loads(Path(data).read_text())
    return Scores(loss=[abs(row["y"] - model["guess"]) for row in rows], block=[row["day"] for row in rows])


def guess(value: float, folder: Path) -> TrainedModel:
    """Return a model that always guesses one value."""
    holdout = folder / "holdout.json"
    holdout.write_text(json.dumps(ROWS))
    return TrainedModel({"guess": value}, metrics={"guess": value}, holdout=holdout)


@pytest.fixture
def training(tmp_path: Path) -> DAG:
    """A DAG that trains a guess and promotes it if it is better."""
    with DAG("train_guess", schedule=None) as dag:

        @task.exia_train(model="guess", format="json")
        def train(context: TrainingContext) -> TrainedModel:
            value = get_current_context()["dag_run"].conf["guess"]
            return guess(value, tmp_path)

        promote_if_better(train(), score=score, policy=POLICY)
    return dag


def publish(library: ModelLibrary, folder: Path, *values: float) -> None:
    for value in values:
        (folder / "model.json").write_text(json.dumps({"guess": value}))
        library.publish("guess", folder / "model.json", format="json")


def test_a_model_is_first_then_refused_then_beaten(
    training: DAG, library: ModelLibrary, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run_dag(training, conf={"guess": BAD})
    capfd.readouterr()
    refused = run_dag(training, conf={"guess": BAD - 1})
    log = capfd.readouterr().out
    accepted = run_dag(training, conf={"guess": GOOD})

    assert [run.state for run in (first, refused, accepted)] == ["success"] * 3
    assert first.result("promote_if_better.promote") == "guess/1"
    assert refused.tasks == {
        "train": "success",
        "promote_if_better.gate": "success",
        "promote_if_better.promote": "skipped",
    }
    (reason,) = re.findall(r"Skipping task\..*reason='(.*)'", log)
    assert reason.startswith("guess/2 against guess/1: refused: error 6.875 -> 7.875, gain -1, lower bound -1 (40 rows")
    assert accepted.result("promote_if_better.promote") == "guess/3"
    assert [entry.version for entry in library.history("guess")] == [3, 1]
    assert library.history("guess")[0].decision == accepted.result("promote_if_better.gate")
    assert library.history("guess")[0].by == f"train_guess/{accepted.run_id}/promote_if_better.promote"


def test_a_version_knows_the_run_that_made_it(training: DAG, library: ModelLibrary) -> None:
    run = run_dag(training, conf={"guess": GOOD})

    lineage = library.resolve("guess/1").lineage
    assert lineage.dag_run == {"dag_id": "train_guess", "run_id": run.run_id, "task_id": "train", "map_index": -1}


def test_the_champion_predicts_and_the_run_says_so(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, BAD, GOOD)
    library.promote("guess/2")
    with DAG("predict_guess", schedule=None) as dag:

        @task.exia_predict(model="guess@champion")
        def predict(model: dict[str, float], data: str) -> str:
            return f"{data}: {model['guess']}"

        predict("week 9")
        ModelPredictOperator(
            task_id="by_number",
            model="guess/1",
            predict=lambda model, data, unit: f"{data}: {model['guess']} {unit}",
            data="{{ dag.dag_id }}",
            parameters={"unit": "minutes"},
        )

    run = run_dag(dag)

    assert run.state == "success"
    assert run.xcoms["predict", "model_version"] == "guess/2"
    assert run.result("predict") == f"week 9: {GOOD}"
    assert run.xcoms["by_number", "model_version"] == "guess/1"
    assert run.result("by_number") == f"predict_guess: {BAD} minutes"


def test_a_rollback_task_moves_the_alias_back(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, BAD, GOOD)
    library.promote("guess/1")
    library.promote("guess/2")
    with DAG("roll_back", schedule=None) as dag:
        ModelRollbackOperator(task_id="rollback", model="guess", reason="{{ dag_run.conf['why'] }}")

    run = run_dag(dag, conf={"why": "worse on Sundays"})

    (entry, *_) = library.history("guess")
    assert run.result("rollback") == "guess/1"
    assert (entry.action, entry.version, entry.reason) == ("rollback", 1, "worse on Sundays")


def test_a_read_task_writes_the_files_where_a_template_says(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, GOOD)
    with DAG("read", schedule=None) as dag:
        ModelReadOperator(task_id="read", reference="guess@latest", folder=str(tmp_path / "{{ dag.dag_id }}"))
        ModelPromoteOperator(task_id="promote", reference="guess@latest", alias="shadow")

    run = run_dag(dag)

    assert run.result("read") == run.result("promote") == "guess/1"
    assert json.loads((tmp_path / "read" / "model.json").read_text()) == {"guess": GOOD}
    assert library.alias("guess", "shadow").live == 1


def test_a_function_named_by_text_trains(library: ModelLibrary) -> None:
    with DAG("by_name", schedule=None) as dag:
        ModelTrainOperator(
            task_id="train",
            model="guess",
            format="json",
            train="tests.airflow.test_lifecycle:train_by_name",
            as_of="{{ '2026-02-01T00:00:00+00:00' }}",
            parameters={"guess": "{{ 1 + 1 }}"},
        )

    run = run_dag(dag)

    assert library.load(run.result("train")) == {"guess": "2", "as_of": "2026-02-01 00:00:00+00:00"}


def train_by_name(context: TrainingContext) -> TrainedModel:
    return TrainedModel({**context.parameters, "as_of": str(context.as_of)})


def test_a_task_that_no_retry_can_mend_fails_at_its_first_try(library: ModelLibrary) -> None:
    with DAG("no_retry", schedule=None, default_args={"retries": 3}) as dag:
        ModelReadOperator(task_id="read", reference="nothing@champion")
        ModelReadOperator.partial(task_id="mapped").expand(reference=["nothing/1"])

    run = run_dag(dag)

    assert run.tasks == {"read": "failed", "mapped[0]": "failed"}


def test_the_versions_of_a_mapped_training_are_each_judged(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, BAD)
    library.promote("guess/1")
    with DAG("train_many", schedule=None) as dag:

        @task.exia_train(model="guess", format="json")
        def train(context: TrainingContext, value: float) -> TrainedModel:
            return guess(value, tmp_path)

        promote_if_better(train.expand(value=[BAD - 1, GOOD]), score=score, policy=POLICY)

    run = run_dag(dag)

    assert run.state == "success"
    assert [run.tasks[f"promote_if_better.promote[{index}]"] for index in (0, 1)] == ["skipped", "success"]
    live = library.alias("guess").live
    assert run.result("promote_if_better.promote[1]") == f"guess/{live}"
    assert library.load(f"guess/{live}") == {"guess": GOOD}


def test_of_two_mapped_challengers_that_both_win_only_one_is_promoted(
    library: ModelLibrary, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(library, tmp_path, BAD)
    library.promote("guess/1")
    with DAG("train_two_winners", schedule=None) as dag:

        @task.exia_train(model="guess", format="json")
        def train(context: TrainingContext, value: float) -> TrainedModel:
            return guess(value, tmp_path)

        promote_if_better(train.expand(value=[GOOD, GOOD - 0.5]), score=score, policy=POLICY)

    run = run_dag(dag)

    promoted = [run.tasks[f"promote_if_better.promote[{index}]"] for index in (0, 1)]
    assert sorted(promoted) == ["failed", "success"]
    assert "not at move 1 as it was when this was decided" in capfd.readouterr().out
    assert len(library.history("guess")) == 2


def test_a_mapped_task_group_trains_and_promotes_a_model_each(library: ModelLibrary, tmp_path: Path) -> None:
    with DAG("train_groups", schedule=None) as dag:

        @task_group
        def one_model(name: str) -> None:
            train = ModelTrainOperator(
                task_id="train", model=name, format="json", train=lambda context: TrainedModel({"is": context.model})
            )
            promote_if_better(train.output, score=score, policy=POLICY)

        one_model.expand(name=["arrivals", "departures"])

    run = run_dag(dag)

    assert run.state == "success"
    assert library.load("arrivals@champion") == {"is": "arrivals"}
    assert library.load("departures@champion") == {"is": "departures"}


def test_a_hundred_mapped_tasks_use_one_version_while_the_alias_moves(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, BAD, GOOD)
    library.promote("guess/1")
    with DAG("predict_hundred", schedule=None) as dag:

        @task.exia_predict(model="guess@champion")
        def predict(model: dict[str, float], number: int) -> str:
            return f"{number}: {model['guess']}"

        predict.expand(number=list(range(100)))
    spawn = multiprocessing.get_context("spawn")
    ready, over = spawn.Event(), spawn.Event()
    mover = spawn.Process(target=move_the_alias, args=(str(tmp_path), ready, over))

    mover.start()
    assert ready.wait(60)
    run = run_dag(dag)
    over.set()
    mover.join(60)

    assert (mover.exitcode, run.state) == (0, "success")
    (version,) = {run.xcoms[f"predict[{index}]", "model_version"] for index in range(100)}
    expected = library.load(version)["guess"]
    assert [run.result(f"predict[{index}]") for index in range(100)] == [f"{index}: {expected}" for index in range(100)]
    moves = library.history("guess")[:-1]
    assert len(moves) == MOVES
    assert sum(run.started_at < move.at < run.ended_at for move in moves) >= MOVES / 2


MOVES = 20


def move_the_alias(folder: str, ready: Any, over: Any) -> None:
    """Move the champion to and fro, spread over the run; what is left of the moves comes at once when it is over."""
    with open_library(f"sqlite:///{folder}/library.db", blobs=f"file://{folder}/blobs", by="the mover") as library:
        ready.set()
        for number in range(MOVES):
            over.wait(0.3)
            library.promote(f"guess/{2 - number % 2}")
