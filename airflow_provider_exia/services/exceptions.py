"""What can go wrong with services."""

from __future__ import annotations

from airflow_provider_exia.exceptions import ExiaError


class UnknownService(ExiaError, LookupError):
    """The agent that was asked knows no such service or check."""


class NothingPasses(ExiaError):
    """No instance of a service passes its checks, or none of the version that was asked for."""
