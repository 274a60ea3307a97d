"""Every error that a user of this package can meet has one root, and the message says what to do."""

from __future__ import annotations


class ExiaError(Exception):
    """The root of all errors of this package."""


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
    """

    def __init__(self, *, operation: str, token: str) -> None:
        self.operation, self.token = operation, token
        super().__init__(
            f"it is not known whether this was done: {operation}; repeat it with the same token {token!r} to find out"
        )
