"""What a version remembers of the machine it was trained on."""

from __future__ import annotations

import platform
from importlib.metadata import version

from airflow_provider_exia.model_library.environment import environment_of


def test_the_environment_names_python_this_package_and_the_formats_libraries() -> None:
    environment = environment_of("skops")

    assert environment["python"] == platform.python_version()
    assert environment["airflow-provider-exia"] == version("airflow-provider-exia")
    assert {"scikit-learn", "skops", "numpy"} <= set(environment)


def test_a_format_without_libraries_needs_none() -> None:
    assert set(environment_of("json")) == {"python", "airflow-provider-exia"}
