"""How long one pass of the DAG processor takes over 1,000 pipelines of 5 tasks: compiled, dag-factory, Blueprint.

Every tool is given one YAML file per pipeline and makes the same DAG of it: the same five operators of this package
with the same arguments. Then a real ``airflow dag-processor --num-runs 1`` reads each folder, with a fresh metadata
database, one tool after the other on the same machine, in an environment of its own that holds all three tools.

``python -m bench.fleet [--dags 1000] [--rounds 2] [--shard-size 25]``; the last line is ``fleet: <faster peer's time /
ours> x``. Wall time means little while others use the cores: the seconds of processor time are printed beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_exia.dag_compiler.compiling import compile_specs

ROOT = Path(__file__).parents[1]
PEERS = ("dag-factory==1.1.0", "airflow-blueprint==0.5.0")
TASKS = 5
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airflow-provider-exia" / "fleet"
SETTINGS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "900",  # one file that makes 1,000 DAGs needs more than the default 30 s
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "900",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "2",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}

POLICY: dict[str, Any] = {
    "metric": "brier", "direction": "lower", "enter": 0.1975, "exit": 0.18, "breaches": 2, "window": 3,
    "cooldown": "21d", "bake": "21d",
}  # fmt: skip

BLUEPRINTS = """\
from airflow.sdk import TaskGroup
from blueprint import BaseModel, Blueprint

from airflow_provider_exia.loop import Policy, watch
from airflow_provider_exia.operators.model_data import ModelDataOperator
from airflow_provider_exia.operators.model_predict import ModelPredictOperator


class PolicyConfig(BaseModel):
    metric: str
    direction: str
    enter: float
    exit: float
    breaches: int
    window: int
    cooldown: str
    bake: str


class PipelineConfig(BaseModel):
    model: str
    extract: str
    predict: str
    score: str
    policy: PolicyConfig
    retrain: str


class Pipeline(Blueprint[PipelineConfig]):
    '''Extract, predict, watch.'''

    def render(self, config: PipelineConfig) -> TaskGroup:
        with TaskGroup(group_id=self.step_id) as group:
            extract = ModelDataOperator(task_id="extract", extract=config.extract)
            predict = ModelPredictOperator(
                task_id="predict", model=config.model + "@champion", predict=config.predict, data=extract.output
            )
            policy = Policy(**config.policy.model_dump())
            watch(config.model, score=config.score, data=predict.output, policy=policy, retrain=config.retrain)
        return group
"""


def write_ours(folder: Path, models: list[str], *, shard_size: int | None = None) -> None:
    """Write specs and compile them; the compilation itself is timed too, though nobody waits for it in production."""
    specs = []
    for model in models:
        monitor = {name: value for name, value in POLICY.items() if name not in ("metric", "direction")}
        spec = {
            "model": model,
            "data": {"function": "flights.delay:extract"},
            "score": {"function": "flights.delay:score", "metric": "brier", "direction": "lower"},
            "infer": {"function": "flights.delay:predict", "schedule": "@weekly"},
            "monitor": {**monitor, "retrain": f"{model}_train"},
        }
        path = folder.parent / "specs" / f"{model}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(spec, sort_keys=False))
        specs.append(path)
    begun = time.monotonic()
    done = compile_specs(specs, folder, shard_size=shard_size)
    seconds = time.monotonic() - begun
    expect(not done.wrong, done.wrong)
    print(f"exia compile: {len(models)} specs into {len(done.files)} files in {seconds:.1f} s, import check included")


def write_dag_factory(folder: Path, models: list[str]) -> None:
    """Write one YAML file per DAG and the loader of dag-factory's documentation."""
    operators = "airflow_provider_exia.operators"
    policy = {"__type__": "airflow_provider_exia.loop.Policy", **POLICY}
    for model in models:
        watched = {"model": model, "monitor": "brier", "policy": policy}
        tasks = {
            "extract": {"operator": f"{operators}.model_data.ModelDataOperator", "extract": "flights.delay:extract"},
            "predict": {
                "operator": f"{operators}.model_predict.ModelPredictOperator",
                "model": f"{model}@champion",
                "predict": "flights.delay:predict",
                "data": "{{ ti.xcom_pull(task_ids='extract') }}",
                "dependencies": ["extract"],
            },
            "score": {
                "operator": f"{operators}.model_score.ModelScoreOperator",
                "score": "flights.delay:score",
                "data": "{{ ti.xcom_pull(task_ids='predict') }}",
                "dependencies": ["predict"],
                "task_group_name": "watch",
                **watched,
            },
            "evaluate": {
                "operator": f"{operators}.monitor.MonitorEvaluateOperator",
                "retrain": f"{model}_train",
                "dependencies": ["score"],
                "task_group_name": "watch",
                **watched,
            },
            "retrain": {
                "operator": f"{operators}.monitor.RetrainOperator",
                "work": "{{ ti.xcom_pull(task_ids='watch.evaluate') }}",
                "retrain": f"{model}_train",
                "dependencies": ["evaluate"],
                "task_group_name": "watch",
            },
        }
        dag = {"schedule": "@weekly", "catchup": False, "tags": ["exia"], "task_groups": {"watch": {}}, "tasks": tasks}
        (folder / f"{model}.yaml").write_text(yaml.safe_dump({f"{model}_infer": dag}, sort_keys=False))
    loader = "from airflow.sdk import DAG\nfrom dagfactory import load_yaml_dags\n\n"
    (folder / "loader.py").write_text(f"{loader}load_yaml_dags(globals_dict=globals(), dags_folder={str(folder)!r})\n")


