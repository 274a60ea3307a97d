"""What the demo tells: events of the model's life, and the weeks that its versions served."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the model.

    :param week: of 2013
    :param action: ``published``, ``promoted``, ``refused``, ``forced`` or ``rolled back``
    :param version: the version's number
    :param detail: the numbers, in words
    """

    week: int
    action: str
    version: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week that was predicted.

    :param week: of 2013
    :param version: the version that served
    :param brier: mean squared error of its probabilities
    """

    week: int
    version: int
    brier: float


@dataclass(slots=True)
class Story:
    """What happened, in order."""

    events: list[Event] = field(default_factory=list)
    weeks: list[Week] = field(default_factory=list)

    def add(self, happening: Event | Week) -> None:
        """Add what happened next."""
        if isinstance(happening, Event):
            self.events.append(happening)
        else:
            self.weeks.append(happening)
