"""Connections to real servers in a real Airflow: what works through them, and which half fails and why when not."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from minio.minioadmin import MinioAdmin
from pymongo import MongoClient

from airflow_provider_exia.demo.airflow_processes import RunningAirflow, running_airflow
from airflow_provider_exia.demo.airflow_settings import USERNAME
from airflow_provider_exia.demo.rest import DagRunFailed
from airflow_provider_exia.model_library.signing import generate_key
from tests.servers.__main__ import connection_commands, place_of
from tests.servers.mongo import Mongo
from tests.servers.proxy import Proxy
from tests.servers.s3 import S3Server, impatient
from tests.servers.server import PASSWORD, fresh_name
from tests.servers.session import shared

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.slow,
    pytest.mark.servers("minio", "mongo"),
    pytest.mark.timeout(300),
]

PRIVATE_KEY, PUBLIC_KEY = generate_key()
_, OTHER_PUBLIC_KEY = generate_key()
WRONG, WRITER, READER = "wr0ng-passw0rd", "writer-passw0rd", "reader-passw0rd"
SECRETS = (PASSWORD, WRONG, WRITER, READER, PRIVATE_KEY.partition(":")[2])
DONE = "a probe was written, read and removed in both stores"
DOCUMENTS_SECONDS, BLOBS_SECONDS = 5.0, 33.0
"""Until a silent server is given up: the selection of a server, or a connection and then an answer."""

DAG_FILE = """
    import json
    import tempfile
    from pathlib import Path

    from airflow.sdk import dag, task

    from airflow_provider_exia.hooks.model_library import ModelLibraryHook
    from airflow_provider_exia.operators.model import ModelPromoteOperator


    def release(dag_id):
        @dag(dag_id=dag_id, schedule=None)
        def release_rules():
            @task
            def publish():
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "model.json"
                    file.write_text(json.dumps({"by": dag_id}))
                    return ModelLibraryHook("exia_publisher").library.publish("rules", file, format="json").reference

            @task
            def load(reference, exia_conn_id):
                return ModelLibraryHook(exia_conn_id).library.load(reference)

            reference = publish()
            promote = ModelPromoteOperator(task_id="promote", reference=reference, exia_conn_id="exia_publisher")
            promote >> load("rules@champion", "exia_reader")
            promote >> load.override(task_id="load_as_stranger")("rules@champion", "exia_stranger")

        release_rules()


    release("rules_release")
    release("rules_by_a_stranger")
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running Airflow and the places that its connections name."""

    airflow: RunningAirflow
    bucket: str
    places: dict[str, str]
    proxies: dict[str, Proxy]
    exia: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The connections of the type ``exia`` by id, as somebody would fill in the form."""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Airflow's own command line beside the running Airflow."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.airflow.settings.environment("cli") | {"COLUMNS": "1000"},
            capture_output=True,
            text=True,
            check=False,
        )

    def add(self, conn_id: str, **fields: Any) -> None:
        """Make a connection, as the form of Airflow's UI does."""
        extra = json.dumps(fields.pop("extra", {}))
        self.airflow.client._request(
            "POST", "/api/v2/connections", body={"connection_id": conn_id, "extra": extra, **fields}
        )

    def add_exia(self, conn_id: str, *, password: str | None = None, **extra: Any) -> None:
        """Make a connection of the type ``exia``."""
        self.exia[conn_id] = {"conn_type": "exia", "extra": extra, "password": password}
        self.add(conn_id, **self.exia[conn_id])

    def tested(self, conn_id: str) -> tuple[bool, str]:
        """Press the button that tests a connection."""
        fields = self.exia[conn_id]
        body = {"connection_id": conn_id, **fields, "extra": json.dumps(fields["extra"])}
        with httpx.Client(base_url=self.airflow.url, timeout=120, trust_env=False) as client:
            who = {"username": USERNAME, "password": self.airflow.settings.secrets.password}
            token = client.post("/auth/token", json=who).json()["access_token"]
            answer = client.post("/api/v2/connections/test", json=body, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()["status"], answer.json()["message"]

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the log of a task."""
        (run,) = [run for run in self.airflow.client.task_runs(dag_id, run_id) if run.task_id == task_id]
        return "\n".join(self.airflow.client.log_end(dag_id, run_id, run, lines=200))


class GuardedMongo(Mongo):
    """The Mongo wire server with a user who may write and one who may only read."""

    asks_who = False

    def command(self) -> list[str]:
        return [*super().command(), *(["--auth"] if self.asks_who else [])]

    def guard(self, database: str) -> None:
        """Make the users, and start anew as a server that asks who it is."""
        client: MongoClient[dict[str, Any]] = MongoClient(self.url)
        with client:
            for name, password, role in (("writer", WRITER, "readWrite"), ("reader", READER, "read")):
                client[database].command("createUser", name, pwd=password, roles=[{"role": role, "db": database}])
        self.stop()
        self.asks_who = True
        self.start()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An Airflow whose connections were made by the commands that ``make servers`` prints."""
    folder = tmp_path_factory.mktemp("connections")
    (folder / "dags").mkdir()
    (folder / "dags" / "rules.py").write_text(dedent(DAG_FILE))
    places = {key: place_of(shared(key)) for key in ("mongo", "minio")}
    began = datetime.now(UTC)
    options = {"core.test_connection": "Enabled", "core.default_task_retries": "0"}
    with ExitStack() as running:
        proxies = {key: running.enter_context(Proxy(shared(key).port)) for key in places}
        airflow = running.enter_context(running_airflow(folder / "home", dags_folder=folder / "dags", options=options))
        site = Site(
            airflow=airflow, bucket=Path(urlsplit(places["minio"]).path).parts[1], places=places, proxies=proxies
        )
        for line in connection_commands(places):
            program, *arguments = shlex.split(line)
            made = site.command(*arguments)
            assert (program, made.returncode) == ("airflow", 0), made.stderr
        site.exia["exia_default"] = {
            "conn_type": "exia",
            "extra": {"documents": "exia_mongo", "blobs": "exia_minio", "bucket": site.bucket},
        }
        add_more(site)
        airflow.client.wait_for_dag("rules_release", parsed_after=began)
        airflow.client.wait_for_dag("rules_by_a_stranger", parsed_after=began)
        yield site


def add_more(site: Site) -> None:
    """Make the connections that publish and load signed versions, and those that lead through a proxy."""
    stores = site.exia["exia_default"]["extra"]
    protected = {"champion": ["dag:rules_release"]}
    site.add_exia("exia_publisher", password=PRIVATE_KEY, **stores, prefix="signed", protected_aliases=protected)
    site.add_exia("exia_reader", **stores, prefix="signed", public_keys=PUBLIC_KEY)
    site.add_exia("exia_stranger", **stores, prefix="signed", public_keys=OTHER_PUBLIC_KEY)
    database = urlsplit(site.places["mongo"]).path[1:]
    site.add(
        "mongo_proxied",
        conn_type="mongo",
        host="127.0.0.1",
        port=site.proxies["mongo"].port,
        schema=database,
        extra={"directConnection": "true"},
    )
    site.add("minio_proxied", **minio_fields(site.proxies["minio"].port))
    site.add("minio_wrong_key", **minio_fields(shared("minio").port) | {"password": WRONG})
    site.add_exia("exia_proxied_documents", **stores | {"documents": "mongo_proxied"})
    site.add_exia("exia_proxied_blobs", **stores | {"blobs": "minio_proxied"})
    site.add_exia("exia_wrong_key", **stores | {"blobs": "minio_wrong_key"})
    site.add_exia("exia_no_bucket", **stores | {"bucket": "not-there"})


def minio_fields(port: int) -> dict[str, Any]:
    return {
        "conn_type": "minio",
        "host": "127.0.0.1",
        "port": port,
        "login": "exia",
        "password": PASSWORD,
        "extra": {"secure": False},
    }


def assert_tells_no_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text or quote(secret, safe="") in text] == []