def write_blueprint(folder: Path, models: list[str]) -> None:
    """Write one YAML file per DAG, a blueprint for all, and the loader of Blueprint's documentation."""
    (folder / "pipelines.py").write_text(BLUEPRINTS)
    for model in models:
        step = {
            "blueprint": "pipeline",
            "model": model,
            "extract": "flights.delay:extract",
            "predict": "flights.delay:predict",
            "score": "flights.delay:score",
            "policy": POLICY,
            "retrain": f"{model}_train",
        }
        dag = {"dag_id": f"{model}_infer", "schedule": "@weekly", "steps": {"run": step}}
        (folder / f"{model}.dag.yaml").write_text(yaml.safe_dump(dag, sort_keys=False))
    (folder / "loader.py").write_text("from blueprint import build_all_airflow_dags\n\nbuild_all_airflow_dags()\n")


TOOLS: dict[str, Callable[[Path, list[str]], None]] = {
    "exia": write_ours,
    "dag-factory": write_dag_factory,
    "blueprint": write_blueprint,
}


def environment_of_the_peers() -> Path:
    """Return a Python that has Airflow and both peers; made once and kept outside the project."""
    wanted = json.dumps([*PEERS, version("apache-airflow"), sys.version])
    mark, folder = CACHE / "made.json", CACHE / "venv"
    python = folder / "bin" / "python"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {' and '.join(PEERS)} into {folder}")
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        packages = [f"apache-airflow=={version('apache-airflow')}", "croniter", "sqlalchemy", *PEERS]
        limits = ["--constraint", ROOT / "constraints.txt"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *limits, *packages], check=True)
        mark.write_text(wanted)
    return python


def one_pass(python: Path, dags: Path, home: Path, database: Path, expected: int) -> tuple[float, float]:
    """Let a DAG processor read a folder once; return its seconds from start to end, and those of processor time."""
    home.mkdir()
    shutil.copyfile(database, home / "airflow.db")
    begun, used = time.monotonic(), processor_time()
    run_airflow(python, home, dags, "dag-processor", "--num-runs", "1")
    seconds, used = time.monotonic() - begun, processor_time() - used
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as rows:
        errors = rows.execute("select filename, stacktrace from import_error").fetchall()
        expect(not errors, errors)
        found = [json.loads(data) for (data,) in rows.execute("select data from serialized_dag")]
    expect(len(found) == expected, f"{len(found)} DAGs in the database instead of {expected}")
    expect({len(data["dag"]["tasks"]) for data in found} == {TASKS}, "DAGs with another number of tasks")
    return seconds, used


def processor_time() -> float:
    """Return the seconds of processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_airflow(python: Path, home: Path, dags: Path, *words: str) -> None:
    """Run an ``airflow`` command with nothing inherited."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= SETTINGS | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [python, "-m", "airflow", *words], env=environment, capture_output=True, text=True, check=False
    )
    expect(done.returncode == 0, done.stderr[-3000:] or done.stdout[-3000:])


def expect(condition: bool, problem: object) -> None:
    """End the benchmark where a figure would not mean what it says."""
    if not condition:
        raise SystemExit(f"fleet: not measured: {problem}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dags", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2, help="the shortest pass of each tool counts")
    parser.add_argument("--shard-size", type=int, help="as for 'exia compile'; default: about 25 DAGs a file")
    options = parser.parse_args()
    tools = TOOLS | {"exia": functools.partial(write_ours, shard_size=options.shard_size)}
    models = [f"model_{number:04d}" for number in range(options.dags)]
    python = environment_of_the_peers()
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="exia-fleet-") as scratch:
        folder = Path(scratch)
        (folder / "empty").mkdir()
        run_airflow(python, folder / "template", folder / "empty", "db", "migrate")
        for tool, write in tools.items():
            (folder / tool / "dags").mkdir(parents=True)
            write(folder / tool / "dags", models)
        for number in range(options.rounds):
            for tool in tools:
                home, database = folder / tool / f"home-{number}", folder / "template" / "airflow.db"
                seconds, used = one_pass(python, folder / tool / "dags", home, database, len(models))
                best[tool] = min(seconds, best.get(tool, seconds))
                print(f"{tool}: {seconds:.1f} s, {used:.1f} s of processor time", flush=True)
    if os.getloadavg()[1] > 1.5 * (os.cpu_count() or 1):
        print(f"others use this machine (load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores): measure again later")
    print(f"{len(models)} DAGs of {TASKS} tasks, shortest of {options.rounds} passes: {best}")
    faster = min(best["dag-factory"], best["blueprint"])
    print(f"fleet: {faster / best['exia']:.2f} x")


if __name__ == "__main__":
    main()
