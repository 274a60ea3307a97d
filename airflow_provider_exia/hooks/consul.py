"""The hooks of the connection type ``consul``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseHook

from airflow_provider_exia.exceptions import ExiaError, InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Connection

    from airflow_provider_exia.consul.address import ConsulAddress
    from airflow_provider_exia.consul.key_values import KeyValues
    from airflow_provider_exia.consul.transport import ConsulTransport
    from airflow_provider_exia.hooks.fields import Fields
    from airflow_provider_exia.parameters.records import Change, Parameter, Revision
    from airflow_provider_exia.parameters.snapshot import Snapshot
    from airflow_provider_exia.parameters.store import ParameterStore

_KNOWN = (
    *("ca_file", "certificate_file", "consistency", "datacenter", "environment", "inherits", "namespace", "partition"),
    *("root", "secure"),
)
_DEFAULT_PORT = 8500
SECRET = "$secret"  # noqa: S105 - the key that marks a reference to a secret


class ConsulHook(BaseHook):
    """Gives tasks a Consul agent.

    :param consul_conn_id: a connection of the type ``consul``
    """

    conn_name_attr = "consul_conn_id"
    default_conn_name = "consul_default"
    conn_type = "consul"
    hook_name = "Consul"

    def __init__(self, consul_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.consul_conn_id = consul_conn_id
        self._prepared: Connection | None = None

    @cached_property
    def connection(self) -> Connection:
        """The Airflow connection."""
        return self._prepared or self.get_connection(self.consul_conn_id)

    @cached_property
    def transport(self) -> ConsulTransport:
        """The way to the agent; hooks of one process share it."""
        from airflow_provider_exia.consul.sharing import transport_to

        return transport_to(address_of(self.connection))

    @cached_property
    def key_values(self) -> KeyValues:
        """The agent's keys."""
        from airflow_provider_exia.consul.key_values import KeyValues

        return KeyValues(self.transport)

    def get_conn(self) -> ConsulTransport:
        """Return the way to the agent."""
        return self.transport

    async def prepare(self) -> None:
        """Read the connection without blocking an event loop; a trigger calls it before anything else."""
        self._prepared = await self.aget_connection(self.consul_conn_id)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the leader, and whether the token may read the parameters; for the button in the Airflow UI."""
        try:
            leader = self.transport.read("status/leader", consistency=False).body
            if not leader:
                return False, "the agent answers, and its servers have no leader"
            root = address_fields(self.connection).text("root") or "exia"
            self.key_values.get(f"{root}/values/probe")
        except ExiaError as error:
            return False, str(error).removeprefix(f"connection {self.consul_conn_id!r}: ")
        return True, f"the agent answers, its leader is {leader}, and the token may read below {root}/"


class ConsulParamHook(ConsulHook):
    """Gives tasks the parameters in a Consul.

    :param consul_conn_id: a connection of the type ``consul``
    :param environment: where writes go and reads look first; default: the connection's, else ``default``
    :param inherits: where reads look next; default: the connection's
    :param schemas: a pydantic type or JSON Schema for each prefix
    """

    def __init__(
        self,
        consul_conn_id: str = ConsulHook.default_conn_name,
        *,
        environment: str | None = None,
        inherits: Sequence[str] | None = None,
        schemas: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(consul_conn_id)
        self._environment, self._inherits, self._schemas = environment, inherits, schemas

    @cached_property
    def store(self) -> ParameterStore:
        """The parameters, opened at first use.

        :raises InvalidInput: the connection cannot be understood
        """
        from airflow_provider_exia.parameters.schemas import Schemas
        from airflow_provider_exia.parameters.store import ParameterStore

        fields = address_fields(self.connection)
        return ParameterStore(
            key_values=self.key_values,
            new_token=lambda: uuid.uuid4().hex,
            environment=self._environment or fields.text("environment") or "default",
            inherits=fields.words("inherits") if self._inherits is None else tuple(self._inherits),
            root=fields.text("root") or "exia",
            schemas=Schemas(self._schemas or {}),
        )

    def get(self, name: str) -> Any:
        """Return a parameter's value, with secrets in the place of references to them, masked in logs.

        :raises UnknownParameter: there is none
        """
        return reveal(self.store.get(name).value)

    def parameter(self, name: str) -> Parameter:
        """Return a parameter as it is stored, with its index for ``expected``."""
        return self.store.get(name)

    def put(self, name: str, value: Any, *, by: str, reason: str = "", expected: int | None = None) -> Parameter:
        """Set a parameter; see :meth:`~airflow_provider_exia.parameters.store.ParameterStore.put`."""
        return self.store.put(name, value, by=by, reason=reason, expected=expected)

    def put_many(
        self, values: Mapping[str, Any], *, by: str, reason: str = "", expected: Mapping[str, int] | None = None
    ) -> dict[str, Parameter]:
        """Set several parameters, all or none."""
        return self.store.put_many(values, by=by, reason=reason, expected=expected)

    def history(self, name: str) -> list[Revision]:
        """Return the revisions that are kept, newest first."""
        return self.store.history(name)

    def diff(self, name: str, before: int, after: int) -> list[Change]:
        """Return where two revisions differ."""
        return self.store.diff(name, before, after)

    def rollback(self, name: str, number: int, *, by: str, reason: str = "") -> Parameter:
        """Set a parameter to the value of an earlier revision."""
        return self.store.rollback(name, number, by=by, reason=reason)

    def as_of(self, name: str, moment: datetime) -> Any:
        """Return the value that a parameter had at a moment."""
        return self.store.as_of(name, moment)

    def snapshot(self, prefix: str, *, needed: Sequence[str] = ()) -> Snapshot:
        """Return all parameters below a prefix as they are now; secrets stay references."""
        from airflow_provider_exia.parameters.snapshot import take_snapshot

        return take_snapshot(self.store, prefix, needed=needed)


def address_of(connection: Connection) -> ConsulAddress:
    """Return where a connection of the type ``consul`` leads.

    :raises InvalidInput: it is of another type, or a field makes no sense
    """
    from airflow_provider_exia.consul.address import ConsulAddress

    fields = address_fields(connection)
    try:
        return ConsulAddress(
            host=connection.host or "127.0.0.1",
            port=connection.port or _DEFAULT_PORT,
            scheme="https" if fields.switch("secure") else "http",
            token=connection.password or None,
            consistency=cast("Any", fields.text("consistency") or "default"),  # the address checks it
            datacenter=fields.text("datacenter"),
            namespace=fields.text("namespace"),
            partition=fields.text("partition"),
            ca_file=fields.text("ca_file"),
            certificate_file=fields.text("certificate_file"),
        )
    except InvalidInput as error:
        raise fields.problem(str(error)) from error


def address_fields(connection: Connection) -> Fields:
    """Return the fields of a connection of the type ``consul``."""
    from airflow_provider_exia.hooks.fields import Fields

    if connection.conn_type != ConsulHook.conn_type:
        raise InvalidInput(
            f"connection {connection.conn_id!r} is of the type {connection.conn_type!r}, expected "
            f"{ConsulHook.conn_type!r}: name another connection, or change its type"
        )
    return Fields(connection, known=_KNOWN)


def reveal(value: Any) -> Any:
    """Return a value with secrets in the place of references to them; each is masked in logs.

    A reference is ``{"$secret": "connection:warehouse.password"}`` or ``{"$secret": "variable:api_key"}``.

    :raises InvalidInput: a reference names nothing
    """
    if isinstance(value, dict):
        if set(value) == {SECRET}:
            return _secret(str(value[SECRET]))
        return {name: reveal(item) for name, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


def _secret(reference: str) -> Any:
    from airflow.sdk import Variable
    from airflow.sdk.log import mask_secret

    kind, _, name = reference.partition(":")
    if kind == "variable" and name:
        secret = Variable.get(name)
    elif kind == "connection" and "." in name:
        connection_id, _, field = name.rpartition(".")
        connection = BaseHook.get_connection(connection_id)
        named = field in ("login", "password", "host", "schema")
        secret = getattr(connection, field) if named else connection.extra_dejson.get(field)
    else:
        raise InvalidInput(
            f"{reference!r} is no reference to a secret: expected 'connection:warehouse.password' or 'variable:api_key'"
        )
    if secret is None:
        raise InvalidInput(f"the secret {reference!r} is empty or not there: set it in Airflow")
    mask_secret(secret)
    return secret
