"""A secrets backend: Airflow variables, and connections where that is wanted, out of Consul's keys."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.secrets import BaseSecretsBackend

from airflow_provider_exia.exceptions import ExiaError, InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.consul.key_values import KeyValues

log = logging.getLogger(__name__)

_CONNECT_SECONDS, _READ_SECONDS = 1, 2
_QUIET_SECONDS = 10.0
"""After a failure Consul is not asked again for so long: a DAG with fifty variables waits once."""


class ConsulBackend(BaseSecretsBackend):
    """Looks for variables, and on request for connections, in Consul.

    In ``airflow.cfg``: ``[secrets] backend = airflow_provider_exia.secrets.consul.ConsulBackend``, and
    ``backend_kwargs`` as a JSON object of the arguments below. Where Consul cannot be asked it raises, and Airflow asks
    the next backend.

    :param host: of the agent
    :param port: of the agent
    :param scheme: ``http`` or ``https``
    :param token: better in ``token_file``, which no dump of the configuration shows
    :param token_file: a file that holds the token
    :param variables_prefix: keys below it are variables, their values the text
    :param connections_prefix: keys below it are connections, as URI or JSON; None, the default: none are looked for.
        Consul keeps values in plain text for whoever may read the prefix
    :param address: further fields of :class:`~airflow_provider_exia.consul.address.ConsulAddress`, as ``datacenter``
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8500,
        scheme: str = "http",
        token: str | None = None,
        token_file: str | None = None,
        variables_prefix: str | None = "airflow/variables",
        connections_prefix: str | None = None,
        **address: Any,
    ) -> None:
        super().__init__()
        self._address: dict[str, Any] = {"host": host, "port": int(port), "scheme": scheme, **address}
        self._token, self._token_file = token, token_file
        self.variables_prefix = variables_prefix
        self.connections_prefix = connections_prefix
        self._quiet_until = 0.0
        self._problem = ""
        if connections_prefix is not None:
            log.warning("connections are read from Consul, where whoever may read %r sees them", connections_prefix)

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:  # Airflow's signature
        """Return a variable's text, or None.

        :raises ExiaError: Consul cannot be asked
        """
        return self._text(self.variables_prefix, key)

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:  # Airflow's too
        """Return a connection as URI or JSON, or None.

        :raises ExiaError: Consul cannot be asked
        """
        return self._text(self.connections_prefix, conn_id)

    @cached_property
    def _key_values(self) -> KeyValues:
        from airflow_provider_exia.consul.address import ConsulAddress
        from airflow_provider_exia.consul.key_values import KeyValues
        from airflow_provider_exia.consul.sharing import transport_to

        address = ConsulAddress(
            **self._address,
            token=self._read_token(),
            connect_timeout=timedelta(seconds=_CONNECT_SECONDS),
            read_timeout=timedelta(seconds=_READ_SECONDS),
        )
        return KeyValues(transport_to(address))

    def _text(self, prefix: str | None, name: str) -> str | None:
        from airflow_provider_exia.consul.keys import check_key

        if prefix is None:
            return None
        try:
            key = check_key(f"{prefix.strip('/')}/{name}")
        except InvalidInput:
            return None  # what cannot be a key here is not here; another backend may have it
        if time.monotonic() < self._quiet_until:
            raise ExiaError(f"Consul is not asked for {name!r}: {self._problem}")
        try:
            found = self._key_values.get(key)
        except ExiaError as error:
            self._problem, self._quiet_until = str(error), time.monotonic() + _QUIET_SECONDS
            raise
        return None if found is None else found.value.decode("utf-8")

    def _read_token(self) -> str | None:
        if self._token_file is None:
            return self._token
        try:
            return Path(self._token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InvalidInput(
                f"token_file {self._token_file}: {error.strerror}; name a file that Airflow's user may read"
            ) from error
