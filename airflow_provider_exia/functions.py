"""How a DAG names a user's function: as a callable, or as ``package.module:function``."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from airflow_provider_exia.exceptions import InvalidInput

Function: TypeAlias = Callable[..., Any] | str


def load_function(function: Function, *, purpose: str) -> Callable[..., Any]:
    """Return the callable that ``function`` names.

    :param purpose: what it is for, as in "train", for the error message
    :raises InvalidInput: there is no such module or function
    """
    if callable(function):
        return function
    module_name, colon, name = str(function).partition(":")
    if not colon or not module_name or not name or module_name.startswith("."):
        raise InvalidInput(f"{purpose} {function!r}: expected a function or 'package.module:function'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"{purpose} {function!r}: no module {error.name!r}; install it, or put it on the PYTHONPATH of the workers"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InvalidInput(f"{purpose} {function!r}: module {module_name!r} has no function {name!r}")
    loaded: Callable[..., Any] = found
    return loaded


def code_version_of(function: Callable[..., Any]) -> str | None:
    """Return the SHA-256 of the file that holds a function, or None where there is no such file."""
    try:
        source = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return None
    if source is None or not Path(source).is_file():
        return None
    return f"sha256:{hashlib.sha256(Path(source).read_bytes()).hexdigest()}"
