"""From a reference to one version."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput, OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import (
    NotFound,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    VersionCollected,
    VersionNotReady,
)
from airflow_provider_exia.model_library.records import PINS, VERSIONS, State, Version
from airflow_provider_exia.model_library.resolving import resolve_pinned
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import WriteConflict, WriteUnknown
from tests.unit.model_library.conftest import START, ManualClock, Publish
from tests.unit.model_library.test_publishing import Wrapped

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


def set_state(library: ModelLibrary, version: Version, state: State) -> None:
    """Let the store say that a version is in a state, as a collector or a killed process leaves it."""
    documents = library.resources.documents
    document = documents.get(VERSIONS, {"model": version.model, "number": version.number})
    assert document is not None
    documents.swap(VERSIONS, {**document, "state": state.value}, revision=document["revision"])


def test_a_number_is_that_version(library: ModelLibrary, publish: Publish) -> None:
    first, second = publish(), publish()

    found = library.resolve("delay/1"), library.resolve("delay/2")

    assert found == (first, second)


def test_an_alias_is_the_version_it_names_now(library: ModelLibrary, publish: Publish) -> None:
    first, second = publish(), publish()
    library.promote("delay/1")
    library.promote("delay/2", alias="challenger")

    found = [library.resolve(text) for text in ("delay", "delay@champion", "delay@challenger")]

    assert found == [first, first, second]


def test_latest_is_the_newest_ready_version(library: ModelLibrary, publish: Publish) -> None:
    publish()
    second = publish()
    set_state(library, publish(), State.PENDING)

    found = library.resolve("delay@latest")

    assert found == second


def test_latest_skips_what_is_retired_however_many(library: ModelLibrary, publish: Publish) -> None:
    first = publish()
    for _ in range(25):  # more than one page
        library.retire(publish().reference)

    found = library.resolve("delay@latest")

    assert found == first


def test_latest_comes_back_with_a_restored_version(library: ModelLibrary, publish: Publish) -> None:
    publish()
    second = publish()
    library.retire("delay/2")
    library.restore("delay/2")

    assert library.resolve("delay@latest") == second


def test_latest_of_a_model_with_every_version_retired_is_not_found(library: ModelLibrary, publish: Publish) -> None:
    publish()
    library.retire("delay/1")

    with pytest.raises(UnknownVersion, match="no version delay@latest; 'exia versions delay' lists those there"):
        library.resolve("delay@latest")


def test_a_retired_version_is_still_found_by_its_number(library: ModelLibrary, publish: Publish) -> None:
    version = publish()
    library.retire("delay/1")

    assert library.resolve("delay/1") == version


@pytest.mark.parametrize("text", ["nothing", "nothing/1", "nothing@champion", "nothing@latest"])
def test_a_model_that_nobody_published_is_unknown_whatever_is_asked_of_it(
    library: ModelLibrary, publish: Publish, text: str
) -> None:
    publish("nothing_else")

    with pytest.raises(UnknownModel, match="no model 'nothing': .*'exia models' lists those there") as unknown:
        library.resolve(text)

    assert unknown.value.model == "nothing"


def test_a_version_that_is_not_there_is_unknown(library: ModelLibrary, publish: Publish) -> None:
    publish()

    with pytest.raises(UnknownVersion, match="no version delay/7; 'exia versions delay' lists those there"):
        library.resolve("delay/7")


def test_an_alias_that_is_not_set_is_unknown_and_the_known_ones_are_named(
    library: ModelLibrary, publish: Publish
) -> None:
    publish()
    with pytest.raises(UnknownAlias, match="model 'delay' has no alias 'champion' \\(it has none yet\\): promote"):
        library.resolve("delay")
    library.promote("delay/1", alias="shadow")

    with pytest.raises(UnknownAlias, match=r"\(it has shadow\)") as unknown:
        library.resolve("delay@champion")

    assert unknown.value.known == ("shadow",)


@pytest.mark.parametrize("state", [State.PENDING, State.ABANDONED])
def test_a_version_that_is_not_published_says_so(library: ModelLibrary, publish: Publish, state: State) -> None:
    set_state(library, publish(), state)

    with pytest.raises(VersionNotReady, match=rf"delay/1 is not published \(its state is {state}\)"):
        library.resolve("delay/1")


def test_a_collected_version_says_so(library: ModelLibrary, publish: Publish) -> None:
    set_state(library, publish(), State.COLLECTED)

    with pytest.raises(VersionCollected, match="delay/1"):
        library.resolve("delay/1")


def test_as_of_answers_which_version_was_live_at_every_moment(
    library: ModelLibrary, publish: Publish, clock: ManualClock
) -> None:
    first, second = publish(), publish()
    day = timedelta(days=1)
    promoted_first = clock.advance(day)
    library.promote("delay/1")
    promoted_second = clock.advance(day)
    library.promote("delay/2")
    rolled_back = clock.advance(day)
    library.rollback("delay")
    clock.advance(day)
    library.retire("delay/2")

    second_before = timedelta(microseconds=1)
    moments = [promoted_first, promoted_second - second_before, promoted_second, rolled_back, clock.moment + 9 * day]
    assert [library.as_of("delay", moment) for moment in moments] == [first, first, second, first, first]
    with pytest.raises(UnknownAlias, match=r"'delay' had no alias 'champion' at .*\(it had none yet\): 'exia history"):
        library.as_of("delay", promoted_first - second_before)


def test_as_of_several_moves_at_one_moment_is_the_last_of_them(library: ModelLibrary, publish: Publish) -> None:
    for number in range(1, 13):  # more than nine, so that the order is by number
        publish()
        library.promote(f"delay/{number}")

    assert library.as_of("delay", START).number == 12


def test_as_of_takes_any_time_zone_and_keeps_aliases_apart(
    library: ModelLibrary, publish: Publish, clock: ManualClock
) -> None:
    first, second = publish(), publish()
    library.promote("delay/1", alias="champion")
    library.promote("delay/2", alias="shadow")
    elsewhere = clock.moment.astimezone(timezone(timedelta(hours=-5)))

    found = library.as_of("delay", elsewhere), library.as_of("delay", elsewhere, alias="shadow")

    assert found == (first, second)


def test_as_of_a_moment_without_a_time_zone_is_refused(library: ModelLibrary, publish: Publish) -> None:
    publish()

    with pytest.raises(InvalidInput, match="2013-05-01T00:00:00 has no time zone"):
        library.as_of("delay", datetime(2013, 5, 1))


def test_as_of_an_unknown_model_is_unknown(library: ModelLibrary) -> None:
    with pytest.raises(UnknownModel):
        library.as_of("nothing", START)


# One version per run.


def test_a_run_sees_one_version_though_the_alias_moves(library: ModelLibrary, publish: Publish) -> None:
    first, second = publish(), publish()
    library.promote("delay/1")

    before = library.resolve_pinned("delay@champion", scope="run 1")
    library.promote("delay/2")
    after = library.resolve_pinned("delay@champion", scope="run 1")
    another_run = library.resolve_pinned("delay@champion", scope="run 2")

    assert (before, after, another_run) == (first, first, second)


def test_the_short_and_the_long_spelling_of_a_reference_are_one_pin(library: ModelLibrary, publish: Publish) -> None:
    first = publish()
    publish()
    library.promote("delay/1")
    library.resolve_pinned("delay", scope="run 1")
    library.promote("delay/2")

    assert library.resolve_pinned("delay@champion", scope="run 1") == first


def test_a_run_pins_each_reference_apart(library: ModelLibrary, publish: Publish) -> None:
    first, second = publish(), publish()
    library.promote("delay/1")

    found = [library.resolve_pinned(text, scope="run 1") for text in ("delay", "delay@latest", "delay/1")]

    assert found == [first, second, first]


def test_a_pin_to_a_retired_version_holds(library: ModelLibrary, publish: Publish) -> None:
    first = publish()
    publish()
    library.promote("delay/1")
    library.resolve_pinned("delay", scope="run 1")
    library.promote("delay/2")
    library.retire("delay/1")

    assert library.resolve_pinned("delay", scope="run 1") == first


def test_a_pin_to_a_collected_version_is_made_anew_once(library: ModelLibrary, publish: Publish) -> None:
    first, second = publish(), publish()
    library.promote("delay/1")
    library.resolve_pinned("delay", scope="run 1")
    library.promote("delay/2")
    library.retire("delay/1")
    set_state(library, first, State.COLLECTED)

    found = library.resolve_pinned("delay", scope="run 1")
    third = publish()
    library.promote(third.reference)

    assert found == second
    assert library.resolve_pinned("delay", scope="run 1") == second


def test_a_number_that_was_collected_stays_collected_under_a_pin(library: ModelLibrary, publish: Publish) -> None:
    version = publish()
    library.resolve_pinned("delay/1", scope="run 1")
    set_state(library, version, State.COLLECTED)

    with pytest.raises(VersionCollected):
        library.resolve_pinned("delay/1", scope="run 1")


def test_what_cannot_be_resolved_is_not_pinned(library: ModelLibrary, publish: Publish) -> None:
    version = publish()
    with pytest.raises(NotFound):
        library.resolve_pinned("delay", scope="run 1")

    library.promote("delay/1")

    assert library.resolve_pinned("delay", scope="run 1") == version


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("error", [WriteUnknown("no answer"), WriteConflict(collection="pins", key=("scope",))])
def test_a_pin_whose_reply_is_lost_is_read_back(
    library: ModelLibrary, publish: Publish, landed: bool, error: Exception
) -> None:
    first, second = publish(), publish()
    library.promote("delay/1")
    documents, lost = library.resources.documents, []

    def lose_first_reply(*arguments: Any) -> None:
        if not lost:
            lost.append(1)
            if landed:
                documents.insert(*arguments)
            library.promote("delay/2")
            raise error
        documents.insert(*arguments)

    lossy = replace(library.resources, documents=Wrapped(documents, insert=lose_first_reply))

    found = resolve_pinned(lossy, "run 1", "delay")

    assert found == (first if landed else second)
    assert library.resolve_pinned("delay", scope="run 1") == found


def test_a_store_that_never_answers_a_pin_ends_as_unknown(library: ModelLibrary, publish: Publish) -> None:
    publish()

    def no_answer(*_: Any) -> None:
        raise WriteUnknown("no answer")

    silent = replace(
        library.resources,
        documents=Wrapped(library.resources.documents, insert=no_answer),
        patience=timedelta(seconds=1),
    )

    with pytest.raises(OutcomeUnknown, match="pin delay/1 for run 1"):
        resolve_pinned(silent, "run 1", "delay/1")


def test_a_damaged_pin_is_refused(library: ModelLibrary, publish: Publish) -> None:
    publish()
    pin = {"scope": "run 1", "reference": "delay/1", "version": 1, "note": "mine"}
    library.resources.documents.insert(PINS, pin)

    with pytest.raises(DamagedDocument, match="a stored Pin is damaged at 'note'"):
        library.resolve_pinned("delay/1", scope="run 1")
