"""One Consul agent over HTTP, through python-consul or py-consul, whichever is installed.

Of the client only its connection and its way to call an endpoint are used, with this module's own reading of the
answer. So both clients behave alike here: the token goes in the header and is seen in no URL, every call has a
time-out, and no ``CONSUL_*`` variable overrides what was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.consul.exceptions import ConsulOutcomeUnknown, ConsulRefused, ConsulUnavailable
from airflow_provider_exia.exceptions import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from airflow_provider_exia.consul.address import ConsulAddress

_FILTERED_HEADER = "X-Consul-Results-Filtered-By-ACLs"
_OK, _NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER = 200, 404, 409, 429, 500
_READ_TRIES = 2
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Consul answered.

    :param status: 200; 404 where nothing is there; 409 of a transaction that changed nothing
    :param body: the JSON value, or None
    :param index: where the next blocking query begins; 0 without one
    :param date: the agent's clock, as HTTP writes it
    """

    status: int
    body: Any
    index: int
    date: str | None


class ConsulTransport:
    """Calls the endpoints of one agent; threads may share it.

    :param address: where the agent is
    :param connections: how many calls may be under way at once; a further one waits for a connection
    """

    def __init__(self, address: ConsulAddress, *, connections: int = 10) -> None:
        self.address = address
        self._connections = connections

    def read(
        self,
        path: str,
        parameters: Sequence[tuple[str, str]] = (),
        *,
        wait: timedelta | None = None,
        index: int = 0,
        consistency: bool = True,
    ) -> Answer:
        """Call an endpoint that changes nothing; tried once more when the connection breaks, but not after a time-out.

        :param path: below ``/v1/``
        :param wait: how long the agent may hold the answer until something is newer than ``index``
        :param index: of the answer before
        :param consistency: whether the endpoint knows the address's consistency
        :raises ConsulUnavailable: no answer, or the agent has no leader or is overloaded
        :raises ConsulRefused: no rights, or not understood
        """
        mode = self.address.consistency
        asked = [*parameters, *([(mode, "")] if consistency and mode != "default" else [])]
        if wait is not None:
            asked += [("index", str(index)), ("wait", f"{int(wait.total_seconds() * 1000)}ms")]
        for remaining in reversed(range(_READ_TRIES)):
            try:
                return self._call("get", path, asked)
            except _ConnectionBroke as error:
                if error.is_timeout or not remaining:
                    raise ConsulUnavailable(str(error)) from error
        raise AssertionError("the last try returns or raises")

    def write(self, path: str, parameters: Sequence[tuple[str, str]] = (), *, body: Any = None) -> Answer:
        """Call an endpoint that may change something; never repeated here.

        :param path: below ``/v1/``
        :param body: JSON value
        :raises ConsulOutcomeUnknown: no answer, or an error of the server's; it may have happened
        :raises ConsulUnavailable: the agent cannot be reached; nothing was written
        :raises ConsulRefused: no rights, too large or not understood; nothing was written
        """
        try:
            return self._call("put", path, list(parameters), data=b"" if body is None else json.dumps(body).encode())
        except _ConnectionBroke as error:
            raise ConsulOutcomeUnknown(f"{error}; the write may have happened: read again") from error

    def close(self) -> None:
        """Release connections; the transport can be used again afterwards."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.session.close()

    @cached_property
    def _client(self) -> Any:
        """The client's HTTP half: alike in both clients, and it reads no variables."""
        try:
            from consul.std import HTTPClient
        except ModuleNotFoundError as error:
            raise MissingExtra(library="consul", extra="consul", purpose="Consul") from error
        from airflow_provider_exia.consul.session import guard_session

        address = self.address
        for path in (address.ca_file, address.certificate_file):
            if path is not None and not Path(path).is_file():
                raise InvalidInput(f"{self._where}: there is no file {path} here, with certificates: put it there")
        client = HTTPClient(
            address.host,
            address.port,
            address.scheme,
            True if address.ca_file is None else address.ca_file,
            address.certificate_file,
        )
        guard_session(client.session, address, connections=self._connections)
        return client

    def _call(self, method: str, path: str, parameters: list[tuple[str, str]], **data: bytes) -> Answer:
        from requests.exceptions import ConnectTimeout, RequestException

        if self.address.datacenter:
            parameters = [*parameters, ("dc", self.address.datacenter)]
        is_write = bool(data)
        try:
            call = getattr(self._client, method)
            answer: Answer = call(lambda response: self._read(response, is_write), f"/v1/{path}", parameters, **data)
        except ConnectTimeout as error:
            seconds = self.address.connect_timeout.total_seconds()
            raise ConsulUnavailable(f"{self._where}: no connection within {seconds:g} s") from error
        except RequestException as error:
            if _was_refused(error):
                raise ConsulUnavailable(f"{self._where}: nobody listens there, or the name is unknown") from error
            if (problem := _not_trusted(error)) is not None:
                raise ConsulRefused(f"{self._where}: no secure connection: {problem}; nothing was sent") from error
            problem = f"{self._where}: no answer ({_reason_of(error)})"
            raise _ConnectionBroke(problem, is_timeout=_was_silent(error)) from error
        return answer

    def _read(self, response: Any, is_write: bool) -> Answer:
        """Read the client's answer: ``code``, ``headers`` and the text ``body``."""
        status, headers = int(response.code), response.headers
        if status in (_OK, _CONFLICT, _NOT_FOUND):
            if str(headers.get(_FILTERED_HEADER, "")).lower() == "true":
                raise ConsulRefused(f"{self._where}: the token may not read all that was asked for")
            body = None if status == _NOT_FOUND else self._json(response.body)
            return Answer(status=status, body=body, index=_index_of(headers), date=headers.get("Date"))
        told = " ".join(response.body.split())[:_SHOWN_CHARACTERS] or f"HTTP {status}"
        if status >= _SERVER and is_write:  # "leadership lost while committing" is one of these
            raise ConsulOutcomeUnknown(f"{self._where}: {told}; the write may have happened: read again")
        if status >= _SERVER or status == _TOO_MANY:
            raise ConsulUnavailable(f"{self._where}: {told}")
        raise ConsulRefused(f"{self._where}: {told}")

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise ConsulRefused(
                f"{self._where}: the answer is no JSON; is this the address of a Consul agent?"
            ) from error

    @property
    def _where(self) -> str:
        return f"Consul at {self.address.name}"


