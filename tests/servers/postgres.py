"""PostgreSQL out of the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.servers.finding import AptPackages, Program
from tests.servers.server import PASSWORD, USER
from tests.servers.sql import SqlServer

_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--")


class Postgres(SqlServer):
    """A fresh place is a database. It does not run as root, so root becomes the user of the package."""

    key = "postgres"
    name = "PostgreSQL"
    program = Program("postgres", AptPackages(("postgresql",)), ("/usr/lib/postgresql/*/bin",))
    end_signal = "INT"  # TERM would wait for the clients

    def command(self) -> list[str]:
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
        )
        options = [option for setting in settings for option in ("-c", setting)]
        return [*self._user(), str(self.program.path()), "-D", str(self.folder / "data"), *options]

    def prepare(self) -> None:
        initdb, password = self.program.path().with_name("initdb"), self.folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        if self._user():
            for path in (self.folder, password):
                shutil.chown(path, "postgres")
        options = (f"--username={USER}", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8")
        command = [*self._user(), str(initdb), str(self.folder / "data"), *options, "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)

    def ask(self) -> str:
        return self.query("SHOW server_version")

    @property
    def url(self) -> str:
        return self.given or f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _user(self) -> tuple[str, ...]:
        return _AS_POSTGRES if os.geteuid() == 0 else ()
