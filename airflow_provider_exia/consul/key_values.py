"""Consul's keys and values: read one or a prefix, wait for a change, change several in one transaction."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_exia.consul.exceptions import ConsulConflict, ConsulRefused
from airflow_provider_exia.consul.keys import check_key, check_prefix
from airflow_provider_exia.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_exia.consul.address import ConsulAddress
    from airflow_provider_exia.consul.transport import ConsulTransport

LARGEST_VALUE_BYTES = 512 * 1024
SMALLEST_TRANSACTION = 64
"""Every Consul takes transactions of so many operations."""
_ASKED_TRANSACTION = 129
_CONFLICTS = re.compile(r"index is stale|exists$|failed index check|doesn't exist$")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """One key as Consul has it.

    :param key: the key
    :param value: its bytes
    :param flags: a number of the writer's own
    :param index: grows with every change of the key
    """

    key: str
    value: bytes
    flags: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a transaction.

    :param verb: ``cas`` sets the value if the key is still at ``index`` (0: not there), ``delete-cas`` deletes it if it
        is; ``delete`` deletes it anyway; ``check-index`` changes nothing
    :param key: the key
    :param index: on which the caller decided
    :param value: at most 512 KiB
    :param flags: a number of the writer's own
    """

    verb: Literal["cas", "delete-cas", "delete", "check-index"]
    key: str
    index: int = 0
    value: bytes = b""
    flags: int = 0

    def __post_init__(self) -> None:
        check_key(self.key)
        if len(self.value) > LARGEST_VALUE_BYTES:
            raise InvalidInput(
                f"the value of {self.key!r} has {len(self.value)} bytes; Consul takes {LARGEST_VALUE_BYTES}: keep "
                "large things in a file and name it here"
            )


class KeyValues:
    """The keys of one Consul.

    :param transport: to an agent
    """

    def __init__(self, transport: ConsulTransport) -> None:
        self._transport = transport

    @property
    def address(self) -> ConsulAddress:
        """Where the Consul is."""
        return self._transport.address

    def get(self, key: str) -> KeyValue | None:
        """Return a key's value, or None.

        :raises ConsulRefused: the token may not read it
        """
        found = self._transport.read(f"kv/{check_key(key)}").body
        return _key_value(found[0]) if found else None

    def list(self, prefix: str) -> Sequence[KeyValue]:
        """Return all keys below a prefix, in their order, by one request."""
        return self.list_since(prefix)[0]

    def list_since(
        self, prefix: str, *, index: int = 0, wait: timedelta | None = None, proves_rights: bool = True
    ) -> tuple[Sequence[KeyValue], int]:
        """Return all keys below a prefix, once something there may have changed since ``index``, or after ``wait``.

        A return is no proof of a change.

        :param proves_rights: make sure, by a second request, that an empty prefix may be read
        :returns: the keys, and the index for the next call; when it went back, 0, so that nothing is missed
        """
        answer = self._transport.read(f"kv/{check_prefix(prefix)}", [("recurse", "")], index=index, wait=wait)
        if not answer.body and prefix and proves_rights:
            self.prove_rights(prefix)
        newest = max(answer.index, 1)
        return [_key_value(item) for item in answer.body or ()], newest if newest >= index else 0

    def prove_rights(self, prefix: str) -> None:
        """Make sure that the token may read below a prefix: without rights a prefix looks empty, and a key says so.

        :raises ConsulRefused: it may not
        """
        self.get(f"{check_prefix(prefix)}exia-ask")

    def transact(self, operations: Sequence[Operation]) -> Mapping[str, int]:
        """Do all operations or none.

        :returns: the new index of each key that was set
        :raises ConsulConflict: a key is no longer at its index
        :raises ConsulRefused: the token may not, or there are too many operations
        :raises ConsulOutcomeUnknown: no answer
        """
        if len(operations) > SMALLEST_TRANSACTION and len(operations) > self.largest_transaction:
            raise InvalidInput(
                f"{len(operations)} operations are more than the {self.largest_transaction} of one transaction of this "
                "Consul: change fewer keys at a time"
            )
        answer = self._transport.write("txn", body=[_operation(operation) for operation in operations])
        errors = (answer.body or {}).get("Errors") or []
        if errors:
            _refuse(errors, operations)
        results = [result["KV"] for result in (answer.body or {}).get("Results") or ()]
        return {item["Key"]: int(item["ModifyIndex"]) for item in results}

    @cached_property
    def largest_transaction(self) -> int:
        """How many operations this Consul takes in one transaction, found out by asking it."""
        keys = [f"exia-ask/{number}" for number in range(_ASKED_TRANSACTION)]
        ask = [{"KV": {"Verb": "check-not-exists", "Key": key}} for key in keys]
        try:
            self._transport.write("txn", body=ask)
        except ConsulRefused as error:
            told = re.search(r"\(\d+ > (\d+)\)", str(error))
            return int(told[1]) if told else SMALLEST_TRANSACTION
        return _ASKED_TRANSACTION


def _refuse(errors: Sequence[dict[str, Any]], operations: Sequence[Operation]) -> None:
    """Tell a lost race from a lack of rights: Consul answers 409 to both."""
    refused = [str(error.get("What")) for error in errors if not _CONFLICTS.search(str(error.get("What")))]
    if refused:
        raise ConsulRefused(f"Consul refused the transaction, nothing was written: {refused[0]}")
    raise ConsulConflict(tuple(operations[int(error["OpIndex"])].key for error in errors))


def _operation(operation: Operation) -> dict[str, Any]:
    asked: dict[str, Any] = {"Verb": operation.verb, "Key": operation.key}
    if operation.verb != "delete":
        asked["Index"] = operation.index
    if operation.verb == "cas":
        asked |= {"Value": base64.b64encode(operation.value).decode(), "Flags": operation.flags}
    return {"KV": asked}


def _key_value(item: dict[str, Any]) -> KeyValue:
    return KeyValue(
        key=item["Key"],
        value=base64.b64decode(item["Value"] or ""),
        flags=int(item["Flags"]),
        index=int(item["ModifyIndex"]),
    )
