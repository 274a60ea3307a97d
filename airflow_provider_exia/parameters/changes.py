"""Which parameters changed since they were last looked at, by Consul's indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_exia.consul.keys import check_key
from airflow_provider_exia.parameters.store import ParameterStore

if TYPE_CHECKING:
    from airflow_provider_exia.consul.key_values import KeyValue
    from airflow_provider_exia.parameters.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """One parameter and all below it, in an environment and those it inherits from.

    :param store: where they lie
    :param name: of the parameter, or the prefix of several
    """

    store: ParameterStore
    name: str

    def __post_init__(self) -> None:
        check_key(self.name)

    def look(self) -> dict[str, int]:
        """Return name to Consul's index of what is there now.

        :raises ConsulUnavailable: no answer
        :raises ConsulRefused: the token may not read it
        """
        found: dict[str, int] = {}
        for layout in reversed(self.store.layouts):
            own = self.store.key_values.get(layout.value(self.name))
            below = self.store.key_values.list(layout.value(self.name))
            found |= self.indices_in(layout, (*below, *([own] if own else ())))
        return found

    def indices_in(self, layout: Layout, keys: Iterable[KeyValue]) -> dict[str, int]:
        """Return name to index of those among an environment's keys that count here."""
        own = layout.value(self.name)
        return {
            item.key.removeprefix(layout.values): item.index
            for item in keys
            if item.key == own or item.key.startswith(f"{own}/")
        }


def changed(known: Mapping[str, int], present: Mapping[str, int]) -> list[str]:
    """Return the names of what is new, was changed, or is gone."""
    return sorted(name for name in known.keys() | present.keys() if known.get(name) != present.get(name))
