"""Which parameters changed since they were last looked at, by Consul's indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_exia.consul.keys import check_key
from airflow_provider_exia.parameters.store import ParameterStore

if TYPE_CHECKING:
    from airflow_provider_exia.consul.key_values import KeyValue


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

    @property
    def watched(self) -> str:
        """The prefix to watch: that of all environments, so that all who wait share one watcher."""
        return f"{self.store.root}/values/"

    def look(self) -> dict[str, int]:
        """Return name to index of what is there now."""
        found = [item for layout in self.store.layouts for item in self.store.key_values.list(layout.values)]
        return self.indices_in(found)

    def indices_in(self, keys: Iterable[KeyValue]) -> dict[str, int]:
        """Return name to index of those among some keys that count here, inherited ones included."""
        seen = {item.key: item.index for item in keys}
        found: dict[str, int] = {}
        for layout in reversed(self.store.layouts):
            own = layout.value(self.name)
            found |= {
                key.removeprefix(layout.values): index
                for key, index in seen.items()
                if key == own or key.startswith(f"{own}/")
            }
        return found


def changed(known: Mapping[str, int], present: Mapping[str, int]) -> list[str]:
    """Return the names of what is new, was changed, or is gone."""
    return sorted(name for name in known.keys() | present.keys() if known.get(name) != present.get(name))
