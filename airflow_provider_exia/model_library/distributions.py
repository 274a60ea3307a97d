"""Installed distributions: their versions here, held against those that a model was made with."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, version

from airflow_provider_exia.model_library.exceptions import FormatRefused


class OtherEnvironment(UserWarning):
    """A model is loaded with another version of its library than it was made with."""


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution that is installed here, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def is_other_major(made_with: str, here: str) -> bool:
    """Say whether two versions differ before their first dot."""
    return made_with.partition(".")[0] != here.partition(".")[0]


def other_version(message: str, *, refuse: bool) -> None:
    """Warn of another version than the model was made with, or refuse.

    :param message: what differs
    :param refuse: whether the configuration wants no warning but an error
    :raises FormatRefused: it does
    """
    if refuse:
        raise FormatRefused(f"{message}: install the same major version, or train again")
    warnings.warn(message, OtherEnvironment, stacklevel=3)
