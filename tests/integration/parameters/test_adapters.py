"""Hooks, operators, secrets backend and command line on a real agent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from airflow_provider_exia.cli.main import exia
from airflow_provider_exia.consul.exceptions import ConsulRefused, ConsulUnavailable
from airflow_provider_exia.exceptions import ExiaError, InvalidInput
from airflow_provider_exia.hooks.consul import ConsulHook, ConsulParamHook
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.loop import TrainedModel, TrainingContext
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from airflow_provider_exia.operators.parameters import (
    ParameterReadOperator,
    ParameterSnapshotOperator,
    ParameterWriteOperator,
)
from airflow_provider_exia.parameters.exceptions import ParameterChanged, SchemaBroken
from airflow_provider_exia.secrets.consul import ConsulBackend
from tests.servers.server import free_ports
from tests.unit.operators.conftest import context_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tests.servers.consul import Consul

pytestmark = pytest.mark.servers("consul")

Connect = Callable[..., None]


@pytest.fixture
def connect(consul: Consul, root: str, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set the default connection to the agent; fields may be changed."""

    def connect(extra: Mapping[str, Any] | None = None, **fields: Any) -> None:
        where = urlsplit(consul.url)
        given = {"conn_type": "consul", "host": where.hostname, "port": where.port, "password": consul.token, **fields}
        monkeypatch.setenv(
            "AIRFLOW_CONN_CONSUL_DEFAULT", json.dumps({**given, "extra": {"root": root, **(extra or {})}})
        )

    connect()
    return connect


@pytest.fixture
def context() -> Context:
    return context_of()


@pytest.mark.usefixtures("connect")
def test_the_connection_says_what_it_reached() -> None:
    works, told = ConsulHook().test_connection()

    assert works
    assert "the agent answers, its leader is" in told


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"password": ""}, "Permission denied"),
        ({"password": "00000000-0000-0000-0000-000000000000"}, "ACL not found"),
        ({"port": 1}, "nobody listens there"),
        ({"host": "http://consul"}, "is no host of a Consul agent"),
        ({"conn_type": "http"}, "is of the type 'http', expected 'consul'"),
        ({"extra": {"datacentre": "x"}}, "'datacentre' in its extra is not known"),
        ({"extra": {"consistency": "eventual"}}, "expected default, consistent or stale"),
    ],
)
def test_a_connection_that_leads_nowhere_says_why_and_shows_no_token(
    consul: Consul, connect: Connect, fields: dict[str, Any], sentence: str
) -> None:
    connect(**fields)

    works, told = ConsulHook().test_connection()

    assert not works
    assert sentence in told
    assert consul.token not in told


def test_the_connection_s_environments_are_those_of_the_hook(connect: Connect) -> None:
    connect(extra={"environment": "prod", "inherits": "base, defaults"})

    store = ConsulParamHook().store

    assert (store.environment, store.inherits) == ("prod", ("base", "defaults"))
    assert ConsulParamHook(environment="dev", inherits=()).store.inherits == ()


@pytest.mark.usefixtures("connect")
def test_a_reference_to_a_secret_is_the_secret_for_who_reads_and_a_reference_in_consul(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "mysql", "password": "s3cret!"}))
    monkeypatch.setenv("AIRFLOW_VAR_API_KEY", "k3y")
    hook = ConsulParamHook()
    hook.put(
        "job",
        {"user": "ann", "keys": [{"$secret": "connection:warehouse.password"}, {"$secret": "variable:api_key"}]},
        by="ann",
    )

    assert hook.get("job") == {"user": "ann", "keys": ["s3cret!", "k3y"]}
    assert "s3cret!" not in json.dumps(hook.parameter("job").value)


@pytest.mark.usefixtures("connect")
@pytest.mark.parametrize("reference", ["warehouse", "connection:warehouse", "file:/etc/passwd", "connection:x.y.z"])
def test_a_reference_that_names_nothing_is_refused(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_X.Y", json.dumps({"conn_type": "http"}))
    hook = ConsulParamHook()
    hook.put("job", {"$secret": reference}, by="ann")

    with pytest.raises(InvalidInput, match="secret"):
        hook.get("job")


@pytest.mark.usefixtures("connect")
def test_tasks_write_by_transaction_and_read_one_or_all(context: Context) -> None:
    write = ParameterWriteOperator(task_id="write", values={"net/depth": 3, "net/rate": 0.1}, reason="tuned")

    indices = write.execute(context)

    assert ParameterReadOperator(task_id="read", name="net/depth").execute(context) == 3
    assert ParameterReadOperator(task_id="read", prefix="net").execute(context) == {"depth": 3, "rate": 0.1}
    change = ConsulParamHook().history("net/depth")[0]
    assert (change.by, change.reason) == ("delay/week-9/task", "tuned")
    ParameterWriteOperator(task_id="write", values={"net/depth": 4}, expected=indices).execute(context)
    with pytest.raises(ParameterChanged):
        ParameterWriteOperator(task_id="write", values={"net/depth": 5}, expected=indices).execute(context)


@pytest.mark.usefixtures("connect")
def test_a_task_s_schema_refuses_by_field(context: Context) -> None:
    write = ParameterWriteOperator(task_id="write", values={"net": {"depth": "deep"}}, schemas={"net": dict[str, int]})

    with pytest.raises(SchemaBroken, match="'depth'"):
        write.execute(context)


@pytest.mark.usefixtures("connect")
def test_a_task_that_is_told_nothing_or_both_is_refused(context: Context) -> None:
    for wrong in ({}, {"name": "a", "prefix": "b"}):
        with pytest.raises(InvalidInput, match="give 'name'"):
            ParameterReadOperator(task_id="read", **wrong).execute(context)
    with pytest.raises(InvalidInput, match="expected names and JSON values"):
        ParameterWriteOperator(task_id="write", values={}).execute(context)


@pytest.mark.usefixtures("connect")
def test_a_training_uses_its_snapshot_after_later_changes_and_the_version_says_which(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "mysql", "password": "s3cret!"}))
    hook, seen = ConsulParamHook(), []
    password = {"$secret": "connection:warehouse.password"}
    hook.put_many({"training/delay/depth": 3, "training/delay/rate": 0.1, "training/delay/login": password}, by="ann")
    taken = ParameterSnapshotOperator(task_id="snapshot", prefix="training/delay", needed=["depth"]).execute(context)
    for depth in range(50):
        hook.put("training/delay/depth", depth, by="bob")

    def train(training: TrainingContext) -> TrainedModel:
        seen.append(dict(training.parameters))
        return TrainedModel({"depth": training.parameters["depth"]})

    reference = ModelTrainOperator(
        task_id="train", model="delay", format="json", train=train, parameters={"rate": 0.5}, snapshot=taken
    ).execute(context)

    assert seen == [{"depth": 3, "rate": 0.5, "login": "s3cret!"}]
    version = ModelLibraryHook().library.resolve(reference)
    assert version.lineage.snapshot == taken
    assert version.lineage.parameters == {"depth": 3, "rate": 0.5, "login": password}
    shown = CliRunner().invoke(exia, ["show", reference]).stdout
    assert f"3 parameters below training/delay in Consul, digest {taken['digest'][:12]}" in shown
    assert "s3cret!" not in shown


