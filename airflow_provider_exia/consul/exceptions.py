"""What can go wrong between this package and Consul."""

from __future__ import annotations

from airflow_provider_exia.exceptions import ExiaError


class ConsulError(ExiaError):
    """Consul could not do what was asked."""


class ConsulUnavailable(ConsulError):
    """Consul cannot be reached or is not ready; nothing was written."""


class ConsulOutcomeUnknown(ConsulError):
    """Consul gave no answer to a write: it may have happened, may happen later, or never."""


class ConsulRefused(ConsulError):
    """Consul refuses for good: no rights, too large, not understood; nothing was written."""


class ConsulConflict(ConsulError):
    """A key is no longer at the index on which the caller decided; nothing was written.

    :param keys: the keys that were changed by somebody
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        super().__init__(f"{', '.join(keys)}: changed since it was read; read again and decide again")
