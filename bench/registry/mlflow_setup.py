"""An environment with MLflow of its own, and its server: its dependencies are not ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

VERSION = "3.17.2"
START_SECONDS = 120.0


def mlflow_python(folder: Path) -> Path:
    """Return a Python with MLflow; it is made at the first use, which takes a minute."""
    python = folder / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if not (folder / ".complete").exists():
        sys.stderr.write(f"installing MLflow {VERSION} into {folder}\n")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        packages = [f"mlflow=={VERSION}", "psycopg2-binary"]
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        (folder / ".complete").touch()
    return python


def mlflow_version(python: Path) -> str:
    command = [python, "-c", "from importlib.metadata import version; print(version('mlflow'))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def mlflow_server(python: Path, folder: Path, database: str) -> Iterator[str]:
    """Give the URL of a server that keeps its facts in a database and its files in a folder, as its manual has it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--backend-store-uri", database, "--artifacts-destination", f"{folder}/artifacts"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "mlflow", "server", *options, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, url, folder / "server.log")
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/health").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"MLflow's server did not start:\n{log.read_text()}")
        time.sleep(0.1)
