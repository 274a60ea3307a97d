"""What Airflow's provider discovery reads; it runs before Airflow is configured, so nothing is imported here."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Describe this distribution in the terms of Airflow's ``provider_info.schema.json``.

    A dict that breaks the schema stops every ``airflow`` command, so ``tests/unit/test_provider_info.py``
    checks it and imports each name in it.
    """
    return {
        "package-name": "airflow-provider-exia",
        "name": "Exia",
        "description": "Publish a model, serve it by alias, watch it, retrain it, promote it only if it is better.",
        "integrations": [
            {"integration-name": "Exia", "tags": ["machine-learning"]},
        ],
    }
