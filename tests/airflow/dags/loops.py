"""DAGs of the tests of the loop: for each loop that loops.json beside this file names a training and a watching one.

A model is a guess, a row is what was to be guessed. What the DAGs are to do wrong, files in the loop's folder below
$AIRFLOW_HOME/world say.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better, watch
from airflow_provider_exia.operators.model_score import ModelScoreOperator
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from airflow_provider_exia.operators.monitor import MonitorEvaluateOperator, RetrainOperator

WORLD = Path(os.environ["AIRFLOW_HOME"]) / "world"
LOOPS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("loops.json").read_text())
ROWS = "{{ dag_run.conf['rows'] }}"
CROWD = 10


def wait_while(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def score(model: dict[str, float], data: str) -> Scores | None:
    """Return the distance of the guess from each row; rows are a file's, or JSON themselves."""
    rows = json.loads(data if data.startswith("[") else Path(data).read_text())
    if not rows:
        return None
    return Scores(loss=[abs(row - model["guess"]) for row in rows], block=list(range(len(rows))))


def train(context: TrainingContext) -> TrainedModel:
    """Write a line for this call, then guess what the plan says, or fail as the plan says."""
    folder = WORLD / context.model
    with (folder / "calls").open("a") as calls:
        calls.write(f"{context.episode}\n")
    wait_while((folder / "hold").exists)
    plan = json.loads((folder / "plan.json").read_text())
    if plan["wrong"] == "raise":
        raise RuntimeError("this was asked for")
    if plan["wrong"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    holdout = Path(tempfile.mkdtemp()) / "holdout.json"
    holdout.write_text(json.dumps([plan["holdout"] + number % 3 / 10 for number in range(9)]))
    return TrainedModel({"guess": plan["guess"]}, holdout=holdout)


def misbehave(context: Any) -> None:
    """Do to this task, before it executes, what the first line of the file of its name says, and take the line out."""
    instance = context["ti"]
    orders = WORLD / instance.dag_id.rpartition("_")[0] / f"{instance.task_id}.orders"
    if not orders.exists():
        return
    order, *rest = orders.read_text().splitlines()
    orders.write_text("\n".join(rest)) if rest else orders.unlink()
    match order.split():
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["crash", point]:
            os.environ["EXIA_CRASH_POINT"] = point
        case ["hesitate"]:
            hesitate_before_rolling_back(orders.parent)
        case _:
            raise ValueError(f"{orders}: {order}")


def hesitate_before_rolling_back(folder: Path) -> None:
    from airflow_provider_exia.model_library.library import ModelLibrary

    at_once = ModelLibrary.rollback

    def later(library: ModelLibrary, *arguments: Any, **options: Any) -> Any:
        (folder / "hold").touch()
        wait_while((folder / "hold").exists)
        return at_once(library, *arguments, **options)

    ModelLibrary.rollback = later


def make_dags(name: str, settings: dict[str, Any]) -> None:
    policy = Policy(**settings["policy"])
    training_dag, shadow = f"{name}_train", settings.get("shadow", False)

    @dag(dag_id=training_dag, schedule=None, default_args={"retries": settings.get("retries", 0)})
    def training() -> None:
        @task
        def prepare() -> None:
            if (WORLD / name / "prepare.orders").exists():
                raise RuntimeError("this was asked for")

        trained = ModelTrainOperator(task_id="train", model=name, format="json", train=train)
        if settings.get("prepares"):
            prepare() >> trained
        promote_if_better(trained.output, score=score, policy=policy)

    obedient = {"retries": 1, "on_execute_callback": misbehave}

    @dag(dag_id=f"{name}_watch", schedule=None, default_args=obedient)
    def watching() -> None:
        watch(name, score=score, data=ROWS, policy=policy, retrain=training_dag, shadow=shadow)

    @dag(dag_id=f"{name}_crowd", schedule=None, default_args={"retries": 1})
    def crowding() -> None:
        watched = {"model": name, "monitor": policy.metric, "policy": policy}
        scored = ModelScoreOperator(task_id="score", score=score, data=ROWS, **watched)
        evaluated = MonitorEvaluateOperator.partial(task_id="evaluate", retrain=training_dag, **watched).expand(
            shadow=[False] * CROWD
        )
        scored >> evaluated
        RetrainOperator.partial(task_id="retrain", retrain=training_dag).expand(work=evaluated.output)

    training()
    watching()
    if settings.get("crowd"):
        crowding()


for _name, _settings in LOOPS.items():
    make_dags(_name, _settings)
