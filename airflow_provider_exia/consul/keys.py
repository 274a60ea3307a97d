"""Which keys this package uses in Consul: plain segments, so that no key can become another path of the interface."""

from __future__ import annotations

import re

from airflow_provider_exia.exceptions import InvalidInput

_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+")
_LONGEST = 512


def check_key(key: str) -> str:
    """Return ``key`` if it can name a value.

    :raises InvalidInput: an empty, ``.`` or ``..`` segment, or unusual characters
    """
    segments = key.split("/") if isinstance(key, str) else []
    plain = all(_SEGMENT.fullmatch(segment) and segment not in (".", "..") for segment in segments)
    if not segments or not plain or len(key) > _LONGEST:
        raise InvalidInput(
            f"{key!r} is no key: expected segments of letters, digits, '.', '_' and '-' joined by '/', as in "
            "'training/churn/depth'"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return ``prefix``, ending in ``/``, if keys can lie below it; the empty one is everything.

    :raises InvalidInput: it is none
    """
    return f"{check_key(prefix.removesuffix('/'))}/" if prefix else ""
