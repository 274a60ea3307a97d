"""What one can wait for in a model library: an alias that names a version, or another one. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.names import CHAMPION, check_alias, check_model_name, parse_reference

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasCondition:
    """An alias that names a version.

    :param model: the model's name
    :param alias: the alias
    :param other_than: a numbered reference that does not count, as in ``churn/3``; None: any version will do
    :raises InvalidInput: a name cannot be one, or ``other_than`` is no version of the model
    """

    model: str
    alias: str = CHAMPION
    other_than: str | None = None

    def __post_init__(self) -> None:
        check_model_name(self.model)
        check_alias(self.alias)
        if self.other_than is None:
            return
        excluded = parse_reference(self.other_than)
        if excluded.model != self.model or excluded.number is None:
            raise InvalidInput(
                f"other_than is {self.other_than!r}: expected a version of {self.model!r} by its number, as in "
                f"'{self.model}/3'"
            )

    def met_by(self, library: ModelLibrary) -> str | None:
        """Return the version that the alias names, as a numbered reference, or None while the wait goes on."""
        state = library.alias(self.model, self.alias)
        if not state.stack:
            return None
        reference = f"{self.model}/{state.live}"
        return None if reference == self.other_than else reference
