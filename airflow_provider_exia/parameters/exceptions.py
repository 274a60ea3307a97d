"""What can go wrong with parameters."""

from __future__ import annotations

from airflow_provider_exia.exceptions import ExiaError, InvalidInput


class ParameterError(ExiaError):
    """Parameters could not be read or written as asked."""


class UnknownParameter(ParameterError, LookupError):
    """There is no such parameter, or was none at that moment."""


class ParameterChanged(ParameterError):
    """Somebody changed the parameter after it was read; nothing was written.

    :param name: the parameter
    :param expected: the index on which the caller decided
    :param present: its index now; 0: it is not there
    :param by: who changed it, where this is known
    """

    def __init__(self, *, name: str, expected: int, present: int, by: str) -> None:
        self.name, self.expected, self.present, self.by = name, expected, present, by
        state = f"at index {present}, by {by}" if present else "deleted"
        super().__init__(f"{name} is no longer at index {expected}, it is {state}: read it again and decide again")


class ForeignValue(ParameterError):
    """A value was written by another program, and is not JSON.

    :param name: the parameter
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} was written by another program and is not JSON: put it again, or read a value of the 2020 toolkit "
            "with 'exia parameters import'"
        )


class SchemaBroken(InvalidInput):
    """A value does not fit the schema of its prefix.

    :param name: the parameter
    :param field: where in the value, as in ``layers.0.size``; empty for the whole
    :param problem: what is wrong there
    """

    def __init__(self, *, name: str, field: str, problem: str) -> None:
        self.name, self.field, self.problem = name, field, problem
        place = f" at {field!r}" if field else ""
        super().__init__(f"{name} does not fit its schema{place}: {problem}; nothing was written")
