"""Specs to compile, and an import check that needs no Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from airflow_provider_exia.dag_compiler.importing import Imported
from airflow_provider_exia.dag_compiler.units import read_compiled

SPEC = """\
model: flight_delay
data:    {function: "flights.delay:extract"}
score:   {function: "flights.delay:score", metric: brier, direction: lower, block: day}
train:   {function: "flights.delay:train", format: skops}
gate:    {min_gain: 0.002}
infer:   {schedule: "@weekly", function: "flights.delay:predict"}
monitor: {enter: 0.1975, exit: 0.18, breaches: 2, window: 3, cooldown: 21d, bake: 21d}
"""
"""The spec of the design, which is the measure of simplicity."""

WriteSpecs = Callable[..., list[Path]]


def believe(files: Mapping[str, str]) -> dict[str, Imported]:
    """Stand in for Airflow: take every file and say that it holds the DAGs that its code defines."""
    found = {}
    for name, text in files.items():
        assert read_compiled(text) is not None
        defined = [line.split()[1].partition("(")[0] for line in text.splitlines() if line.lstrip().startswith("def ")]
        dags = tuple(dag_id for dag_id in defined if dag_id.endswith(("_train", "_infer")))
        found[name] = Imported(dags=dags, unbuilt={}, errors=())
    return found


@pytest.fixture
def write_specs(tmp_path: Path) -> WriteSpecs:
    """Write the spec of the design for each of some models, as ``specs/<model>.yaml``."""

    def write(*models: str, text: str = SPEC) -> list[Path]:
        folder = tmp_path / "specs"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{model}.yaml" for model in models]
        for path, model in zip(paths, models, strict=True):
            path.write_text(text.replace("flight_delay", model))
        return paths

    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dags"
