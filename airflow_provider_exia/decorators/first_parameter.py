"""Functions whose first parameter is filled in by the operator, not by the author of the DAG."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput


def without_first_parameter(function: Callable[..., Any], *, decorator: str) -> Callable[..., Any]:
    """Return ``function`` with a signature that lacks its first parameter; the original is ``__wrapped__``.

    Airflow checks the arguments of a task against the signature when the DAG is parsed, and must not ask for the one
    that the operator fills in.

    :param decorator: its name, for the error message
    :raises InvalidInput: the function takes no argument, or is a coroutine
    """
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    name = getattr(function, "__name__", repr(function))
    if inspect.iscoroutinefunction(function):
        raise InvalidInput(f"@task.{decorator} on {name}{signature}: write it as a plain function, not as a coroutine")
    if not parameters or parameters[0].kind not in positional:
        raise InvalidInput(f"@task.{decorator} on {name}{signature}: the function needs a first parameter to be given")

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    call.__signature__ = signature.replace(parameters=parameters[1:])  # type: ignore[attr-defined]  # a free slot
    return call


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that :func:`without_first_parameter` was given."""
    wrapped: Callable[..., Any] = function.__wrapped__  # type: ignore[attr-defined]  # set by functools.wraps
    return wrapped


def refuse_arguments(keywords: Mapping[str, Any], names: Iterable[str], *, decorator: str) -> None:
    """Refuse arguments of the operator that make no sense for a decorated function.

    :raises InvalidInput: one of ``names`` was given
    """
    for name in names:
        if name in keywords:
            raise InvalidInput(f"@task.{decorator}({name}=...): pass it to the function when you call the task instead")
