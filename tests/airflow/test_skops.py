"""A scikit-learn model goes through train, gate and predict tasks without a flood of warnings in their logs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG, task

from airflow_provider_exia.loop import Policy, Scores, TrainedModel, TrainingContext, promote_if_better
from airflow_provider_exia.model_library.formats import Trust
from airflow_provider_exia.model_library.formats.skops import SkopsFormat
from tests.airflow.running import run_dag

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("metadata_database")]

ROWS = [{"day": day, "x": float(x), "late": int(x > 5)} for day in range(10) for x in range(10)]


def score(model: LogisticRegression, data: str) -> Scores:
    rows = json.loads(Path(data).read_text())
    chances = model.predict_proba([[row["x"]] for row in rows])[:, 1]
    loss = [(row["late"] - chance) ** 2 for row, chance in zip(rows, chances, strict=True)]
    return Scores(loss, [row["day"] for row in rows])


def lifecycle(folder: Path) -> DAG:
    with DAG("skops_life", schedule=None) as dag:

        @task.exia_train(model="late", format="skops")
        def train(context: TrainingContext) -> TrainedModel:
            from sklearn.linear_model import LogisticRegression

            model = LogisticRegression().fit([[row["x"]] for row in ROWS], [row["late"] for row in ROWS])
            (folder / "holdout.json").write_text(json.dumps(ROWS))
            return TrainedModel(model, holdout=folder / "holdout.json")

        @task.exia_predict(model="late@champion")
        def predict(model: LogisticRegression) -> str:
            return ",".join(map(str, model.predict([[0.0], [9.0]])))

        promote_if_better(train(), score=score, policy=Policy(metric="brier")) >> predict()
    return dag


def test_a_scikit_learn_model_lives_through_the_loop(library: ModelLibrary, tmp_path: Path) -> None:
    run = run_dag(lifecycle(tmp_path))

    assert run.state == "success"
    assert run.result("predict") == "0,1"
    assert library.resolve("late/1").lineage.environment["scikit-learn"]


def test_a_model_with_a_function_of_scipy_is_written_and_read_where_warnings_are_errors(tmp_path: Path) -> None:
    import scipy.special
    from sklearn.preprocessing import FunctionTransformer

    importlib.import_module("airflow.utils.timezone")  # one of those that warn when they are asked for any name
    model = FunctionTransformer(scipy.special.exprel)
    SkopsFormat().save(model, tmp_path / "model.skops")

    read = SkopsFormat().load(tmp_path / "model.skops", trust=Trust(types=("scipy.special._ufuncs.exprel",)))

    assert read.func is scipy.special.exprel


def test_the_log_of_a_fresh_worker_holds_no_flood_of_warnings(library: ModelLibrary, tmp_path: Path) -> None:
    # A process of its own: what floods the log is the first import of skops beside Airflow's lazy modules.
    code = dedent(
        f"""
        from pathlib import Path
        import tests.conftest, os, shutil
        from tests.airflow.conftest import _template
        shutil.copyfile(_template(), tests.conftest.AIRFLOW_HOME / "airflow.db")
        os.environ["AIRFLOW_CONN_EXIA_DEFAULT"] = {_connection(tmp_path)!r}
        from tests.airflow.running import run_dag
        from tests.airflow.test_skops import lifecycle
        print("state", run_dag(lifecycle(Path({str(tmp_path)!r}))).state)
        """
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )

    lines = (done.stdout + done.stderr).splitlines()
    assert "state success" in lines
    assert [line for line in lines if "DeprecatedImportWarning" in line or "skops" in line and "Warning" in line] == []
    assert len(lines) < 200


def _connection(folder: Path) -> str:
    places = {"documents": f"sqlite:///{folder}/other.db", "blobs": f"file://{folder}/other"}
    return json.dumps({"conn_type": "exia", "extra": places})
