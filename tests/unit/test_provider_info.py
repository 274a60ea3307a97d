"""What Airflow's provider discovery finds, checked by Airflow's own schema and by Airflow itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import airflow_provider_exia
from airflow_provider_exia.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = airflow_provider_exia.__name__
DISTRIBUTION = "airflow-provider-exia"


def dotted_names(value: Any) -> Iterator[str]:
    """Give every string in ``value`` that names something of this package."""
    if isinstance(value, str):
        if value.startswith(f"{PACKAGE}."):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from dotted_names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from dotted_names(item)


def load(dotted: str) -> Any:
    """Import a module, or a module's attribute."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:
            raise
    module, _, attribute = dotted.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def run_python(code: str, **environment: str) -> str:
    """Run ``code`` in a fresh interpreter and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_provider_info_keeps_the_schema_that_airflow_enforces() -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    schema = json.loads(Path(spec.submodule_search_locations[0], "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_provider_info_uses_only_keys_that_the_schema_knows() -> None:
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    schema = json.loads(Path(spec.submodule_search_locations[0], "provider_info.schema.json").read_text())

    assert set(get_provider_info()) <= set(schema["properties"])


def test_every_name_in_provider_info_can_be_imported() -> None:
    for dotted in dotted_names(get_provider_info()):
        assert load(dotted) is not None


@pytest.mark.parametrize("dotted", ["airflow_provider_exia.absent", "airflow_provider_exia.get_provider_info.absent"])
def test_a_name_that_does_not_exist_is_found_out(dotted: str) -> None:
    with pytest.raises((ImportError, AttributeError)):
        load(dotted)


def test_the_entry_point_names_the_function_and_the_distribution_its_version() -> None:
    (entry_point,) = (
        found
        for found in importlib.metadata.entry_points(group="apache_airflow_provider")
        if found.dist is not None and found.dist.name == DISTRIBUTION
    )

    assert entry_point.load() is get_provider_info
    assert get_provider_info()["package-name"] == DISTRIBUTION
    assert importlib.metadata.version(DISTRIBUTION) == airflow_provider_exia.__version__


def test_discovery_imports_nothing_but_the_two_light_modules() -> None:
    code = (
        "import sys; from airflow_provider_exia.get_provider_info import get_provider_info; get_provider_info();"
        "print(*sorted(name for name in sys.modules if name.startswith('airflow')))"
    )

    assert run_python(code).split() == [PACKAGE, f"{PACKAGE}.get_provider_info"]


@pytest.mark.airflow
def test_airflow_discovers_the_provider(tmp_path: Path) -> None:
    code = (
        "from airflow.providers_manager import ProvidersManager; import json;"
        f"found = ProvidersManager().providers['{DISTRIBUTION}'];"
        "print(json.dumps([found.version, found.data['name']]))"
    )

    printed = run_python(code, AIRFLOW_HOME=str(tmp_path))

    assert json.loads(printed.splitlines()[-1]) == [airflow_provider_exia.__version__, get_provider_info()["name"]]
