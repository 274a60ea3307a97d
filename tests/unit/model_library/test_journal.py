"""One journal per model: an entry is appended once per token, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import AliasMoved, MoveRefused, TokenTaken, VersionRetired
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.records import MODEL_JOURNAL, JournalEntry, Version
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import StoreUnavailable, WriteConflict, WriteUnknown
from tests.unit.model_library.conftest import START, ManualClock, Publish
from tests.unit.model_library.test_publishing import Wrapped


@pytest.fixture(autouse=True)
def three(publish: Publish) -> list[Version]:
    """Versions 1 to 3."""
    return [publish() for _ in range(3)]


def with_insert(library: ModelLibrary, insert: Any, **changes: Any) -> ModelLibrary:
    """The same library over a store whose inserts are answered otherwise."""
    documents = Wrapped(library.resources.documents, insert=insert)
    return ModelLibrary(replace(library.resources, documents=documents, **changes), by="ann")


def test_a_repetition_with_the_same_token_finds_its_own_entry(library: ModelLibrary) -> None:
    first = library.promote("delay/1", token="task-1 promote")
    library.promote("delay/2")

    again = library.promote("delay/1", token="task-1 promote")

    assert again == first
    assert library.resolve("delay@champion").number == 2
    assert len(library.history("delay")) == 2


def test_a_repetition_is_not_refused_though_things_have_changed_since(library: ModelLibrary) -> None:
    done = library.promote("delay/1", token="t", expected=0)
    library.promote("delay/2")
    library.retire("delay/1")

    again = library.promote("delay/1", token="t", expected=0)

    assert again == done


def test_a_repetition_finds_its_own_entry_though_its_reference_means_nothing_by_now(library: ModelLibrary) -> None:
    library.retire("delay/3")
    library.retire("delay/2")
    done = library.retire("delay@latest", token="t")

    again = library.retire("delay@latest", token="t")

    assert again == done
    assert library.retired("delay") == {1, 2, 3}


@pytest.mark.parametrize(
    ("ask", "asked"),
    [
        (lambda library: library.promote("delay/1", alias="canary", token="t"), "promote of version 1 as canary"),
        (lambda library: library.promote("delay/2", token="t"), "promote of version 2 as champion"),
        (lambda library: library.rollback("delay", token="t"), "rollback of version 1 as champion"),
        (lambda library: library.retire("delay/1", token="t"), "retire of version 1"),
    ],
)
def test_a_token_of_another_move_is_refused_and_not_taken_for_a_repetition(
    library: ModelLibrary, ask: Any, asked: str
) -> None:
    done = library.promote("delay/1", token="t")

    with pytest.raises(TokenTaken) as refused:
        ask(library)

    assert str(refused.value) == (
        f"token 't' is that of entry 1 of 'delay' (promote of version 1 as champion), which is not what is asked for "
        f"now ({asked}): nothing was done; give another token, or none"
    )
    assert library.history("delay") == [done]


def test_a_rollback_is_repeated_whatever_version_it_found(library: ModelLibrary) -> None:
    for reference in ("delay/1", "delay/2", "delay/3"):
        library.promote(reference)
    done = library.rollback("delay", token="t")

    again = library.rollback("delay", token="t")

    assert (again, done.version) == (done, 2)


def test_tokens_of_different_models_do_not_meet(library: ModelLibrary, publish: Publish) -> None:
    publish("other")

    entries = [library.promote("delay/1", token="t"), library.promote("other/1", token="t")]

    assert [entry.model for entry in entries] == ["delay", "other"]


def test_calls_without_a_token_are_different_operations(library: ModelLibrary) -> None:
    entries = [library.promote("delay/1"), library.promote("delay/1")]

    assert entries[0].token != entries[1].token
    assert len(library.history("delay")) == 2


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize(
    "error", [WriteUnknown("no answer"), WriteConflict(collection="model_journal", key=("model",))]
)
def test_a_reply_that_is_lost_once_leaves_one_entry(library: ModelLibrary, landed: bool, error: Exception) -> None:
    documents, lost = library.resources.documents, []

    def lose_first_reply(*arguments: Any) -> None:
        if not lost:
            lost.append(1)
            if landed:
                documents.insert(*arguments)
            raise error
        documents.insert(*arguments)

    entry = with_insert(library, lose_first_reply).promote("delay/1")

    assert library.history("delay") == [entry]
    assert (entry.sequence, entry.version) == (1, 1)


def test_a_loser_of_a_race_is_told_who_won_though_it_named_no_expectation(library: ModelLibrary) -> None:
    documents, winners = library.resources.documents, []

    def lose_the_race(*arguments: Any) -> None:
        if not winners:
            winners.append(library.promote("delay/2", by="bob"))
        documents.insert(*arguments)

    with pytest.raises(AliasMoved) as refused:
        with_insert(library, lose_the_race).promote("delay/1")

    assert refused.value.winner == winners[0]
    assert library.resolve("delay").number == 2


def test_a_move_of_another_alias_in_between_costs_a_turn_and_no_error(library: ModelLibrary) -> None:
    documents, others = library.resources.documents, []

    def be_overtaken(*arguments: Any) -> None:
        if len(others) < 3:
            others.append(library.promote("delay/2", alias="shadow"))
        documents.insert(*arguments)

    entry = with_insert(library, be_overtaken).promote("delay/1")

    assert (entry.sequence, entry.aliases["champion"].stack, entry.aliases["shadow"].stack) == (4, (1,), (2,))


def test_a_refusal_that_is_out_of_date_is_decided_again(library: ModelLibrary) -> None:
    library.retire("delay/1")
    documents, restored = library.resources.documents, []

    def find(collection: Any, query: Any) -> Any:
        found = documents.find(collection, query)
        if "version" in query.where and not restored:  # just after it saw the retirement
            restored.append(library.restore("delay/1"))
        return found

    overtaken = replace(library.resources, documents=Wrapped(documents, find=find))

    entry = ModelLibrary(overtaken, by="ann").promote("delay/1")

    assert (entry.sequence, entry.version) == (3, 1)


def test_a_refusal_that_stands_is_raised_and_leaves_nothing(library: ModelLibrary) -> None:
    library.retire("delay/1")

    with pytest.raises(VersionRetired):
        library.promote("delay/1", token="t")

    assert [entry.token for entry in library.history("delay")] != ["t"]
    assert len(library.history("delay")) == 1


def test_replies_that_stay_lost_end_as_unknown_with_the_token(library: ModelLibrary) -> None:
    def no_answer(*_: Any) -> None:
        raise WriteUnknown("no answer")

    silent = with_insert(library, no_answer, patience=timedelta(seconds=1))

    with pytest.raises(
        OutcomeUnknown, match="change the journal of delay; repeat it with the same token or work key 't'"
    ) as unknown:
        silent.promote("delay/1", token="t")

    assert unknown.value.token == "t"
    assert not isinstance(unknown.value, MoveRefused)


def test_a_store_that_stays_away_is_said_to_be_away(library: ModelLibrary, clock: ManualClock) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailable("the server is away")

    begun = clock.monotonic()

    with pytest.raises(StoreUnavailable, match="the server is away"):
        with_insert(library, away, patience=timedelta(seconds=3)).promote("delay/1")

    assert 3 <= clock.monotonic() - begun < 4


def test_the_journals_time_never_goes_back(library: ModelLibrary, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1))
    first = library.promote("delay/1")
    clock.advance(timedelta(hours=-2))

    second = library.promote("delay/2")

    assert first.at == second.at == START + timedelta(hours=1)
    assert library.as_of("delay", second.at).number == 2


def test_an_entry_says_who_asked_why_and_on_what(library: ModelLibrary) -> None:
    library.promote("delay/1")

    entry = library.promote("delay/2", by="bob", reason="the gate said so", expected=1, decision="d-7", token="t")

    said = (entry.by, entry.reason, entry.expected, entry.decision, entry.token, entry.alias)
    assert said == ("bob", "the gate said so", 1, "d-7", "t", "champion")


def test_an_entry_keeps_the_expectation_of_the_first_look(library: ModelLibrary) -> None:
    entries = [library.promote("delay/1"), library.promote("delay/2"), library.retire("delay/3")]

    assert [entry.expected for entry in entries] == [0, 1, None]


def test_history_is_newest_first_and_can_be_of_one_alias(library: ModelLibrary) -> None:
    library.promote("delay/1")
    library.promote("delay/2", alias="shadow")
    library.retire("delay/3")
    library.promote("delay/2")
    library.rollback("delay")

    sequences = [entry.sequence for entry in library.history("delay")]
    of_champion = [entry.sequence for entry in library.history("delay", alias="champion")]

    assert sequences == [5, 4, 3, 2, 1]
    assert of_champion == [5, 4, 1]


def test_a_damaged_entry_stops_every_move(library: ModelLibrary) -> None:
    library.promote("delay/1")
    document = library.resources.documents.get(MODEL_JOURNAL, {"model": "delay", "sequence": 1})
    assert document is not None
    library.resources.documents.swap(MODEL_JOURNAL, {**document, "note": "mine"}, revision=1)

    for call in (lambda: library.promote("delay/2"), lambda: library.resolve("delay@champion")):
        with pytest.raises(DamagedDocument, match=f"a stored {JournalEntry.__name__} is damaged at 'note'"):
            call()
