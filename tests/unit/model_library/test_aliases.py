"""The rules of promote, roll back, retire and restore."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import (
    AliasMoved,
    ModelLibraryError,
    NothingToRollBackTo,
    NotRetired,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    VersionCollected,
    VersionIsLive,
    VersionNotReady,
    VersionRetired,
)
from airflow_provider_exia.model_library.journal import Change, Operation, Signing, append
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.records import VERSIONS, Action, AliasState, JournalEntry, State, Version
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.storage.codec import to_document
from tests.simulation.stores import Memory, SimulatedBlobs, SimulatedDocuments
from tests.unit.model_library.conftest import START, ManualClock, Publish
from tests.unit.model_library.test_resolving import set_state


@pytest.fixture
def four(publish: Publish) -> list[Version]:
    """Versions 1 to 4."""
    return [publish() for _ in range(4)]


def stack(library: ModelLibrary, alias: str = "champion") -> tuple[int, ...]:
    return library.alias("delay", alias).stack


@pytest.mark.usefixtures("four")
def test_a_promoted_version_is_live_and_the_one_before_is_below_it(library: ModelLibrary) -> None:
    first = library.promote("delay/1", reason="better")
    second = library.promote("delay/2")

    assert (first.action, first.version, first.alias, first.reason) == (Action.PROMOTE, 1, "champion", "better")
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.aliases == {"champion": AliasState(since=2, stack=(2, 1))}
    assert library.resolve("delay@champion").number == 2


@pytest.mark.usefixtures("four")
def test_two_rollbacks_in_a_row_go_back_two_versions(library: ModelLibrary) -> None:
    for number in (1, 2, 3):
        library.promote(f"delay/{number}")

    entries = [library.rollback("delay"), library.rollback("delay")]

    assert [(entry.action, entry.version) for entry in entries] == [(Action.ROLLBACK, 2), (Action.ROLLBACK, 1)]
    assert library.resolve("delay@champion").number == 1


@pytest.mark.usefixtures("four")
def test_a_rollback_never_returns_to_what_was_rolled_back_from(library: ModelLibrary) -> None:
    for number in (1, 2, 3):
        library.promote(f"delay/{number}")
    library.rollback("delay")

    library.promote("delay/4")
    library.rollback("delay")

    assert stack(library) == (2, 1)


@pytest.mark.usefixtures("four")
def test_a_rollback_is_undone_by_promoting(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/2")
    library.rollback("delay")

    library.promote("delay/2")

    assert stack(library) == (2, 1)


@pytest.mark.usefixtures("four")
def test_there_is_nothing_below_the_first_version(library: ModelLibrary) -> None:
    library.promote("delay/1")

    with pytest.raises(
        NothingToRollBackTo, match="'champion' of 'delay' has no earlier version to go back to: promote"
    ):
        library.rollback("delay")

    assert len(library.history("delay")) == 1


@pytest.mark.usefixtures("four")
def test_an_alias_that_was_never_set_cannot_be_rolled_back(library: ModelLibrary) -> None:
    library.promote("delay/1", alias="shadow")

    with pytest.raises(UnknownAlias, match="it has shadow"):
        library.rollback("delay", alias="champion")


@pytest.mark.usefixtures("four")
def test_promoting_the_live_version_again_changes_no_stack_but_is_a_move(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/2")

    entry = library.promote("delay/2")

    assert entry.aliases["champion"] == AliasState(since=3, stack=(2, 1))


@pytest.mark.usefixtures("four")
def test_promoting_an_earlier_version_lifts_it_out_of_the_stack(library: ModelLibrary) -> None:
    for number in (1, 2, 3):
        library.promote(f"delay/{number}")

    library.promote("delay/1")

    assert stack(library) == (1, 3, 2)


@pytest.mark.usefixtures("four")
def test_the_oldest_drops_off_a_full_stack(library: ModelLibrary) -> None:
    short = ModelLibrary(library.resources, by="ann", history_window=2)

    for number in (1, 2, 3):
        short.promote(f"delay/{number}")

    assert stack(library) == (3, 2)


@pytest.mark.usefixtures("four")
def test_aliases_move_apart(library: ModelLibrary) -> None:
    library.promote("delay/1", alias="champion")
    library.promote("delay/2", alias="shadow")
    library.promote("delay/3", alias="champion")

    library.rollback("delay", alias="champion")

    assert library.aliases("delay") == {
        "champion": AliasState(since=4, stack=(1,)),
        "shadow": AliasState(since=2, stack=(2,)),
    }


# A decision that has become stale.


@pytest.mark.usefixtures("four")
def test_a_stale_decision_is_refused_and_told_who_won(library: ModelLibrary) -> None:
    library.promote("delay/1", by="ann")
    seen = library.alias("delay").since
    winner = library.promote("delay/2", by="bob")

    with pytest.raises(AliasMoved) as refused:
        library.promote("delay/3", expected=seen)

    assert refused.value.winner == winner
    assert str(refused.value) == (
        "alias 'champion' of 'delay' is at move 2 (version 2, promote by bob), not at move 1 as it was when this was "
        "decided: look again ('exia history delay') before moving it"
    )
    assert stack(library) == (2, 1)


@pytest.mark.usefixtures("four")
def test_a_stale_rollback_is_refused(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/2")
    watching = library.alias("delay").since
    person = library.promote("delay/3", by="a person")

    with pytest.raises(AliasMoved) as refused:
        library.rollback("delay", expected=watching)

    assert refused.value.winner == person
    assert stack(library) == (3, 2, 1)


@pytest.mark.usefixtures("four")
def test_expecting_an_alias_that_is_not_set_yet_is_a_condition_too(library: ModelLibrary) -> None:
    winner = library.promote("delay/1", expected=0)

    with pytest.raises(AliasMoved) as refused:
        library.promote("delay/2", expected=0)

    assert refused.value.winner == winner


@pytest.mark.usefixtures("four")
def test_expecting_a_move_of_an_alias_that_never_moved_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(AliasMoved, match="alias 'champion' of 'delay' is not set, not at move 3") as refused:
        library.promote("delay/1", expected=3)

    assert refused.value.winner is None


@pytest.mark.usefixtures("four")
def test_what_moves_other_aliases_or_retires_others_makes_no_decision_stale(library: ModelLibrary) -> None:
    library.promote("delay/1")
    seen = library.alias("delay").since
    library.promote("delay/2", alias="shadow")
    library.retire("delay/3")

    entry = library.promote("delay/4", expected=seen)

    assert entry.version == 4


# What can be promoted.


@pytest.mark.usefixtures("four")
def test_a_version_that_is_not_there_cannot_be_promoted(library: ModelLibrary) -> None:
    with pytest.raises(UnknownVersion, match="no version delay/9"):
        library.promote("delay/9")


@pytest.mark.parametrize("call", ["promote", "retire"])
def test_a_version_that_is_not_published_can_be_neither_promoted_nor_retired(
    library: ModelLibrary, four: list[Version], call: str
) -> None:
    set_state(library, four[1], State.PENDING)

    with pytest.raises(VersionNotReady, match="delay/2 is not published"):
        getattr(library, call)("delay/2")

    assert library.history("delay") == []


@pytest.mark.usefixtures("four")
def test_a_retired_version_cannot_be_promoted_until_it_is_restored(library: ModelLibrary) -> None:
    library.retire("delay/2")
    with pytest.raises(VersionRetired, match=r"delay/2 is out of use .*retire\): restore it first"):
        library.promote("delay/2")

    library.restore("delay/2")

    assert library.promote("delay/2").version == 2


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("reference", ["delay@shadow", "delay@latest"])
def test_what_a_reference_means_now_is_promoted(library: ModelLibrary, reference: str) -> None:
    library.promote("delay/4", alias="shadow")

    entry = library.promote(reference)

    assert (entry.alias, entry.version) == ("champion", 4)


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("alias", ["latest", "Champion", "", "a b"])
def test_what_is_no_alias_is_refused_by_every_move(library: ModelLibrary, alias: str) -> None:
    for call in (lambda: library.promote("delay/1", alias=alias), lambda: library.rollback("delay", alias=alias)):
        with pytest.raises(InvalidInput, match="is no alias"):
            call()

    assert library.history("delay") == []


# Retire and restore.


@pytest.mark.usefixtures("four")
def test_a_live_version_cannot_be_retired(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/1", alias="shadow")

    with pytest.raises(VersionIsLive, match="delay/1 is live as champion, shadow: move that alias before") as refused:
        library.retire("delay/1")

    assert refused.value.aliases == ("champion", "shadow")


@pytest.mark.usefixtures("four")
def test_a_retired_version_leaves_every_stack_and_rollback_goes_past_it(library: ModelLibrary) -> None:
    for number in (1, 2, 3):
        library.promote(f"delay/{number}")
        library.promote(f"delay/{number}", alias="shadow")

    entry = library.retire("delay/2", reason="biased")

    assert (entry.action, entry.version, entry.alias, entry.reason) == (Action.RETIRE, 2, None, "biased")
    assert (stack(library), stack(library, "shadow")) == ((3, 1), (3, 1))
    assert entry.aliases["champion"].since == 5
    assert library.rollback("delay").version == 1


@pytest.mark.usefixtures("four")
def test_a_restored_version_can_be_used_again_but_returns_to_no_stack(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/2")
    library.retire("delay/1")

    entry = library.restore("delay/1")

    assert entry.action is Action.RESTORE
    assert stack(library) == (2,)
    assert library.retired("delay") == set()


@pytest.mark.usefixtures("four")
def test_a_version_cannot_be_retired_twice(library: ModelLibrary) -> None:
    library.retire("delay/2")

    with pytest.raises(VersionRetired):
        library.retire("delay/2")

    assert len(library.history("delay")) == 1


@pytest.mark.usefixtures("four")
def test_only_a_retired_version_can_be_restored(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.retire("delay/2")
    library.restore("delay/2")

    for reference in ("delay/1", "delay/2", "delay/3", "delay/9"):
        with pytest.raises(NotRetired, match=f"{reference} is not retired: there is nothing to restore"):
            library.restore(reference)


def collect(library: ModelLibrary, version: Version) -> None:
    """Do what a garbage collection does to a retired version."""

    def decide(newest: JournalEntry | None, _expected: int | None) -> Change:
        assert newest is not None
        return Change(version=version.number, aliases=newest.aliases)

    collection = Operation(action=Action.COLLECT, version=version.number, decide=decide)
    append(library.resources, version.model, collection, Signing(by="collector", token=f"collect {version.number}"))
    set_state(library, version, State.COLLECTED)


def test_a_collected_version_can_be_neither_promoted_nor_retired_nor_restored(
    library: ModelLibrary, four: list[Version]
) -> None:
    library.retire("delay/2")
    collect(library, four[1])

    for call, error in (
        (library.promote, VersionRetired),
        (library.retire, VersionRetired),
        (library.restore, VersionCollected),
    ):
        with pytest.raises(error, match=r"delay/2 .*(its files are gone|its files were collected)"):
            call("delay/2")

    assert library.retired("delay") == {2}


def test_nothing_can_be_done_to_a_model_that_nobody_published(library: ModelLibrary) -> None:
    calls: list[Callable[[], object]] = [
        lambda: library.promote("nothing/1"),
        lambda: library.promote("nothing@latest"),
        lambda: library.rollback("nothing"),
        lambda: library.retire("nothing/1"),
        lambda: library.restore("nothing/1"),
        lambda: library.history("nothing"),
        lambda: library.versions("nothing"),
    ]

    for call in calls:
        with pytest.raises(UnknownModel, match="no model 'nothing'"):
            call()


# Any sequence of moves, against a model of the rules that is written down another way.

NUMBERS = st.integers(1, 5)
ALIASES = st.sampled_from(["champion", "shadow"])


class AnySequenceOfMoves(RuleBasedStateMachine):
    """The library beside plain lists: stacks whose last element is live."""

    def __init__(self) -> None:
        super().__init__()
        memory = Memory()
        tokens = iter(range(10**9))
        self.library = ModelLibrary(
            Resources(
                documents=SimulatedDocuments(memory),
                blobs=SimulatedBlobs(memory),
                new_token=lambda: f"token-{next(tokens)}",
                clock=ManualClock(),
            ),
            by="ann",
        )
        for number in range(1, 6):
            version = Version(
                model="delay",
                number=number,
                publication=f"p{number}",
                work=f"w{number}",
                digest="d",
                format="json",
                files=(),
                state=State.READY,
                created_at=START,
            )
            self.library.resources.documents.insert(VERSIONS, to_document(version))
        self.stacks: dict[str, list[int]] = {}
        self.retired: set[int] = set()
        self.moves = 0

    def _try(self, call: Callable[[], object], *, allowed: bool) -> bool:
        try:
            call()
        except ModelLibraryError:
            assert not allowed
            return False
        assert allowed
        self.moves += 1
        return True

    @rule(number=NUMBERS, alias=ALIASES)
    def promote(self, number: int, alias: str) -> None:
        if self._try(lambda: self.library.promote(f"delay/{number}", alias=alias), allowed=number not in self.retired):
            below = [other for other in self.stacks.get(alias, []) if other != number]
            self.stacks[alias] = [*below, number]

    @rule(alias=ALIASES)
    def rollback(self, alias: str) -> None:
        there = self.stacks.get(alias, [])
        if self._try(lambda: self.library.rollback("delay", alias=alias), allowed=len(there) > 1):
            there.pop()

    @rule(number=NUMBERS)
    def retire(self, number: int) -> None:
        live = {there[-1] for there in self.stacks.values()}
        if self._try(lambda: self.library.retire(f"delay/{number}"), allowed=number not in live | self.retired):
            self.retired.add(number)
            for there in self.stacks.values():
                there[:] = [other for other in there if other != number]

    @rule(number=NUMBERS)
    def restore(self, number: int) -> None:
        if self._try(lambda: self.library.restore(f"delay/{number}"), allowed=number in self.retired):
            self.retired.remove(number)

    @invariant()
    def the_library_says_the_same(self) -> None:
        aliases = self.library.aliases("delay")
        assert {name: list(state.stack[::-1]) for name, state in aliases.items()} == self.stacks
        assert self.library.retired("delay") == self.retired
        history = self.library.history("delay")
        assert [entry.sequence for entry in history] == list(range(self.moves, 0, -1))
        for name, state in aliases.items():
            assert state.since == max(entry.sequence for entry in history if entry.alias == name)


TestAnySequenceOfMoves = AnySequenceOfMoves.TestCase
TestAnySequenceOfMoves.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
