"""A server that speaks MongoDB's wire protocol: SecantusDB, a stand-in and not MongoDB itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.servers.finding import Program, PythonTool
from tests.servers.server import DocumentServer, fresh_name


class Mongo(DocumentServer):
    """Keeps what was acknowledged with ``j=True`` through ``kill -9``; a database is made by its first write."""

    key = "mongo"
    name = "MongoDB wire server (SecantusDB)"
    not_yet = (PyMongoError,)
    program = Program("secantusd-py", PythonTool("secantusdb"))

    def command(self) -> list[str]:
        data = str(self.folder / "data")
        config = str(self.folder / "secantusd.toml")  # empty: the user's own is not looked for
        return [
            str(self.program.path()),
            *("--config", config, "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", data),
        ]

    def prepare(self) -> None:
        (self.folder / "secantusd.toml").touch()

    def ask(self) -> str:
        client: MongoClient[dict[str, Any]] = MongoClient(self.url, serverSelectionTimeoutMS=200, socketTimeoutMS=5000)
        with client:
            told = client.admin.command("buildInfo")
        own = told.get("secantusVersion")
        if own is None:
            self.name = "MongoDB"
            return str(told["version"])
        return f"{own}, speaks as {told['version']}"

    @property
    def url(self) -> str:
        return self.given or f"mongodb://127.0.0.1:{self.port}"

    def fresh_documents_url(self) -> str:
        return urlsplit(self.url)._replace(path=f"/{fresh_name()}").geturl()
