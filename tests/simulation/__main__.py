"""``python -m tests.simulation``: everything, a table per pair and one last line; or one run again.

``--pair NAME`` explores one scenario, ``--pair NAME --seed N`` repeats a random run, ``--pair NAME --choices 0.2.1``
repeats any run; ``--guard NAME`` takes one guard away and shows the run that breaks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from tests.simulation.catalogue import AT_RANDOM, IN_EVERY_ORDER, SCENARIOS, prepare
from tests.simulation.explorer import Finding, Report, again, at_random, explore
from tests.simulation.hunting import MUTATIONS, hunt

SEEDS = range(2000)
_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    :param name: of the scenario or guard
    :param schedules: runs
    :param note: states seen, or what broke
    :param seconds: how long it took
    :param finding: text of a violation, or empty
    """

    name: str
    schedules: int
    note: str
    seconds: float
    finding: str = ""


def explored(name: str) -> Row:
    """Explore a scenario."""
    began = time.monotonic()
    report = explore(SCENARIOS[name])
    finding = report.findings[0].text(replay_of(name, report.findings[0])) if report.findings else ""
    note = f"{report.states} states, {_endings(report)}"
    return Row(name, report.schedules, note, time.monotonic() - began, finding)


def drawn(name: str, seeds: Sequence[int] = SEEDS) -> Row:
    """Go as many random ways as there are seeds."""
    began = time.monotonic()
    for count, seed in enumerate(seeds, 1):
        if finding := at_random(SCENARIOS[name], seed):
            text = finding.text(f"python -m tests.simulation --pair '{name}' --seed {seed}")
            return Row(name, count, f"seed {seed}", time.monotonic() - began, text)
    return Row(name, len(seeds), f"seeds {seeds[0]} to {seeds[-1]}", time.monotonic() - began)


def hunted(number: int) -> Row:
    """Take a guard away and look for what breaks."""
    mutation, began = MUTATIONS[number], time.monotonic()
    report = hunt(mutation)
    if not report.findings:
        finding = f"nothing breaks {mutation.breaks} without the guard {mutation.guard!r} in {mutation.scenario!r}"
        return Row(mutation.guard, report.schedules, "not caught", time.monotonic() - began, finding)
    broken = next(each for each in report.findings[0].violations if each.invariant == mutation.breaks)
    return Row(mutation.guard, report.schedules, str(broken)[:100], time.monotonic() - began)


def replay_of(name: str, finding: Finding) -> str:
    """Return the command that repeats a run."""
    return f"python -m tests.simulation --pair '{name}' --choices {'.'.join(map(str, finding.choices))}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 0 if everything holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--pair", choices=sorted(SCENARIOS), metavar="NAME", help="one scenario only")
    parser.add_argument("--seed", type=int, help="repeat the random run of this seed")
    parser.add_argument("--choices", help="repeat a run: its choices, joined by dots")
    guards = [mutation.guard for mutation in MUTATIONS]
    parser.add_argument("--guard", choices=guards, metavar="NAME", help="take this guard away")
    options = parser.parse_args(arguments)
    if options.guard is not None:
        return _without(guards.index(options.guard))
    if options.pair is None:
        return _everything()
    return _one(options.pair, options.seed, options.choices)


def last_line(rows: Sequence[Row], guards: Sequence[Row]) -> str:
    """Sum up."""
    schedules = sum(row.schedules for row in (*rows, *guards))
    violations = sum(1 for row in rows if row.finding)
    caught = sum(1 for row in guards if not row.finding)
    return f"simulation: {schedules} schedules, {violations} violations, {caught}/{len(guards)} guards caught"


def _without(number: int) -> int:
    report = hunt(MUTATIONS[number])
    for finding in report.findings:
        print(finding.text(f"python -m tests.simulation --guard '{MUTATIONS[number].guard}'"))
    return 0 if report.findings else 1


def _one(name: str, seed: int | None, choices: str | None) -> int:
    if choices is not None:
        finding = again(SCENARIOS[name], [int(choice) for choice in choices.split(".")])
        text = finding.text(replay_of(name, finding)) if finding else ""
    elif seed is not None:
        text = drawn(name, [seed]).finding
    else:
        row = explored(name)
        _show(row)
        text = row.finding
    print(text or f"{name}: nothing broke")
    return 1 if text else 0


def _everything() -> int:
    jobs = [
        *(partial(explored, scenario.name) for scenario in IN_EVERY_ORDER),
        *(partial(drawn, scenario.name) for scenario in AT_RANDOM),
    ]
    prepare()
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("fork")) as pool:
        rows = _shown(pool, jobs)
        print()
        guards = _shown(pool, [partial(hunted, number) for number in range(len(MUTATIONS))])
    findings = [row.finding for row in (*rows, *guards) if row.finding]
    print("\n".join(["", *findings]))
    print(last_line(rows, guards))
    return 1 if findings else 0


def _shown(pool: ProcessPoolExecutor, jobs: Sequence[partial[Row]]) -> list[Row]:
    rows = []
    for future in [pool.submit(job) for job in jobs]:
        rows.append(future.result())
        _show(rows[-1])
    return rows


def _show(row: Row) -> None:
    print(f"{row.name:60} {row.schedules:7} runs {row.seconds:6.1f} s  {row.note}", flush=True)


def _endings(report: Report) -> str:
    return ", ".join(f"{count} ends {'+'.join(kinds)}" for kinds, count in sorted(report.endings.items()))


if __name__ == "__main__":
    sys.exit(main())
