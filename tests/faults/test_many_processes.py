"""Many processes on one library: nothing is lost, one wins, and a run sees one version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.exceptions import AliasMoved
from airflow_provider_exia.model_library.records import Action, Version
from tests.faults.checking import check
from tests.faults.places import EMBEDDED, PAIRS, Place, embedded, on, trial
from tests.faults.works import MODEL, publish, source_files
from tests.processes import all_at_once, at_once

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

READERS, READS, MOVES = 8, 13, 20  # 104 mapped tasks


def publish_many(place: Place, count: int, index: int) -> list[Version]:
    return [publish(place, f"process-{index}-{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("place", "each"),
    [
        trial(EMBEDDED, 25),
        *(trial(pair, 5) for pair in PAIRS[1:]),
        *(trial(pair, 25, short=False) for pair in PAIRS[1:]),
    ],
    indirect=["place"],
)
def test_8_processes_publish_at_once_and_nothing_is_lost(place: Place, each: int) -> None:
    (place.folder / "sources").mkdir()

    published = at_once(8, publish_many, place, each)

    view = check(place, *(version for mine in published for version in mine))
    assert len(view.ready) == len(view.versions) == 8 * each
    assert all(mine == sorted(mine, key=lambda version: version.number) for mine in published)


def publish_same(place: Place, _index: int) -> Version:
    return publish(place, "same")


@pytest.mark.parametrize("place", on(*PAIRS), indirect=True)
def test_8_processes_that_publish_the_same_work_publish_one_version(place: Place) -> None:
    published = at_once(8, publish_same, place)

    view = check(place, *published)
    assert len(view.versions) == 1
    assert published == [published[0]] * 8


@pytest.mark.parametrize("place", on(*PAIRS), indirect=True)
def test_16_threads_that_publish_the_same_work_publish_one_version(place: Place) -> None:
    files = source_files(place.folder, "same")
    together = Barrier(16)

    def publish_in_thread(library: ModelLibrary) -> Version:
        together.wait(60)
        return library.publish(MODEL, files, format="json", work="same")

    with place.open() as library, ThreadPoolExecutor(16) as threads:
        published = list(threads.map(publish_in_thread, [library] * 16))

    assert published == [published[0]] * 16
    assert len(check(place, published[0]).versions) == 1


def promote_if_unmoved(place: Place, expected: int, index: int) -> tuple[str, int, str]:
    with place.open() as library:
        try:
            entry = library.promote(f"{MODEL}/{index % 3 + 1}", expected=expected, by=f"process {index}")
        except AliasMoved as moved:
            winner = moved.winner
            return ("lost to", winner.sequence, winner.by) if winner else ("lost to nobody", 0, "")
        return "won", entry.sequence, entry.by


@pytest.mark.parametrize(
    ("place", "rounds"),
    [trial(EMBEDDED, 3), trial(EMBEDDED, 40, short=False)]
    + [trial(pair, rounds, short=rounds == 1) for pair in PAIRS[1:] for rounds in (1, 10)],
    indirect=["place"],
)
def test_of_20_racing_moves_one_wins_and_every_loser_is_told_who(place: Place, rounds: int) -> None:
    for number in (1, 2, 3):
        publish(place, f"work-{number}")

    for expected in range(rounds):
        told = at_once(20, promote_if_unmoved, place, expected)

        won = [(sequence, by) for outcome, sequence, by in told if outcome == "won"]
        assert len(won) == 1
        assert won[0][0] == expected + 1
        assert {(sequence, by) for outcome, sequence, by in told if outcome != "won"} == set(won)

    assert len(check(place).journal) == rounds


def promote_own(place: Place, index: int) -> str:
    with place.open() as library:
        try:
            return f"done {library.promote(f'{MODEL}/1', alias=f'alias_{index}').sequence}"
        except AliasMoved:
            return "refused"


def test_moves_of_different_aliases_never_refuse_each_other(tmp_path: Path) -> None:
    place = embedded(tmp_path)
    publish(place, "work")

    told = at_once(20, promote_own, place)

    assert sorted(told) == sorted(f"done {sequence}" for sequence in range(1, 21))
    with place.open() as library:
        assert len(library.aliases(MODEL)) == 20
    check(place)


def roll_back_once(place: Place, _index: int) -> int:
    with place.open() as library:
        return library.rollback(MODEL, expected=library.alias(MODEL).since).version


def test_two_rollbacks_go_back_two_versions(tmp_path: Path) -> None:
    place = embedded(tmp_path)
    for number in (1, 2, 3):
        publish(place, f"work-{number}")
    with place.open() as library:
        for number in (1, 2, 3):
            library.promote(f"{MODEL}/{number}")

    returned_to = [roll_back_once(place, 0), roll_back_once(place, 1)]

    with place.open() as library:
        assert returned_to == [2, 1]
        assert library.resolve(f"{MODEL}@champion").number == 1
        assert [entry.action for entry in library.history(MODEL)][:2] == [Action.ROLLBACK] * 2


def roll_back_watched(place: Place, watching: int, _index: int) -> str:
    with place.open() as library:
        try:
            return f"rolled back at {library.rollback(MODEL, expected=watching).sequence}"
        except AliasMoved:
            return "refused"


def test_of_8_rollbacks_of_one_promotion_one_is_made(tmp_path: Path) -> None:
    place = embedded(tmp_path)
    for number in (1, 2, 3):
        publish(place, f"work-{number}")
    with place.open() as library:
        watching = [library.promote(f"{MODEL}/{number}") for number in (1, 2, 3)][-1].sequence

    told = at_once(8, roll_back_watched, place, watching)

    assert sorted(told) == ["refused"] * 7 + [f"rolled back at {watching + 1}"]
    with place.open() as library:
        assert library.alias(MODEL).stack == (2, 1)


def read_pinned(place: Place) -> list[tuple[int, int]]:
    """Read as a mapped task does, each time after at least one more move of the alias."""
    seen = []
    for number in range(READS):
        with place.open() as library:
            while library.alias(MODEL).since <= number:
                continue  # moves are under way in another process, and this asks until the next one is there
            pinned = library.resolve_pinned(f"{MODEL}@champion", scope="one run").number
            seen.append((pinned, library.resolve(f"{MODEL}@champion").number))
    return seen


def move_often(place: Place) -> list[tuple[int, int]]:
    with place.open() as library:
        for number in range(MOVES):
            library.promote(f"{MODEL}/{number % 3 + 1}")
    return []


def test_over_100_tasks_of_a_run_beside_20_moves_of_the_alias_see_one_version(tmp_path: Path) -> None:
    place = embedded(tmp_path)
    for number in (1, 2, 3):
        publish(place, f"work-{number}")

    _, *told = all_at_once([(move_often, (place,)), *[(read_pinned, (place,))] * READERS])

    pairs = [pair for mine in told for pair in mine]
    assert len(pairs) == READERS * READS >= 100
    assert len({pinned for pinned, _ in pairs}) == 1
    with place.open() as library:
        assert library.alias(MODEL).since == MOVES
    check(place)
