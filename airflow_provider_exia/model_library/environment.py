"""What a version remembers of the machine it was trained on."""

from __future__ import annotations

import platform

from airflow_provider_exia.model_library.distributions import installed_version
from airflow_provider_exia.model_library.formats import format_named

_OURS = "airflow-provider-exia"


def environment_of(format_name: str) -> dict[str, str]:
    """Return the versions of Python, of this package and of the format's libraries here."""
    environment = {"python": platform.python_version()}
    for distribution in (_OURS, *format_named(format_name, allow_pickle=True).libraries):  # nothing is read here
        version = installed_version(distribution)
        if version is not None:
            environment[distribution] = version
    return environment
