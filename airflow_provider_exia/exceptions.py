"""Every error that a user of this package can meet has one root, and the message says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ExiaError(Exception):
    """The root of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The children make their message from keyword arguments, which pickle would not hand over: without this an
        # error that crosses to another process breaks the pool it came from instead of being raised there.
        return _restore, (type(self), self.args, dict(vars(self)))


def _restore(kind: type[ExiaError], arguments: tuple[Any, ...], attributes: Mapping[str, Any]) -> ExiaError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class InvalidInput(ExiaError, ValueError):
    """Something that was handed in cannot be used; the message says what, where and what was expected."""


class MissingExtra(ExiaError, ImportError):
    """An optional library is needed and not installed.

    :param library: the library that could not be imported
    :param extra: the extra of this package that brings it
    :param purpose: what it is needed for, as in "reading a skops file"
    """

    def __init__(self, *, library: str, extra: str, purpose: str) -> None:
        self.library, self.extra, self.purpose = library, extra, purpose
        super().__init__(
            f"{purpose} needs the library {library!r}, which is not installed: "
            f"pip install 'airflow-provider-exia[{extra}]'"
        )


class OutcomeUnknown(ExiaError):
    """The store stopped answering before the outcome was known: the change may have been made, or may still be.

    Doing the same again with the same work key or token is safe and finds out.

    :param operation: what was under way, as in "promote flight_delay/3 to champion"
    :param token: the token or work key under which the operation can be repeated
    :param reason: what the last try ended with
    """

    def __init__(self, *, operation: str, token: str, reason: Exception | None = None) -> None:
        self.operation, self.token = operation, token
        self.reason = None if reason is None else str(reason)
        super().__init__(
            f"it is not known whether this was done: {operation}; repeat it with the same token or work key {token!r} "
            f"to find out{'' if reason is None else f' (the last try ended with: {reason})'}"
        )
