"""Reading a DAG file imports little, calls nobody and needs no database.

``make bench NAME=import_time`` measures what it costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "example_dags"
EXAMPLES = sorted(file for file in FOLDER.rglob("*.py") if "from airflow.sdk import" in file.read_text())

OPERATORS = {
    "airflow.sdk.bases.hook",
    "airflow.sdk.definitions.retry_policy",
    "airflow_provider_exia.assets",
    "airflow_provider_exia.clock",
    "airflow_provider_exia.consul",
    "airflow_provider_exia.consul.exceptions",
    "airflow_provider_exia.exceptions",
    "airflow_provider_exia.hooks",
    "airflow_provider_exia.hooks.fields",
    "airflow_provider_exia.hooks.library_connection",
    "airflow_provider_exia.hooks.model_library",
    "airflow_provider_exia.hooks.monitor",
    "airflow_provider_exia.model_library",
    "airflow_provider_exia.model_library.names",
    "airflow_provider_exia.operators",
    "airflow_provider_exia.operators.acceptance",
    "airflow_provider_exia.operators.base",
    "airflow_provider_exia.operators.model",
    "airflow_provider_exia.storage",
    "airflow_provider_exia.storage.documents",
    "airflow_provider_exia.task_identity",
}
LOOP = {
    "airflow_provider_exia.exceptions",
    "airflow_provider_exia.loop",
    "airflow_provider_exia.model_library",
    "airflow_provider_exia.model_library.training",
    "airflow_provider_exia.monitoring",
    "airflow_provider_exia.monitoring.durations",
    "airflow_provider_exia.monitoring.policy",
    "airflow_provider_exia.monitoring.scores",
}
DECORATORS = {
    "airflow.sdk.bases.decorator",
    "airflow_provider_exia.decorators",
    "airflow_provider_exia.decorators.exia_predict",
    "airflow_provider_exia.decorators.exia_train",
    "airflow_provider_exia.decorators.first_parameter",
    "airflow_provider_exia.functions",
    "airflow_provider_exia.operators.model_predict",
    "airflow_provider_exia.operators.model_train",
} | (OPERATORS - {"airflow_provider_exia.operators.model"})


def run(code: str, home: Path) -> Any:
    """Run code in a fresh interpreter with an Airflow home of its own; return the JSON value that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env=os.environ | {"AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["airflow_provider_exia.operators.model"], OPERATORS),
        (["airflow_provider_exia.loop"], LOOP),
        (["airflow_provider_exia.decorators.exia_train", "airflow_provider_exia.decorators.exia_predict"], DECORATORS),
    ],
    ids=["operators.model", "loop", "decorators"],
)
def test_what_a_dag_file_imports_is_this_and_no_more(modules: list[str], expected: set[str], tmp_path: Path) -> None:
    code = f"""
        import importlib, json, sys
        from airflow.sdk import DAG, BaseOperator
        before = set(sys.modules)
        for name in {modules!r}:
            importlib.import_module(name)
        print(json.dumps(sorted(set(sys.modules) - before)))
    """

    assert set(run(code, tmp_path)) == expected


def test_a_dag_file_that_closes_the_loop_imports_nothing_heavy(tmp_path: Path) -> None:
    code = """
        import json, sys
        from airflow.sdk import DAG, TaskGroup
        with DAG("before", schedule=None):
            TaskGroup("group")
        before = set(sys.modules)
        from airflow_provider_exia.loop import Policy, promote_if_better, watch
        policy = Policy(metric="brier", enter=0.2)
        with DAG("delay", schedule=None):
            promote_if_better("delay/1", score="flights:score", policy=policy)
            watch("delay", score="flights:score", data="week.json", policy=policy, retrain="train_delay")
        print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
    """

    assert set(run(code, tmp_path)) <= {"airflow", "airflow_provider_exia"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_read_without_network_and_without_a_database(file: Path, tmp_path: Path) -> None:
    code = f"""
        import json, socket
        from airflow.dag_processing.dagbag import DagBag
        asked = []
        class NoSocket:
            def __init__(self, *arguments, **keywords):
                asked.append(repr(arguments))
                raise OSError("no sockets while a DAG file is read")
        socket.socket = socket.create_connection = socket.getaddrinfo = NoSocket
        bag = DagBag({str(file)!r})
        print(json.dumps([sorted(bag.dags), bag.import_errors, asked]))
    """

    dags, errors, asked = run(code, tmp_path)

    assert dags
    assert (errors, asked) == ({}, [])
    assert sorted(tmp_path.rglob("*.db*")) == []
    assert not (tmp_path / "exia").exists()
