"""Values of the 2020 toolkit: Python literals as text, ``str(dict)``, which it read back with ``eval``.

They are read once, as literals and nothing else, and put again as JSON.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.parameters.records import to_bytes

_LARGEST_TEXT = 512 * 1024


def read_2020_value(name: str, stored: bytes) -> Any:
    """Return the JSON value that a stored text of the 2020 toolkit means.

    :param name: of the key, for messages
    :param stored: what lies in Consul
    :raises InvalidInput: it is neither JSON nor a Python literal that JSON can hold
    """
    if len(stored) > _LARGEST_TEXT:
        raise InvalidInput(f"{name}: {len(stored)} bytes are more than Consul ever holds")
    try:
        text = stored.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not text: the 2020 toolkit wrote only text") from error
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        value = ast.literal_eval(text)
        return json.loads(to_bytes(name, value))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InvalidInput(
            f"{name} is neither JSON nor a Python literal such as {{'LOG_LEVEL': 'INFO'}}: put it by hand"
        ) from error
