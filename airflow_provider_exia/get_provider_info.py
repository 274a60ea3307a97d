"""What Airflow's provider discovery reads; it runs before Airflow is configured, so nothing is imported here."""

from __future__ import annotations

from typing import Any

_CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "exia",
    "hook-class-name": "airflow_provider_exia.hooks.model_library.ModelLibraryHook",
    "hook-name": "Exia model library",
    "conn-fields": {
        "documents": {
            "label": "Documents",
            "description": "URL of the document store, as in sqlite:////var/lib/exia/library.db; "
            "empty (with Blobs): below $AIRFLOW_HOME/exia",
            "schema": {"type": ["string", "null"]},
        },
        "blobs": {
            "label": "Blobs",
            "description": "URL of the blob store, as in file:///var/lib/exia/blobs",
            "schema": {"type": ["string", "null"]},
        },
        "formats": {
            "label": "Allowed formats",
            "description": "Formats that may be loaded, separated by commas; empty: all but pickle and joblib",
            "schema": {"type": ["string", "null"]},
        },
        "trusted_types": {
            "label": "Trusted types",
            "description": "Types that a skops file may hold beyond those that skops knows, separated by commas",
            "schema": {"type": ["string", "null"], "format": "multiline"},
        },
        "max_bytes": {
            "label": "Maximum size",
            "description": "Largest version that is fetched, in bytes; empty: no limit",
            "schema": {"type": ["integer", "null"], "minimum": 1},
        },
        "refuse_other_major": {
            "label": "Refuse another major version",
            "description": "Refuse, not warn, when the model was trained with another major version of its library",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
    },
    "ui-field-behaviour": {"hidden-fields": ["host", "port", "login", "password", "schema"]},
}


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
        "hooks": [
            {
                "integration-name": "Exia",
                "python-modules": ["airflow_provider_exia.hooks.model_library", "airflow_provider_exia.hooks.monitor"],
            }
        ],
        "sensors": [
            {
                "integration-name": "Exia",
                "python-modules": ["airflow_provider_exia.sensors.model", "airflow_provider_exia.sensors.monitor"],
            }
        ],
        "triggers": [
            {
                "integration-name": "Exia",
                "python-modules": ["airflow_provider_exia.triggers.model", "airflow_provider_exia.triggers.monitor"],
            }
        ],
        "operators": [
            {
                "integration-name": "Exia",
                "python-modules": [
                    "airflow_provider_exia.operators.model",
                    "airflow_provider_exia.operators.model_train",
                    "airflow_provider_exia.operators.model_gate",
                    "airflow_provider_exia.operators.model_predict",
                    "airflow_provider_exia.operators.model_score",
                    "airflow_provider_exia.operators.monitor",
                    "airflow_provider_exia.operators.monitor_sweep",
                    "airflow_provider_exia.operators.model_data",
                    "airflow_provider_exia.operators.generate_dag",
                ],
            }
        ],
        "task-decorators": [
            {"name": "exia_train", "class-name": "airflow_provider_exia.decorators.exia_train.exia_train_task"},
            {"name": "exia_predict", "class-name": "airflow_provider_exia.decorators.exia_predict.exia_predict_task"},
        ],
        "connection-types": [_CONNECTION_TYPE],
    }
