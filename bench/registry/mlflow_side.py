"""MLflow's side of the registry bench, run by a Python that has MLflow: its client, in process or to its server."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from bench.registry.writers import run

MODEL, ALIAS = "delay", "champion"


class Mlflow:
    """MLflow's client.

    :param stores: ``tracking``, and for a client in process ``artifacts``, where files lie
    """

    def __init__(self, stores: dict[str, str], _folder: Path) -> None:
        self._client = MlflowClient(tracking_uri=stores["tracking"], registry_uri=stores["tracking"])
        self._client.create_registered_model(MODEL)
        self._experiment = self._client.create_experiment("bench", artifact_location=stores.get("artifacts"))

    def publish(self, source: Path, work: str) -> None:
        started = self._client.create_run(self._experiment, run_name=work)
        self._client.log_artifact(started.info.run_id, str(source))
        self._client.create_model_version(
            MODEL, f"{started.info.artifact_uri}/{source.name}", started.info.run_id, await_creation_for=0
        )

    def point_alias(self) -> None:
        self._client.set_registered_model_alias(MODEL, ALIAS, "1")

    def resolve(self) -> None:
        self._client.get_model_version_by_alias(MODEL, ALIAS)


if __name__ == "__main__":
    run(Mlflow)
