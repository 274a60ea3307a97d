"""Reading and writing parameters: one transaction changes values and their histories together.

A value and its new revision are written by compare-and-set in one transaction. After a lost race or a lost reply the
loop goes back to reading; a revision carries the token of its write, so an earlier try of our own is found.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_exia.clock import Clock, SystemClock
from airflow_provider_exia.consul.exceptions import ConsulConflict, ConsulOutcomeUnknown, ConsulUnavailable
from airflow_provider_exia.consul.key_values import KeyValue, KeyValues, Operation
from airflow_provider_exia.exceptions import InvalidInput, OutcomeUnknown
from airflow_provider_exia.parameters.exceptions import ForeignValue, ParameterChanged, UnknownParameter
from airflow_provider_exia.parameters.layout import Layout
from airflow_provider_exia.parameters.records import (
    FOREIGN,
    Change,
    Parameter,
    Revision,
    differences,
    later_of,
    to_bytes,
)
from airflow_provider_exia.parameters.schemas import Schemas
from airflow_provider_exia.storage.codec import from_document, to_document

HISTORY_WINDOW = 50
_PAUSE_SECONDS, _AWAY_SECONDS = 0.02, 0.5


@dataclass(frozen=True, kw_only=True)
class ParameterStore:
    """The parameters of one environment, and of those it inherits from.

    :param key_values: of a Consul
    :param environment: where writes go, and where reads look first
    :param inherits: where reads look next, in order
    :param root: first segments of all keys
    :param schemas: what values have to look like
    :param history_window: how many revisions of a parameter are kept
    :param new_token: returns a token that was never used
    :param clock: time for records and deadlines
    :param patience: how long a write goes on after lost races and lost replies
    """

    key_values: KeyValues
    new_token: Callable[[], str]
    environment: str = "default"
    inherits: Sequence[str] = ()
    root: str = "exia"
    schemas: Schemas = field(default_factory=Schemas)
    history_window: int = HISTORY_WINDOW
    clock: Clock = field(default_factory=SystemClock)
    patience: timedelta = timedelta(seconds=30)

    def get(self, name: str) -> Parameter:
        """Return a parameter from the first environment that has it.

        :raises UnknownParameter: none has
        :raises ForeignValue: it is not JSON
        """
        for layout in self.layouts:
            found = self.key_values.get(layout.value(name))
            if found is not None:
                return _parameter(layout, found)
        raise UnknownParameter(f"no parameter {name!r} in {self._places}: 'exia parameters list' shows those there")

    def find(self, prefix: str = "") -> dict[str, Parameter]:
        """Return the parameters below a prefix by name, with one request for each environment.

        :raises ForeignValue: one of them is not JSON
        """
        found: dict[str, Parameter] = {}
        for layout in reversed(self.layouts):
            below = layout.value(prefix.removesuffix("/")) if prefix else layout.values
            found |= {item.name: item for item in (_parameter(layout, kv) for kv in self.key_values.list(below))}
        return dict(sorted(found.items()))

    def put(self, name: str, value: Any, *, by: str, reason: str = "", expected: int | None = None) -> Parameter:
        """Set a parameter in this environment.

        :param expected: its index on which the caller decided; 0: it is not here; None: whatever it is
        :returns: the parameter as it was written
        :raises ParameterChanged: it is at another index
        :raises SchemaBroken: the value does not fit the schema of its prefix
        """
        given = None if expected is None else {name: expected}
        return self.put_many({name: value}, by=by, reason=reason, expected=given)[name]

    def put_many(
        self, values: Mapping[str, Any], *, by: str, reason: str = "", expected: Mapping[str, int] | None = None
    ) -> dict[str, Parameter]:
        """Set several parameters by one transaction: all or none.

        :param expected: index of each parameter on which the caller decided
        :returns: the parameters as they were written
        :raises ParameterChanged: one is at another index
        :raises SchemaBroken: a value does not fit the schema of its prefix
        """
        wanted = {name: self._checked(name, value) for name, value in values.items()}
        return self._write(wanted, by=by, reason=reason, expected=expected or {})

    def delete(self, name: str, *, by: str, reason: str = "", expected: int | None = None) -> None:
        """Delete a parameter of this environment; its history stays.

        :raises UnknownParameter: it is not here
        """
        if self.key_values.get(self._layout.value(name)) is None:
            raise UnknownParameter(f"no parameter {name!r} in {self.environment!r} to delete")
        self._write({name: None}, by=by, reason=reason, expected={} if expected is None else {name: expected})

    def history(self, name: str) -> list[Revision]:
        """Return the revisions that are kept, newest first; a change by another program stands first until the next.

        :raises UnknownParameter: it was never here
        """
        present, revisions = self.key_values.get(self._layout.value(name)), self._revisions(name)
        newest = revisions[0] if revisions else None
        if _was_changed_by_another(present, newest):
            revisions.insert(0, self._foreign(present, newest))
        if not revisions:
            raise UnknownParameter(f"no parameter {name!r} in {self.environment!r}, and there never was one")
        return revisions

    def revision(self, name: str, number: int) -> Revision:
        """Return one revision.

        :raises UnknownParameter: it never was, or is kept no more
        """
        found = self._read_revision(name, number)
        if found is None:
            raise UnknownParameter(
                f"{name} has no revision {number} in {self.environment!r}: the newest {self.history_window} are kept"
            )
        return found

    def as_of(self, name: str, moment: datetime) -> Any:
        """Return the value that a parameter had here at a moment.

        :raises UnknownParameter: it had none, or the revision is kept no more
        """
        before = next((item for item in self.history(name) if item.at <= moment), None)
        if before is None or before.is_deletion:
            raise UnknownParameter(f"{name} had no value in {self.environment!r} at {moment.isoformat()} that is kept")
        return _value(name, before)

    def diff(self, name: str, before: int, after: int) -> list[Change]:
        """Return where two revisions of a parameter differ."""
        return differences(self.revision(name, before).value, self.revision(name, after).value)

    def rollback(self, name: str, number: int, *, by: str, reason: str = "") -> Parameter:
        """Set a parameter to the value of an earlier revision, as a new revision.

        :raises InvalidInput: the revision is a deletion
        """
        earlier = self.revision(name, number)
        if earlier.is_deletion:
            raise InvalidInput(f"revision {number} of {name} is a deletion: delete it, or choose another revision")
        return self.put(name, _value(name, earlier), by=by, reason=reason or f"back to revision {number}")

    @property
    def _layout(self) -> Layout:
        return Layout(root=self.root, environment=self.environment)

    @property
    def layouts(self) -> list[Layout]:
        """The keys of this environment, and of those it inherits from, in order."""
        return [Layout(root=self.root, environment=name) for name in (self.environment, *self.inherits)]

    @property
    def _places(self) -> str:
        return ", ".join(repr(name) for name in (self.environment, *self.inherits))

    def _checked(self, name: str, value: Any) -> bytes:
        stored = to_bytes(name, value)
        self.schemas.check(name, value)
        return stored

    def _write(
        self, wanted: Mapping[str, bytes | None], *, by: str, reason: str, expected: Mapping[str, int]
    ) -> dict[str, Parameter]:
        """Write values (None: delete) until it is known that it was done or cannot be."""
        token, tried, is_open = self.new_token(), dict[str, int](), False
        deadline = self.clock.monotonic() + self.patience.total_seconds()
        while True:
            try:
                if tried and self._is_ours(tried, token):
                    return self._written(wanted, tried, {})
                operations, tried = self._plan(
                    wanted, by=by, reason=reason, expected=expected, token=token, believes_flags=not tried
                )
                return self._written(wanted, tried, self.key_values.transact(operations))
            except (ConsulConflict, ConsulOutcomeUnknown, ConsulUnavailable) as error:
                is_open = is_open or isinstance(error, ConsulOutcomeUnknown)
                is_away = isinstance(error, ConsulUnavailable)
                if is_away and not is_open:
                    raise
                if self.clock.monotonic() >= deadline:
                    operation = f"write {', '.join(wanted)}"
                    raise OutcomeUnknown(operation=operation, token=token, reason=error) from error
                self.clock.sleep(_AWAY_SECONDS if is_away else _PAUSE_SECONDS)

    def _plan(
        self,
        wanted: Mapping[str, bytes | None],
        *,
        by: str,
        reason: str,
        expected: Mapping[str, int],
        token: str,
        believes_flags: bool,
    ) -> tuple[list[Operation], dict[str, int]]:
        """Return the transaction that follows from what is there now, and the number of each revision in it."""
        operations, numbers = list[Operation](), dict[str, int]()
        for name, value in wanted.items():
            present, newest = self._read_present(name, believes_flags=believes_flags)
            self._check_expected(name, present, newest, expected.get(name))
            revisions = self._next_revisions(present, newest, value, by, reason, token)
            numbers[name] = revisions[-1].number
            operations += self._operations(name, value, present, revisions)
        return operations, numbers

    def _check_expected(
        self, name: str, present: KeyValue | None, newest: Revision | None, expected: int | None
    ) -> None:
        index = present.index if present else 0
        if expected is not None and expected != index:
            is_foreign = newest is None or _was_changed_by_another(present, newest)
            by = FOREIGN if is_foreign or newest is None else newest.by
            raise ParameterChanged(name=name, expected=expected, present=index, by=by)

    def _next_revisions(
        self,
        present: KeyValue | None,
        newest: Revision | None,
        value: bytes | None,
        by: str,
        reason: str,
        token: str,
    ) -> list[Revision]:
        """Return the revision of a write, and before it that of another program's change where there was one."""
        foreign = [self._foreign(present, newest)] if _was_changed_by_another(present, newest) else []
        last = foreign[-1] if foreign else newest
        revision = Revision(
            number=last.number + 1 if last else 1,
            value=None if value is None else json.loads(value),
            is_deletion=value is None,
            at=later_of(self.clock.now(), last),
            by=by,
            reason=reason,
            token=token,
        )
        return [*foreign, revision]

    def _operations(
        self, name: str, value: bytes | None, present: KeyValue | None, revisions: Sequence[Revision]
    ) -> list[Operation]:
        """Return one parameter's part of the transaction."""
        key, index = self._layout.value(name), present.index if present else 0
        change = (
            Operation(verb="delete-cas", key=key, index=index)
            if value is None
            else Operation(verb="cas", key=key, index=index, value=value, flags=revisions[-1].number)
        )
        operations = [change]
        for item in revisions:
            stored = to_bytes(name, to_document(item))
            operations.append(Operation(verb="cas", key=self._layout.revision(name, item.number), value=stored))
            if item.number > self.history_window:
                oldest = self._layout.revision(name, item.number - self.history_window)
                operations.append(Operation(verb="delete", key=oldest))
        return operations

    def _read_present(self, name: str, *, believes_flags: bool) -> tuple[KeyValue | None, Revision | None]:
        """Return the stored value and the newest revision.

        :param believes_flags: take the value's flags for the number of the newest revision, which saves reading the
            history; another program may have set them
        """
        present = self.key_values.get(self._layout.value(name))
        if present is not None and present.flags and believes_flags:
            newest = self._read_revision(name, present.flags)
            if newest is not None:
                return present, newest
        revisions = self._revisions(name)
        return present, revisions[0] if revisions else None

    def _read_revision(self, name: str, number: int) -> Revision | None:
        found = self.key_values.get(self._layout.revision(name, number))
        return None if found is None else from_document(Revision, json.loads(found.value))

    def _revisions(self, name: str) -> list[Revision]:
        kept = self.key_values.list(self._layout.history(name))
        ours = [item for item in kept if self._layout.number_of(name, item.key) is not None]
        return [from_document(Revision, json.loads(item.value)) for item in reversed(ours)]

    def _foreign(self, present: KeyValue | None, newest: Revision | None) -> Revision:
        """Return another program's change as the revision that it is."""
        value, raw = (None, None) if present is None else _json_or_raw(present.value)
        return Revision(
            number=newest.number + 1 if newest else 1,
            value=value,
            raw=raw,
            is_deletion=present is None,
            at=later_of(self.clock.now(), newest),
            by=FOREIGN,
            token=self.new_token(),
        )

    def _is_ours(self, tried: Mapping[str, int], token: str) -> bool:
        """Say whether an earlier try of this write is there: all of it, or none of it, is."""
        name, number = next(iter(tried.items()))
        found = self._read_revision(name, number)
        return found is not None and found.token == token

    def _written(
        self, wanted: Mapping[str, bytes | None], numbers: Mapping[str, int], indices: Mapping[str, int]
    ) -> dict[str, Parameter]:
        """Return what was written; ``indices`` lacks those of an earlier try, which are read again."""
        return {
            name: Parameter(
                name=name,
                environment=self.environment,
                value=json.loads(value),
                revision=numbers[name],
                index=indices.get(self._layout.value(name)) or self._index_of(name, numbers[name]),
            )
            for name, value in wanted.items()
            if value is not None
        }

    def _index_of(self, name: str, number: int) -> int:
        """Return the index at which a revision left its parameter, or 0 where it was changed since."""
        present = self.key_values.get(self._layout.value(name))
        return present.index if present is not None and present.flags == number else 0


def _parameter(layout: Layout, found: KeyValue) -> Parameter:
    name = found.key.removeprefix(layout.values)
    value, raw = _json_or_raw(found.value)
    if raw is not None:
        raise ForeignValue(name)
    return Parameter(name=name, environment=layout.environment, value=value, revision=found.flags, index=found.index)


def _value(name: str, revision: Revision) -> Any:
    if revision.raw is not None:
        raise ForeignValue(name)
    return revision.value


def _was_changed_by_another(present: KeyValue | None, newest: Revision | None) -> bool:
    if newest is None:
        return present is not None
    if present is None:
        return not newest.is_deletion
    value, raw = _json_or_raw(present.value)
    if newest.is_deletion or raw != newest.raw:
        return True
    return to_bytes("", value) != to_bytes("", newest.value)


def _json_or_raw(stored: bytes) -> tuple[Any, str | None]:
    try:
        return json.loads(stored), None
    except ValueError:
        return None, base64.b64encode(stored).decode()