class _ConnectionBroke(Exception):
    """A request was sent, and no answer came.

    :param is_timeout: within the time-out; else the connection was closed
    """

    def __init__(self, problem: str, *, is_timeout: bool) -> None:
        self.is_timeout = is_timeout
        super().__init__(problem)


def _index_of(headers: Mapping[str, str]) -> int:
    text = str(headers.get("X-Consul-Index") or "0")
    return int(text) if text.isdecimal() else 0


def _was_silent(error: Exception) -> bool:
    """Say whether the agent took too long, before its answer or in the middle of it."""
    from requests.exceptions import Timeout
    from urllib3.exceptions import ReadTimeoutError

    return isinstance(error, Timeout) or isinstance(error.args[0] if error.args else None, ReadTimeoutError)


def _was_refused(error: Exception) -> bool:
    """Say whether no connection was made at all, so that nothing was sent."""
    from urllib3.exceptions import NewConnectionError

    return isinstance(_wrapped_in(error), NewConnectionError)


def _not_trusted(error: Exception) -> str | None:
    """Return why the agent's certificate was not accepted, or None: to lose a connection is an error of TLS too."""
    from ssl import SSLCertVerificationError

    cause = _cause_in_tls(error)
    return str(cause) if isinstance(cause, SSLCertVerificationError) else None


def _reason_of(error: Exception) -> str:
    cause = _cause_in_tls(error)
    return type(error).__name__ if cause is None else f"{type(error).__name__}: {cause}"


def _cause_in_tls(error: Exception) -> Exception | None:
    """Return the error of the TLS library, or None if it is about something else."""
    from urllib3.exceptions import SSLError

    wrapped = _wrapped_in(error)
    return wrapped.args[0] if isinstance(wrapped, SSLError) and wrapped.args else None


def _wrapped_in(error: Exception) -> object:
    """Return what the client has made its own error of."""
    from urllib3.exceptions import MaxRetryError

    cause = error.args[0] if error.args else None
    return cause.reason if isinstance(cause, MaxRetryError) else cause
