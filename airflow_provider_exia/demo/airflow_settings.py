"""How an Airflow of our own is set up: inside one folder, on the loopback, with nothing inherited."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

USERNAME = "admin"

PRELOAD_VARIABLE = "EXIA_PRELOAD"
SQLITE_TIMEOUT_VARIABLE = "EXIA_SQLITE_TIMEOUT_SECONDS"

LOCAL_SETTINGS = f'''"""Written at every start: Airflow imports it into each of its processes."""

import importlib
import os
import warnings

__all__ = []

connect_args = {{"timeout": float(os.environ.get("{SQLITE_TIMEOUT_VARIABLE}", "60"))}}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in filter(None, os.environ.get("{PRELOAD_VARIABLE}", "").split(",")):
        importlib.import_module(name)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What nobody but this run knows: made anew at each start, never written but in the password file."""

    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    api_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)
    fernet_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowSettings:
    """One Airflow on this machine: SQLite, LocalExecutor, one user, everything inside one folder.

    A connection kept by an earlier run in the same folder cannot be read: its key was that run's own.

    :param home: absolute folder that Airflow keeps everything in
    :param dags_folder: absolute folder of the DAG files
    :param python_path: folders put in front of the import path of every process
    :param preload: modules that the scheduler imports before it forks its workers, so that tasks find them loaded;
        gains nothing where tasks start afresh (macOS)
    :param options: further Airflow options, ``{"section.key": "value"}``; they win over these settings
    :param connections: id to JSON, for every process and nowhere written
    :param port: of the API server, on the loopback
    :param secrets: of this run
    """

    home: Path
    dags_folder: Path
    python_path: Sequence[Path] = ()
    preload: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)
    port: int = field(default_factory=lambda: free_port())
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def url(self) -> str:
        """Address of the API server and of the pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        """Where the user's password is kept, readable by its owner alone."""
        return self.home / "passwords.json"

    @property
    def local_settings_file(self) -> Path:
        """The module that Airflow imports into each of its processes."""
        return self.home / "config" / "airflow_local_settings.py"

    @property
    def logs(self) -> Path:
        """Where the logs of tasks and of the processes are kept."""
        return self.home / "logs"

    def write_files(self) -> None:
        """Write the files that these settings name: the password file and the local settings."""
        self.local_settings_file.parent.mkdir(parents=True, exist_ok=True)
        self.local_settings_file.write_text(LOCAL_SETTINGS)
        self.password_file.unlink(missing_ok=True)
        handle = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump({USERNAME: self.secrets.password}, file)

    def environment(self, component: str) -> dict[str, str]:
        """Return the whole environment of one process.

        :param component: Airflow's own word for it: ``api-server``, ``scheduler``, ...
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        connections = {f"AIRFLOW_CONN_{name.upper()}": text for name, text in self.connections.items()}
        return inherited | self._process_variables(component) | self._option_variables() | connections

    def _process_variables(self, component: str) -> dict[str, str]:
        import_path = [*map(str, self.python_path), os.environ.get("PYTHONPATH", "")]
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONFIG": str(self.home / "airflow.cfg"),
            "PYTHONPATH": os.pathsep.join(filter(None, import_path)),
            "NO_PROXY": "127.0.0.1,localhost",
            "DO_NOT_TRACK": "1",
            "MPLCONFIGDIR": str(self.home / "matplotlib"),
            # One fit takes 0.3 s on one thread, and was seen to take 16 s on two of a busy machine.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Measured: the API server may block itself on SQLite and must give up soon, a scheduler that gives up
            # within 5 s dies of it.
            SQLITE_TIMEOUT_VARIABLE: "2" if component == "api-server" else "60",
            PRELOAD_VARIABLE: ",".join(self.preload) if component == "scheduler" else "",
        }

    def _option_variables(self) -> dict[str, str]:
        options = {**self._places(), **self._access(), **PACE, **QUIET, **self.options}
        return {f"AIRFLOW__{option.replace('.', '__').upper()}": value for option, value in options.items()}

    def _places(self) -> dict[str, str]:
        return {
            "core.dags_folder": str(self.dags_folder),
            "core.plugins_folder": str(self.home / "plugins"),
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}",
            "database.sql_alchemy_connect_args": "airflow_local_settings.connect_args",
            "database.sql_alchemy_connect_args_async": "airflow_local_settings.connect_args",
            "dag_processor.dag_bundle_storage_path": str(self.home / "bundles"),
            "logging.base_log_folder": str(self.logs),
            "logging.dag_processor_child_process_log_directory": str(self.logs / "dag-files"),
        }

    def _access(self) -> dict[str, str]:
        return {
            "api.host": "127.0.0.1",
            "api.port": str(self.port),
            "api.workers": "1",
            "api.base_url": self.url,
            "api.secret_key": self.secrets.api_secret,
            "api_auth.jwt_secret": self.secrets.jwt_secret,
            "core.execution_api_server_url": f"{self.url}/execution/",
            "core.fernet_key": self.secrets.fernet_key,
            "core.auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "core.simple_auth_manager_users": f"{USERNAME}:admin",
            "core.simple_auth_manager_passwords_file": str(self.password_file),
            # The full name of a host is looked up on the network, and may take seconds where there is none.
            "core.hostname_callable": "socket.gethostname",
        }


PACE: Mapping[str, str] = {
    "core.executor": "LocalExecutor",
    "core.parallelism": "6",
    "core.default_task_retry_delay": "1",
    "scheduler.scheduler_idle_sleep_time": "0.05",
    # A worker slot stays taken, and a failure unreported, up to this long after the task has ended.
    "workers.min_heartbeat_interval": "1",
    "workers.max_failed_heartbeats": "10",
    # A scheduler that was killed is taken for dead after these seconds (default 30, looked for every 300), and its
    # tasks are started again; a stall shorter than that must not look like a death.
    "scheduler.scheduler_heartbeat_sec": "1",
    "scheduler.scheduler_health_check_threshold": "10",
    "scheduler.orphaned_tasks_check_interval": "2",
    "scheduler.task_instance_heartbeat_timeout": "15",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "3",
    "triggerer.job_heartbeat_sec": "2",
    "triggerer.triggerer_health_check_threshold": "10",
    "dag_processor.refresh_interval": "5",
}
"""Options that decide how long things take, in seconds where they are times."""

QUIET: Mapping[str, str] = {
    "core.load_examples": "False",
    "core.dags_are_paused_at_creation": "False",
    "logging.colored_console_log": "False",
}
"""Options that keep out what nobody here asked for."""


def free_port() -> int:
    """Return a port that was free on the loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
