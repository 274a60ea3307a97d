"""What Airflow's provider discovery reads; it runs before Airflow is configured, so nothing is imported here."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_LONG_TEXT: dict[str, Any] = {**_TEXT, "format": "multiline"}

_EXIA: dict[str, Any] = {
    "connection-type": "exia",
    "hook-class-name": "airflow_provider_exia.hooks.model_library.ModelLibraryHook",
    "hook-name": "Exia model library",
    "conn-fields": {
        "documents": {
            "label": "Metadata connection",
            "description": "Id of a connection of the type mongo, postgres, mysql or sqlite, or a file on this machine "
            "as in sqlite:////srv/exia/library.db; empty, with the object connection: below $AIRFLOW_HOME/exia",
            "schema": _TEXT,
        },
        "blobs": {
            "label": "Object connection",
            "description": "Id of a connection of the type minio or aws, or a folder on this machine as in "
            "file:///srv/exia/blobs",
            "schema": _TEXT,
        },
        "bucket": {
            "label": "Bucket",
            "description": "Bucket for the files, on the server of the object connection; it must exist",
            "schema": _TEXT,
        },
        "prefix": {
            "label": "Prefix",
            "description": "What every key in the bucket begins with; empty: models",
            "schema": _TEXT,
        },
        "formats": {
            "label": "Allowed formats",
            "description": "Formats that may be loaded, separated by commas; empty: all but pickle and joblib",
            "schema": _TEXT,
        },
        "trusted_types": {
            "label": "Trusted types",
            "description": "Types that a skops file may hold beyond those that skops knows, separated by commas",
            "schema": _LONG_TEXT,
        },
        "importable": {
            "label": "Code packages",
            "description": "Packages whose code may be imported where a model is a reference to code, separated by "
            "commas",
            "schema": _TEXT,
        },
        "max_bytes": {
            "label": "Maximum size",
            "description": "Largest version that is fetched, and most that a skops archive in it unpacks to, in bytes; "
            "empty: no limit",
            "schema": {"type": ["integer", "null"], "minimum": 1},
        },
        "refuse_other_major": {
            "label": "Refuse another major version",
            "description": "Refuse, not warn, when the model was trained with another major version of its library",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
        "public_keys": {
            "label": "Public keys",
            "description": "Public keys whose signatures are accepted, as in ed25519-public:..., separated by commas",
            "schema": _LONG_TEXT,
        },
        "protected_aliases": {
            "label": "Protected aliases",
            "description": 'Who alone may move an alias, as JSON: {"champion": ["dag:churn_train", "person:ann", '
            '"monitor"]}',
            "schema": _LONG_TEXT,
        },
        "cache": {
            "label": "Cache folder",
            "description": "Folder for fetched files, on each machine that runs tasks; empty: none",
            "schema": _TEXT,
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["host", "port", "login", "schema"],
        "relabeling": {"password": "Signing key"},
        "placeholders": {"password": "ed25519:... or hmac:..., as 'exia key generate' prints it"},
    },
}

_MINIO: dict[str, Any] = {
    "connection-type": "minio",
    "hook-class-name": "airflow_provider_exia.hooks.minio.MinioHook",
    "hook-name": "MinIO or S3 server",
    "conn-fields": {
        "region": {
            "label": "Region",
            "description": "Region of the buckets; empty: the server's own",
            "schema": _TEXT,
        },
        "secure": {
            "label": "TLS",
            "description": "Whether the server speaks TLS; a host written with http:// or https:// says so itself",
            "schema": {"type": ["boolean", "null"], "default": True},
        },
        "ca_file": {
            "label": "CA file",
            "description": "File of certificates to trust, on each machine that runs tasks",
            "schema": _TEXT,
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {"login": "Access key", "password": "Secret key"},
        "placeholders": {"host": "minio.example.com", "port": "9000"},
    },
}


_CONSUL: dict[str, Any] = {
    "connection-type": "consul",
    "hook-class-name": "airflow_provider_exia.hooks.consul.ConsulHook",
    "hook-name": "Consul",
    "conn-fields": {
        "secure": {
            "label": "TLS",
            "description": "Whether the agent speaks TLS",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
        "environment": {
            "label": "Environment",
            "description": "Where parameters are written and looked for first, as prod; empty: default",
            "schema": _TEXT,
        },
        "inherits": {
            "label": "Inherits from",
            "description": "Environments where parameters are looked for next, separated by commas",
            "schema": _TEXT,
        },
        "root": {
            "label": "Root",
            "description": "First segment of all keys of parameters; empty: exia",
            "schema": _TEXT,
        },
        "consistency": {
            "label": "Consistency",
            "description": "Of reads: default, consistent or stale",
            "schema": {**_TEXT, "enum": ["default", "consistent", "stale", "", None]},
        },
        "datacenter": {"label": "Datacenter", "description": "Empty: the agent's own", "schema": _TEXT},
        "namespace": {"label": "Namespace", "description": "Of Consul Enterprise", "schema": _TEXT},
        "partition": {"label": "Partition", "description": "Of Consul Enterprise", "schema": _TEXT},
        "ca_file": {
            "label": "CA file",
            "description": "File of certificates to trust, on each machine that runs tasks",
            "schema": _TEXT,
        },
        "certificate_file": {
            "label": "Client certificate",
            "description": "File with the client's certificate and its key",
            "schema": _TEXT,
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "Token"},
        "placeholders": {"host": "127.0.0.1", "port": "8500"},
    },
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
                "python-modules": [
                    "airflow_provider_exia.hooks.consul",
                    "airflow_provider_exia.hooks.minio",
                    "airflow_provider_exia.hooks.model_library",
                    "airflow_provider_exia.hooks.monitor",
                    "airflow_provider_exia.hooks.services",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Exia",
                "python-modules": [
                    "airflow_provider_exia.sensors.model",
                    "airflow_provider_exia.sensors.monitor",
                    "airflow_provider_exia.sensors.parameters",
                    "airflow_provider_exia.sensors.services",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "Exia",
                "python-modules": [
                    "airflow_provider_exia.triggers.model",
                    "airflow_provider_exia.triggers.monitor",
                    "airflow_provider_exia.triggers.parameters",
                    "airflow_provider_exia.triggers.services",
                ],
            }
        ],
        "operators": [
            {
                "integration-name": "Exia",
                "python-modules": [
                    "airflow_provider_exia.operators.model",
                    "airflow_provider_exia.operators.model_housekeeping",
                    "airflow_provider_exia.operators.model_train",
                    "airflow_provider_exia.operators.model_gate",
                    "airflow_provider_exia.operators.model_predict",
                    "airflow_provider_exia.operators.model_score",
                    "airflow_provider_exia.operators.monitor",
                    "airflow_provider_exia.operators.monitor_sweep",
                    "airflow_provider_exia.operators.model_data",
                    "airflow_provider_exia.operators.generate_dag",
                    "airflow_provider_exia.operators.parameters",
                    "airflow_provider_exia.operators.services",
                ],
            }
        ],
        "secrets-backends": ["airflow_provider_exia.secrets.consul.ConsulBackend"],
        "task-decorators": [
            {"name": "exia_train", "class-name": "airflow_provider_exia.decorators.exia_train.exia_train_task"},
            {"name": "exia_predict", "class-name": "airflow_provider_exia.decorators.exia_predict.exia_predict_task"},
        ],
        "connection-types": [_CONSUL, _EXIA, _MINIO],
    }