# The secrets backend


def backend_for(consul: Consul, **settings: Any) -> ConsulBackend:
    where = urlsplit(consul.url)
    return ConsulBackend(**{"host": where.hostname, "port": where.port, "token": consul.token, **settings})


def test_variables_come_from_consul_and_connections_only_when_that_is_switched_on(
    consul: Consul, root: str, tmp_path: Path
) -> None:
    consul.request("PUT", f"kv/{root}/variables/city", data="Zürich".encode())
    consul.request("PUT", f"kv/{root}/connections/db", data="mysql://ann:pw@host/x")
    (tmp_path / "token").write_text(f"{consul.token}\n")
    plain = backend_for(consul, variables_prefix=f"{root}/variables/", token=None, token_file=str(tmp_path / "token"))
    both = backend_for(consul, variables_prefix=f"{root}/variables", connections_prefix=f"{root}/connections")

    assert (plain.get_variable("city"), plain.get_variable("absent"), plain.get_variable("../x")) == (
        "Zürich",
        None,
        None,
    )
    assert plain.get_conn_value("db") is None
    assert both.get_conn_value("db") == "mysql://ann:pw@host/x"


def test_an_agent_that_is_down_is_told_within_three_seconds_and_not_waited_for_again() -> None:
    backend = ConsulBackend(port=free_ports(1)[0])

    begun = time.monotonic()
    with pytest.raises(ConsulUnavailable, match="nobody listens there"):
        backend.get_variable("city")
    for _ in range(50):
        with pytest.raises(ExiaError, match="Consul is not asked for 'city'"):
            backend.get_variable("city")

    assert time.monotonic() - begun < 3


def test_a_token_without_rights_is_an_error_and_not_an_absent_variable(consul: Consul) -> None:
    with pytest.raises(ConsulRefused):
        backend_for(consul, token=None).get_variable("city")


# The command line


@pytest.fixture
def run(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:  # sets the connection
    monkeypatch.setenv("LOGNAME", "ada")
    return lambda *words: CliRunner().invoke(exia, ["parameters", *words])


def test_a_person_puts_gets_compares_and_goes_back(run: Callable[..., Any]) -> None:
    run("put", "net", '{"depth": 3}', "--reason", "first")
    run("put", "net", '{"depth": 4}')

    assert json.loads(run("get", "net").stdout) == {"depth": 4}
    assert "depth  3       4" in run("diff", "net", "1", "2").stdout
    assert run("rollback", "net", "1").stdout == "net in default is now at revision 3, as 1 was.\n"
    told = [(item["number"], item["by"], item["reason"]) for item in json.loads(run("history", "net", "--json").stdout)]
    assert told == [(3, "ada", "back to revision 1"), (2, "ada", ""), (1, "ada", "first")]
    assert run("list").stdout.splitlines()[1].split()[0] == "net"


def test_a_value_that_is_no_json_says_how_to_write_it(run: Callable[..., Any]) -> None:
    result = run("put", "city", "Zurich")

    assert result.exit_code == 1
    assert "write text as '\"text\"'" in result.stderr


def test_a_value_of_2020_is_imported_without_being_evaluated(run: Callable[..., Any], consul: Consul) -> None:
    consul.request("PUT", "kv/log_config_dict", data="{'LOG_ENABLED': True, 'ELASTIC_SEARCH_PORT': 9200}")
    consul.request("PUT", "kv/hostile", data="__import__('os').system('true')")

    imported, refused = run("import", "log_config_dict", "logging/old"), run("import", "hostile", "logging/hostile")

    assert imported.exit_code == 0
    assert json.loads(run("get", "logging/old").stdout) == {"LOG_ENABLED": True, "ELASTIC_SEARCH_PORT": 9200}
    assert "neither JSON nor a Python literal" in refused.stderr
