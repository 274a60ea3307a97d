"""Every way a scenario can go, depth first; or one way, drawn from a seed; or one way, repeated.

A run cannot be copied in the middle, so each way is run from its start with a longer list of choices. A way is left
when the state it reached was reached before: same stores, same replies to each actor, same requests put aside.

Why an explorer of our own: frontrun 0.7 (MPL-2.0, alpha) explores interleavings well, but at the level of byte code or
of marked lines, with real threads that cannot be killed; what becomes of a write (no answer, late, death) is no choice
of its. Hypothesis draws such choices but covers them at random, which says nothing about what it did not draw.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.fairness import fair_violations
from tests.simulation.invariants import (
    View,
    Violation,
    actor_violations,
    content_violations,
    step_violations,
    view_of,
)
from tests.simulation.scheduler import Choice, Fate, Run

if TYPE_CHECKING:
    from tests.simulation.scenarios import Scenario

_CHANCE_OF_A_FAULT = 0.15


@dataclass(frozen=True, slots=True)
class Finding:
    """A run that broke something.

    :param violations: what is wrong after its last step
    :param choices: number of the option taken at each step: the run, to be repeated
    :param trace: actor, call, what became of it
    """

    violations: tuple[Violation, ...]
    choices: tuple[int, ...]
    trace: tuple[tuple[str, str, str], ...]

    def text(self, replay: str) -> str:
        """Say what happened.

        :param replay: the command that repeats it
        """
        lines = [f"{number:3}. {actor}: {call} -> {seen}" for number, (actor, call, seen) in enumerate(self.trace, 1)]
        return "\n".join((*lines, *(f"     {violation}" for violation in self.violations), f"     again: {replay}"))


@dataclass(slots=True)
class Report:
    """What an exploration saw.

    :param schedules: runs
    :param states: different states
    :param findings: runs that broke something
    :param endings: in how many different states all actors had ended, by how they ended
    """

    schedules: int = 0
    states: int = 0
    findings: list[Finding] = field(default_factory=list)
    endings: Counter[tuple[str, ...]] = field(default_factory=Counter)


class _Checker:
    """Checks each step, and each content of the stores only once."""

    def __init__(self, scenario: Scenario) -> None:
        self.start = view_of(scenario.memory())
        self._contents: dict[Hashable, tuple[View, tuple[Violation, ...]]] = {}
        self._ends: dict[Hashable, tuple[Violation, ...]] = {}

    def look(self, run: Run) -> tuple[View, tuple[Violation, ...]]:
        """Read the stores and check their content."""
        content = run.memory.content()
        if content not in self._contents:
            view = view_of(run.memory)
            self._contents[content] = view, tuple(content_violations(view, self.start))
        return self._contents[content]

    def step(self, run: Run, choice: Choice) -> tuple[Violation, ...]:
        """Take a step and check it."""
        before, _ = self.look(run)
        run.take(choice)
        after, wrong = self.look(run)
        changed = () if after is before else tuple(step_violations(before, after))
        endless = (Violation("I9", "an operation does not end"),) if run.too_long else ()
        unfinished = self._unfinished(run) if run.is_idle and not wrong else ()
        return (*wrong, *changed, *actor_violations(after, self.start, run.actors), *endless, *unfinished)

    def _unfinished(self, run: Run) -> tuple[Violation, ...]:
        """Return what is not put right by evaluations that nothing disturbs any more."""
        content = run.memory.content()
        if content not in self._ends:
            self._ends[content] = tuple(fair_violations(run.memory, self.start))
        return self._ends[content]


Wanted = Callable[[tuple[Violation, ...]], bool]


def explore(scenario: Scenario, *, wanted: Wanted = bool) -> Report:
    """Go every way; stop at the first finding.

    :param wanted: says whether violations are a finding; a run with others just ends there
    """
    report, checker, seen = Report(), _Checker(scenario), set[Hashable]()
    known: dict[Hashable, int] = {}
    path: list[_Fork] = []
    while True:
        with Run(scenario.memory(), scenario.operations, scenario.rules, known) as run:
            _go(run, path, checker, seen, wanted, report)
        report.schedules += 1
        while path and not path[-1].advance():
            path.pop()
        if report.findings or not path:
            break
    report.states = len(seen)
    return report


@dataclass(slots=True)
class _Fork:
    """A step of the current way and the options that were not tried yet."""

    options: Sequence[Choice]
    taken: int = 0

    def advance(self) -> bool:
        """Turn to the next option; False if there is none."""
        self.taken += 1
        return self.taken < len(self.options)


def _go(run: Run, path: list[_Fork], checker: _Checker, seen: set[Hashable], wanted: Wanted, report: Report) -> None:
    """Run the choices of ``path``, the last of which is new, then on to an end or to a state that was seen."""
    for fork in path[:-1]:
        run.take(fork.options[fork.taken])
    if not path:
        options = run.options()
        path.append(_Fork(options))
    while True:
        fork = path[-1]
        violations = checker.step(run, fork.options[fork.taken])
        if violations:
            if wanted(violations):
                choices = tuple(each.taken for each in path)
                report.findings.append(Finding(violations, choices, tuple(run.trace)))
            return
        state = run.state()
        if state in seen:
            return
        seen.add(state)
        options = run.options()
        if run.is_idle:
            report.endings[_ending(run)] += 1
        if not options:
            return
        path.append(_Fork(options))


def at_random(scenario: Scenario, seed: int) -> Finding | None:
    """Go one way, drawn from a seed."""
    dice = random.Random(f"{scenario.name} {seed}")

    def draw(options: Sequence[Choice]) -> int:
        usual = [number for number, option in enumerate(options) if option.fate in (Fate.REPLY, Fate.LAND)]
        faults = [number for number in range(len(options)) if number not in usual]
        return dice.choice(faults if faults and (not usual or dice.random() < _CHANCE_OF_A_FAULT) else usual)

    return _one_way(scenario, draw)


def again(scenario: Scenario, choices: Sequence[int]) -> Finding | None:
    """Go a known way once more."""
    left = iter(choices)
    return _one_way(scenario, lambda _options: next(left, None))


def _one_way(scenario: Scenario, choose: Callable[[Sequence[Choice]], int | None]) -> Finding | None:
    checker = _Checker(scenario)
    choices: list[int] = []
    with Run(scenario.memory(), scenario.operations, scenario.rules) as run:
        while options := run.options():
            choice = choose(options)
            if choice is None or choice >= len(options):
                break  # the end of a way that was written down, or one that the code no longer has
            choices.append(choice)
            if violations := checker.step(run, options[choice]):
                return Finding(violations, tuple(choices), tuple(run.trace))
    return None


def _ending(run: Run) -> tuple[str, ...]:
    return tuple(actor.outcome.kind.value if actor.outcome else "waiting" for actor in run.actors)
