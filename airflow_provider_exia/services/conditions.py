"""What one can wait for: enough instances that pass, and a version that is really served. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.services.records import check_service_name

if TYPE_CHECKING:
    from airflow_provider_exia.services.registry import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCondition:
    """Enough instances of a service pass their checks.

    :param service: its name
    :param at_least: how many instances
    :param version: only those count whose meta ``version`` is this
    """

    service: str
    at_least: int = 1
    version: str | None = None

    def __post_init__(self) -> None:
        _check(self.service, self.at_least)

    def met_by(self, services: Services) -> list[str] | None:
        """Return the ids of the instances that count, or None while there are too few."""
        found = services.passing(self.service, version=self.version)
        return [item.service_id for item in found] if len(found) >= self.at_least else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCondition:
    """Enough instances of a service pass and serve a version, and none passes that serves another one.

    :param service: its name
    :param at_least: how many instances
    """

    service: str
    at_least: int = 1

    def __post_init__(self) -> None:
        _check(self.service, self.at_least)

    def met_by(self, services: Services, reference: str) -> bool:
        """Say whether ``reference``, as in ``churn/4``, is what is served."""
        served = [item.reference for item in services.passing(self.service)]
        return len(served) >= self.at_least and set(served) == {reference}


def _check(service: str, at_least: int) -> None:
    check_service_name(service)
    if at_least < 1:
        raise InvalidInput(f"at_least is {at_least}: expected one instance or more")
