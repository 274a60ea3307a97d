"""Many processes on one embedded library: nothing is lost, one wins, and a run sees one version."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_exia.model_library.exceptions import AliasMoved
from airflow_provider_exia.model_library.records import Action, State
from tests.faults.works import MODEL, check_stores, library_in, publish
from tests.processes import all_at_once, at_once

ROUNDS = [3, pytest.param(40, marks=pytest.mark.full)]
READERS, READS, MOVES = 8, 13, 20  # 104 mapped tasks


def publish_many(folder: Path, index: int) -> list[int]:
    return [publish(folder, f"process-{index}-{number}").number for number in range(25)]


def test_8_processes_publish_25_versions_each_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()

    published = at_once(8, publish_many, tmp_path)

    with library_in(tmp_path) as library:
        versions = library.versions(MODEL)
        assert len(versions) == 200
        assert {version.state for version in versions} == {State.READY}
        assert {version.number for version in versions} == {number for mine in published for number in mine}
        assert all(mine == sorted(mine) for mine in published)
        check_stores(library)


def publish_same(folder: Path, _index: int) -> int:
    return publish(folder, "same").number


def test_8_processes_that_publish_the_same_work_publish_one_version(tmp_path: Path) -> None:
    published = at_once(8, publish_same, tmp_path)

    with library_in(tmp_path) as library:
        assert [version.state for version in library.versions(MODEL)] == [State.READY]
        assert set(published) == {library.versions(MODEL)[0].number}
        check_stores(library)


def promote_if_unmoved(folder: Path, expected: int, index: int) -> tuple[str, int, str]:
    with library_in(folder) as library:
        try:
            entry = library.promote(f"{MODEL}/{index % 3 + 1}", expected=expected, by=f"process {index}")
        except AliasMoved as moved:
            winner = moved.winner
            return ("lost to", winner.sequence, winner.by) if winner else ("lost to nobody", 0, "")
        return "won", entry.sequence, entry.by


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_20_racing_moves_one_wins_and_every_loser_is_told_who(tmp_path: Path, rounds: int) -> None:
    for number in (1, 2, 3):
        publish(tmp_path, f"work-{number}")

    for expected in range(rounds):
        told = at_once(20, promote_if_unmoved, tmp_path, expected)

        won = [(sequence, by) for outcome, sequence, by in told if outcome == "won"]
        assert len(won) == 1
        assert won[0][0] == expected + 1
        assert {(sequence, by) for outcome, sequence, by in told if outcome != "won"} == set(won)

    with library_in(tmp_path) as library:
        assert len(library.history(MODEL)) == rounds
        check_stores(library)


def promote_own(folder: Path, index: int) -> str:
    with library_in(folder) as library:
        try:
            return f"done {library.promote(f'{MODEL}/1', alias=f'alias_{index}').sequence}"
        except AliasMoved:
            return "refused"


def test_moves_of_different_aliases_never_refuse_each_other(tmp_path: Path) -> None:
    publish(tmp_path, "work")

    told = at_once(20, promote_own, tmp_path)

    assert sorted(told) == sorted(f"done {sequence}" for sequence in range(1, 21))
    with library_in(tmp_path) as library:
        assert len(library.aliases(MODEL)) == 20
        check_stores(library)


def roll_back_once(folder: Path, _index: int) -> int:
    with library_in(folder) as library:
        return library.rollback(MODEL, expected=library.alias(MODEL).since).version


def test_two_rollbacks_go_back_two_versions(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        publish(tmp_path, f"work-{number}")
    with library_in(tmp_path) as library:
        for number in (1, 2, 3):
            library.promote(f"{MODEL}/{number}")

    returned_to = [roll_back_once(tmp_path, 0), roll_back_once(tmp_path, 1)]

    with library_in(tmp_path) as library:
        assert returned_to == [2, 1]
        assert library.resolve(f"{MODEL}@champion").number == 1
        assert [entry.action for entry in library.history(MODEL)][:2] == [Action.ROLLBACK] * 2


def roll_back_watched(folder: Path, watching: int, _index: int) -> str:
    with library_in(folder) as library:
        try:
            return f"rolled back at {library.rollback(MODEL, expected=watching).sequence}"
        except AliasMoved:
            return "refused"


def test_of_8_rollbacks_of_one_promotion_one_is_made(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        publish(tmp_path, f"work-{number}")
    with library_in(tmp_path) as library:
        watching = [library.promote(f"{MODEL}/{number}") for number in (1, 2, 3)][-1].sequence

    told = at_once(8, roll_back_watched, tmp_path, watching)

    assert sorted(told) == ["refused"] * 7 + [f"rolled back at {watching + 1}"]
    with library_in(tmp_path) as library:
        assert library.alias(MODEL).stack == (2, 1)


def read_pinned(folder: Path) -> list[tuple[int, int]]:
    """Read as a mapped task does, each time after at least one more move of the alias."""
    seen = []
    for number in range(READS):
        with library_in(folder) as library:
            while library.alias(MODEL).since <= number:
                continue  # moves are under way in another process, and this asks until the next one is there
            pinned = library.resolve_pinned(f"{MODEL}@champion", scope="one run").number
            seen.append((pinned, library.resolve(f"{MODEL}@champion").number))
    return seen


def move_often(folder: Path) -> list[tuple[int, int]]:
    with library_in(folder) as library:
        for number in range(MOVES):
            library.promote(f"{MODEL}/{number % 3 + 1}")
    return []


def test_over_100_tasks_of_a_run_beside_20_moves_of_the_alias_see_one_version(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        publish(tmp_path, f"work-{number}")

    _, *told = all_at_once([(move_often, (tmp_path,)), *[(read_pinned, (tmp_path,))] * READERS])

    pairs = [pair for mine in told for pair in mine]
    assert len(pairs) == READERS * READS >= 100
    assert len({pinned for pinned, _ in pairs}) == 1
    with library_in(tmp_path) as library:
        assert library.alias(MODEL).since == MOVES
        check_stores(library)