def test_the_printed_commands_make_connections_that_work(site: Site) -> None:
    tested = site.command("connections", "test", "exia_default")

    assert tested.returncode == 0, tested.stdout
    assert "Connection success!" in tested.stdout
    assert site.tested("exia_default") == (True, DONE)


def test_a_dag_publishes_promotes_and_loads_signed_versions(site: Site) -> None:
    with pytest.raises(DagRunFailed, match="load_as_stranger"):
        site.airflow.client.run("rules_release", run_id="signed")

    states = {run.name: run.state for run in site.airflow.client.task_runs("rules_release", "signed")}
    assert states == {"publish": "success", "promote": "success", "load": "success", "load_as_stranger": "failed"}
    assert site.airflow.client.xcom("rules_release", "signed", "load") == {"by": "rules_release"}
    assert "which is no key that is accepted here" in site.log("rules_release", "signed", "load_as_stranger")
    for task in states:
        assert_tells_no_secret(site.log("rules_release", "signed", task))


def test_a_protected_alias_is_moved_by_the_named_dag_only(site: Site) -> None:
    with pytest.raises(DagRunFailed, match="promote"):
        site.airflow.client.run("rules_by_a_stranger", run_id="refused")

    log = site.log("rules_by_a_stranger", "refused", "promote")
    assert "it is moved by the DAG rules_release, not by the DAG rules_by_a_stranger" in log
    assert_tells_no_secret(log)


