"""MariaDB out of the distribution's packages."""

from __future__ import annotations

import getpass
import subprocess

from tests.servers.finding import AptPackages, Program
from tests.servers.server import PASSWORD, USER
from tests.servers.sql import SqlServer


class Mariadb(SqlServer):
    """A fresh place is a database."""

    key = "mariadb"
    name = "MariaDB"
    program = Program("mariadbd", AptPackages(("mariadb-server",)), ("/usr/sbin", "/usr/libexec"))

    def command(self) -> list[str]:
        return [
            *(str(self.program.path()), "--no-defaults", f"--user={getpass.getuser()}", "--skip-name-resolve"),
            *("--bind-address=127.0.0.1", f"--port={self.port}", f"--datadir={self.folder}/data"),
            *(
                f"--socket={self.folder}/socket",
                f"--pid-file={self.folder}/pid",
                f"--init-file={self.folder}/users.sql",
            ),
        ]

    def prepare(self) -> None:
        users = (
            f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        (self.folder / "users.sql").write_text(users, encoding="utf-8")
        options = (f"--datadir={self.folder}/data", f"--user={getpass.getuser()}", "--skip-test-db")
        command = ["mariadb-install-db", "--no-defaults", *options, "--auth-root-authentication-method=normal"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)

    def ask(self) -> str:
        return self.query("SELECT version()")

    @property
    def url(self) -> str:
        return self.given or f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/mysql"
