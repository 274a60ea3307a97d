"""Consul, linked from its published modules: one agent that is a server too, with its data on disk."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import requests

from tests.servers.finding import GoFolder, Program
from tests.servers.server import Server, fresh_name


class Consul(Server):
    """With access control: whoever shows no token may do nothing.

    An address that is given names a token with all rights as its user.
    """

    key = "consul"
    name = "Consul"
    program = Program("consul", GoFolder(Path(__file__).with_name("consul_build")))
    ports_needed = 3
    end_signal = "INT"
    not_yet: ClassVar[tuple[type[Exception], ...]] = (requests.RequestException,)
    access_control = True

    def __init__(self, given: str | None = None) -> None:
        super().__init__(given)
        self.token = (urlsplit(given).username if given else None) or str(uuid.uuid4())

    def command(self) -> list[str]:
        config, data = str(self.folder / "agent.hcl"), str(self.folder / "data")
        local = ("-bind", "127.0.0.1", "-client", "127.0.0.1")
        return [
            *(str(self.program.path()), "agent", "-server", "-bootstrap-expect=1", *local),
            *("-data-dir", data, "-config-file", config, "-log-level", "warn"),
        ]

    def prepare(self) -> None:
        http, server, gossip = self.ports
        control = f"""
            acl {{
              enabled = true
              default_policy = "deny"
              tokens {{
                initial_management = "{self.token}"
                agent = "{self.token}"
              }}
            }}
        """
        (self.folder / "agent.hcl").write_text(
            f"""
            {control if self.access_control else ""}
            disable_update_check = true
            disable_anonymous_signature = true
            ports {{
              http = {http}
              dns = -1
              grpc = -1
              grpc_tls = -1
              server = {server}
              serf_lan = {gossip}
              serf_wan = -1
            }}
            performance {{
              raft_multiplier = 1
            }}
            """,
            encoding="utf-8",
        )

    def ask(self) -> str:
        ready = self.request("PUT", f"kv/ready/{fresh_name()}", data="1")
        ready.raise_for_status()
        return str(self.request("GET", "agent/self").json()["Config"]["Version"])

    @property
    def url(self) -> str:
        return self.given or f"http://127.0.0.1:{self.port}"

    @property
    def url_with_token(self) -> str:
        """The address in the form in which it is given: with the token as its user."""
        return self.url.replace("://", f"://{self.token}@") if self.access_control and not self.given else self.url

    def request(self, method: str, path: str, *, token: str | None = None, **settings: object) -> requests.Response:
        """Ask the agent as another program would, by default with all rights."""
        headers = {"X-Consul-Token": self.token if token is None else token} if self.access_control else {}
        settings = {"timeout": 5, **self.trust(), **settings}
        return requests.request(method, f"{self.url}/v1/{path}", headers=headers, **settings)

    def trust(self) -> dict[str, str]:
        """Return what a request says of certificates."""
        return {}

    def token_with(self, rules: str) -> str:
        """Return a new token with these rights only.

        :param rules: of a policy, in HCL
        """
        name = fresh_name()
        self.request("PUT", "acl/policy", json={"Name": name, "Rules": rules}).raise_for_status()
        made = self.request("PUT", "acl/token", json={"Policies": [{"Name": name}]})
        made.raise_for_status()
        return str(made.json()["SecretID"])


class OpenConsul(Consul):
    """Without access control."""

    key = "consul_open"
    name = "Consul without access control"
    access_control = False