# What cannot work is told by the half that fails, soon, and without a secret


def assert_fails(site: Site, conn_id: str, *, half: str, because: str, within: float = 10.0) -> None:
    began = time.monotonic()
    worked, message = site.tested(conn_id)
    seconds = time.monotonic() - began

    assert not worked
    assert message.startswith(f"{half}: ")
    assert because in message
    assert message.count("documents: ") + message.count("blobs: ") == 1, "the other half works"
    assert seconds < within * 1.1
    assert_tells_no_secret(message)


@pytest.mark.parametrize(
    ("conn_id", "because"),
    [("exia_wrong_key", "SignatureDoesNotMatch"), ("exia_no_bucket", "not-there")],
)
def test_a_wrong_key_and_an_absent_bucket_are_named(site: Site, conn_id: str, because: str) -> None:
    assert_fails(site, conn_id, half="blobs", because=because)


def test_a_user_of_the_bucket_who_may_only_read_is_named(site: Site) -> None:
    server, user = shared("minio"), fresh_name()
    assert isinstance(server, S3Server)
    admin = MinioAdmin(
        endpoint=server.address, credentials=server.credentials, secure=server.secure, http_client=impatient()
    )
    admin.user_add(user, READER)
    admin.attach_policy(["readonly"], user=user)
    site.add("minio_reader", **minio_fields(server.port) | {"login": user, "password": READER})
    site.add_exia("exia_blobs_reader", **site.exia["exia_default"]["extra"] | {"blobs": "minio_reader"})

    assert_fails(site, "exia_blobs_reader", half="blobs", because="AccessDenied")


@pytest.mark.parametrize(
    ("login", "password", "because"),
    [
        ("writer", WRITER, ""),
        ("writer", WRONG, "the user or the password is wrong"),
        ("reader", READER, "this user may not do that"),
    ],
    ids=["may-write", "wrong-password", "may-only-read"],
)
def test_a_user_of_the_documents_is_asked_who_it_is(
    site: Site, guarded: GuardedMongo, login: str, password: str, because: str
) -> None:
    names = {"documents": f"mongo_{fresh_name()}"}
    fields = {"host": "127.0.0.1", "port": guarded.port, "login": login, "password": password, "schema": "guarded"}
    site.add(names["documents"], conn_type="mongo", **fields)
    conn_id = f"exia_{fresh_name()}"
    site.add_exia(conn_id, **site.exia["exia_default"]["extra"] | names)

    if because:
        assert_fails(site, conn_id, half="documents", because=because)
    else:
        assert site.tested(conn_id) == (True, DONE)


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedMongo]:
    """A Mongo wire server that asks who it is."""
    shared("mongo")  # or it is skipped, with the reason
    with GuardedMongo() as server:
        server.guard("guarded")
        yield server


@pytest.mark.parametrize(("half", "server"), [("documents", "mongo"), ("blobs", "minio")])
def test_a_server_that_is_down_is_named_and_found_again(site: Site, half: str, server: str) -> None:
    proxy = site.proxies[server]
    proxy.refuse()
    try:
        assert_fails(site, f"exia_proxied_{half}", half=half, because=f"127.0.0.1:{proxy.port}")
        told = site.command("connections", "test", f"exia_proxied_{half}")
        assert told.returncode == 1
        assert f"Connection failed!\n{half}: " in told.stdout
        assert_tells_no_secret(told.stdout + told.stderr)
    finally:
        proxy.pass_all()

    assert site.tested(f"exia_proxied_{half}") == (True, DONE)


@pytest.mark.parametrize(
    ("half", "server", "seconds"), [("documents", "mongo", DOCUMENTS_SECONDS), ("blobs", "minio", BLOBS_SECONDS)]
)
def test_a_server_that_says_nothing_is_given_up_in_time(site: Site, half: str, server: str, seconds: float) -> None:
    proxy = site.proxies[server]
    proxy.black_hole()
    try:
        assert_fails(site, f"exia_proxied_{half}", half=half, because=f"127.0.0.1:{proxy.port}", within=seconds)
    finally:
        proxy.pass_all()
        proxy.reset_all()
