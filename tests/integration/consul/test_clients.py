"""Both clients of Consul, each in an environment of its own, since both own the folder ``consul``."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import pytest

import airflow_provider_exia
from tests.integration.consul.conftest import record
from tests.servers.finding import ROOT, cache_folder
from tests.servers.proxy import Proxy
from tests.servers.server import free_ports, fresh_name
from tests.servers.session import shared

if TYPE_CHECKING:
    from tests.servers.consul import Consul

pytestmark = [pytest.mark.servers("consul", "consul_open"), pytest.mark.timeout(180)]

CLIENTS = {"python-consul": "1.1.0", "py-consul": "1.8.0"}
NEEDED = ("requests", "pydantic")
MISLEADING = {
    "CONSUL_HTTP_ADDR": "127.0.0.1:1",
    "CONSUL_HTTP_TOKEN": "token-of-a-variable",
    "CONSUL_HTTP_SSL": "true",
    "CONSUL_HTTP_SSL_VERIFY": "false",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "http://127.0.0.1:1",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the script did with one client.

    :param told: what it said came of it
    :param output: all that it wrote
    :param requests: all that it sent to the agent with access control, head and body as far as it came
    :param secrets: the tokens that it was given
    :param token: the one it used there
    """

    told: dict[str, Any]
    output: str
    requests: list[str]
    secrets: list[str]
    token: str


@pytest.fixture(scope="module", params=CLIENTS)
def run(request: pytest.FixtureRequest) -> Run:
    """The script's run with one of the clients."""
    server, without_control = cast("Consul", shared("consul")), cast("Consul", shared("consul_open"))
    root = fresh_name()
    weak = server.token_with(f'key_prefix "{root}" {{ policy = "read" }}')
    told = {
        "host": "127.0.0.1",
        "token": server.token,
        "root": root,
        "weak_token": weak,
        "unknown_token": str(uuid.uuid4()),
        "closed_port": free_ports(1)[0],
        "open_port": urlsplit(without_control.url).port,
    }
    with Proxy(server.port) as proxy, Proxy(server.port) as silent:
        heard = record(proxy)
        silent.black_hole()
        told |= {"port": proxy.port, "silent_port": silent.port}
        done = subprocess.run(
            [str(environment_with(request.param)), str(Path(__file__).with_name("client_script.py"))],
            input=json.dumps(told),
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MISLEADING},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    secrets = [server.token, weak, told["unknown_token"], MISLEADING["CONSUL_HTTP_TOKEN"]]
    return Run(
        told=json.loads(done.stdout),
        output=done.stdout + done.stderr,
        requests=[text.decode("latin-1") for _, text in heard],
        secrets=secrets,
        token=server.token,
    )


def environment_with(client: str) -> Path:
    """Return the interpreter of an environment with a client and without Airflow, made once and kept."""
    version = CLIENTS[client]
    folder = cache_folder() / "clients" / f"{client}-{version}-{sys.version_info.major}.{sys.version_info.minor}"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make_environment(folder, f"{client}=={version}")
    return folder / "bin" / "python"


def _make_environment(folder: Path, client: str) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which would make an environment for the client, is not on PATH")
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as new:
        made = Path(new, "environment")
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(made)],
            [uv, "pip", "install", "--quiet", "--python", str(made / "bin" / "python"), client, *NEEDED],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                reason = " / ".join(done.stderr.strip().splitlines()[-2:])
                pytest.skip(f"no environment with {client}: {reason}")
        made.rename(folder)


def test_every_endpoint_works_with_either_client_and_without_airflow(run: Run) -> None:
    told = run.told

    assert len(told["clients"]) == 1
    assert told["airflow"] is False
    assert told["leader"]
    assert told["parameters"] == {
        "value": {"max": 3},
        "history": ["ann", "bob", "ann"],
        "snapshot": {"depth": {"max": 3}},
    }
    keys = told["keys"]
    assert (keys["flags"], keys["again"], len(keys["watched"]), keys["gone"]) == ([7], True, 1, True)
    assert keys["most"] in (64, 128)
    assert told["services"] == {
        "critical": 0,
        "maintained": 0,
        "url": "http://10.0.0.5:80/predict",
        "deregistered": [True, False],
    }
    assert told["anonymous"] == 0


def test_every_endpoint_that_the_package_names_was_used(run: Run) -> None:
    named = set()
    for file in Path(airflow_provider_exia.__file__).parent.rglob("*.py"):
        named |= set(re.findall(r'transport\.(?:read|write)\(\s*f?"([a-z/-]+)', file.read_text(encoding="utf-8")))

    assert len(named) >= 7
    only_without_a_token = {"config/service-defaults/"}
    unused = {path for path in named if not any(f" /v1/{path}" in text for text in run.requests)}
    assert unused == only_without_a_token


def test_the_token_is_in_the_header_of_every_request_and_nowhere_else(run: Run) -> None:
    heads = [text.partition("\r\n\r\n")[0] for text in run.requests]

    assert len(heads) > 30
    for head in heads:
        line, *headers = head.split("\r\n")
        shown = [header.partition(": ")[2] for header in headers if header.lower().startswith("x-consul-token:")]
        assert len(shown) == 1, line
        assert shown[0] in run.secrets[:3], line
        assert not any(secret in line for secret in run.secrets), line
        assert "token" not in line
    assert sum(run.token in head for head in heads) > 20
    assert not any(secret in text.partition("\r\n\r\n")[2] for text in run.requests for secret in run.secrets)


def test_the_token_is_in_no_log_at_debug_and_in_no_text_of_an_error(run: Run) -> None:
    assert "DEBUG:urllib3" in run.output
    assert [secret for secret in run.secrets if secret in run.output] == []
    kinds = {name: text.split()[0] for name, text in run.told["failures"].items()}
    assert kinds == {
        "refused: get": "ConsulUnavailable",
        "refused: transact": "ConsulUnavailable",
        "refused: register": "ConsulUnavailable",
        "silent: get": "ConsulUnavailable",
        "silent: transact": "ConsulOutcomeUnknown",
        "silent: register": "ConsulOutcomeUnknown",
        "forbidden: get": "ConsulRefused",
        "forbidden: transact": "ConsulRefused",
        "forbidden: register": "ConsulRefused",
        "unknown token: get": "ConsulRefused",
        "unknown token: transact": "ConsulRefused",
        "unknown token: register": "ConsulRefused",
    }
