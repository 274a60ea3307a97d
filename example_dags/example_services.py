"""A model is released to the service that serves it: taken out, loaded, registered with its version, awaited, asked.

It needs a connection ``consul_default`` of the type ``consul``. The service itself is yours; here it is a dummy that
reports by a TTL, as a batch scorer without a port would.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task

from airflow_provider_exia.hooks.services import ConsulServiceHook
from airflow_provider_exia.operators.model import ModelPromoteOperator, ModelWriteOperator
from airflow_provider_exia.operators.services import (
    ServiceDeregisterOperator,
    ServiceDiscoverOperator,
    ServiceMaintenanceOperator,
    ServiceRegisterOperator,
)
from airflow_provider_exia.sensors.services import ServiceHealthSensor, ServiceModelSensor
from airflow_provider_exia.services.checks import TtlCheck

SERVICE = "example-rates"


@dag(schedule=None, tags=["exia", "example"])
def example_services() -> None:
    """Release a version and wait until it is what is served."""

    @task
    def make() -> str:
        file = Path(tempfile.mkdtemp()) / "rates.json"
        file.write_text(json.dumps({"vat": 0.19}))
        return str(file)

    @task
    def report() -> None:
        ConsulServiceHook().report(SERVICE, note="loaded")  # your service does this itself, again and again

    written = ModelWriteOperator(task_id="write", model="example_rates", file=make(), format="json")
    promoted = ModelPromoteOperator(task_id="promote", reference=written.output)
    registered = ServiceRegisterOperator(
        task_id="register",
        name=SERVICE,
        address="127.0.0.1",
        port=8080,
        serves=promoted.output,
        checks=[TtlCheck(ttl=timedelta(minutes=5))],
    )
    out = ServiceMaintenanceOperator(task_id="take_out", service_id=SERVICE, is_on=True, reason="loads a model")
    back = ServiceMaintenanceOperator(task_id="take_back", service_id=SERVICE, is_on=False)
    healthy = ServiceHealthSensor(task_id="healthy", service=SERVICE, poke_interval=2, timeout=300)
    served = ServiceModelSensor(task_id="served", service=SERVICE, model="example_rates", poke_interval=2, timeout=300)
    url = ServiceDiscoverOperator(task_id="url", name=SERVICE, path="/predict")
    remove = ServiceDeregisterOperator(task_id="remove", service_id=SERVICE, trigger_rule="all_done")
    registered >> out >> report() >> back >> healthy >> served >> url >> remove


example_services()
