"""What the demo tells: what happened to the model, and how each week was scored."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the model.

    :param week: of 2013
    :param action: in a word or two
    :param version: number of the version it is about
    :param detail: the numbers, in words
    """

    week: int
    action: str
    version: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A week that was predicted and watched.

    :param week: of 2013
    :param version: number of the version that served
    :param brier: its mean squared error; None where nobody heard what became of the flights
    :param state: of the monitor after the week's evaluation
    :param blind: whether it has heard nothing for too long
    """

    week: int
    version: int
    brier: float | None
    state: str
    blind: bool = False


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
