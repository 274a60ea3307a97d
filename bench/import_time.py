"""What this package adds to the reading of a DAG file, which imports ``airflow.sdk`` anyhow.

Each figure is the median over fresh interpreters, bytecode being compiled already.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPETITIONS = 7

MODULES = {
    "operators.model": ("airflow_provider_exia.operators.model",),
    "loop": ("airflow_provider_exia.loop",),
    "loop, and what promote_if_better() and watch() import": (
        "airflow_provider_exia.loop",
        "airflow_provider_exia.operators.model",
        "airflow_provider_exia.operators.model_gate",
        "airflow_provider_exia.operators.model_score",
        "airflow_provider_exia.operators.monitor",
    ),
    "both decorators": (
        "airflow_provider_exia.decorators.exia_train",
        "airflow_provider_exia.decorators.exia_predict",
    ),
}

CODE = """
import importlib, sys, time
from airflow.sdk import DAG, BaseOperator  # what every DAG file has
began = time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print((time.perf_counter() - began) * 1000)
"""


def measure(modules: tuple[str, ...], home: str) -> float:
    """Return the median milliseconds that importing the modules takes after ``airflow.sdk``."""
    found = []
    for _ in range(REPETITIONS + 1):
        done = subprocess.run(
            [sys.executable, "-c", CODE, *modules],
            env=os.environ | {"AIRFLOW_HOME": home},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(float(done.stdout.splitlines()[-1]))
    return statistics.median(found[1:])  # the first one may compile


def measure_help() -> float:
    """Return the median milliseconds of ``exia --help``, interpreter included."""
    found = []
    for _ in range(REPETITIONS + 1):
        began = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("exia"), "--help"], capture_output=True, check=True)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found[1:])


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        figures = {name: measure(modules, home) for name, modules in MODULES.items()}
    print(f"{'imported after airflow.sdk':56}{'ms':>8}")
    for name, figure in figures.items():
        print(f"{name:56}{figure:8.1f}")
    print(f"{'exia --help, the whole command':56}{measure_help():8.1f}")
    print(f"import_time: {max(figures.values()):.1f} ms")


if __name__ == "__main__":
    main()
