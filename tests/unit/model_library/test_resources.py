"""The loop that all operations share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.model_library.resources import Attempts, Resources
from airflow_provider_exia.storage.documents import StoreRefused, StoreUnavailable, WriteConflict, WriteUnknown
from tests.simulation.stores import Memory, SimulatedBlobs, SimulatedDocuments

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import ManualClock

UNKNOWN = WriteUnknown("no answer")
CONFLICT = WriteConflict(collection="versions", key=("model",))
AWAY = StoreUnavailable("away")
FULL = StoreRefused("full")


def run(clock: ManualClock, errors: list[Exception], *, patience_seconds: float = 10) -> int:
    """Run a loop whose body fails with these errors in turn (the last one for ever); return the number of attempts."""
    resources = Resources(
        documents=SimulatedDocuments(Memory()),
        blobs=SimulatedBlobs(Memory()),
        new_token=str,
        clock=clock,
        patience=timedelta(seconds=patience_seconds),
    )
    attempts = 0
    for attempt in Attempts(resources, operation="test", token="t"):
        with attempt:
            attempts += 1
            error = errors[min(attempts, len(errors)) - 1]
            if error is not None:
                raise error
            return attempts
    raise AssertionError("attempts end by an error")


def test_who_waits_is_told_once_for_what(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="airflow_provider_exia.model_library.resources")

    run(clock, [CONFLICT, AWAY, UNKNOWN, AWAY, None])

    assert caplog.messages == ["test: away; trying again for up to 10 s"]


@pytest.mark.parametrize("error", [UNKNOWN, CONFLICT, AWAY], ids=lambda error: type(error).__name__)
def test_the_loop_goes_back_to_its_reading_step(clock: ManualClock, error: Exception) -> None:
    attempts = run(clock, [error, error, None])

    assert attempts == 3
    assert len(clock.waits) == 2


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        pytest.param([UNKNOWN], OutcomeUnknown, id="never an answer"),
        pytest.param([CONFLICT], OutcomeUnknown, id="always a conflict"),
        pytest.param([AWAY], StoreUnavailable, id="never there"),
        pytest.param([UNKNOWN, AWAY], OutcomeUnknown, id="a lost reply, then away"),
        pytest.param([CONFLICT, AWAY], OutcomeUnknown, id="a conflict that may be our own, then away"),
        pytest.param([AWAY, UNKNOWN], OutcomeUnknown, id="away, then a lost reply"),
        pytest.param([FULL], StoreRefused, id="refused"),
        pytest.param([UNKNOWN, FULL], OutcomeUnknown, id="a lost reply, then refused"),
        pytest.param([AWAY, FULL], StoreRefused, id="away, then refused"),
        pytest.param([KeyError("bug")], KeyError, id="another error"),
    ],
)
def test_the_loop_ends_in_what_is_known(clock: ManualClock, errors: list[Exception], expected: type[Exception]) -> None:
    with pytest.raises(expected):
        run(clock, errors)


@pytest.mark.parametrize("errors", [[UNKNOWN], [UNKNOWN, AWAY], [UNKNOWN, FULL], [CONFLICT]])
def test_an_unknown_outcome_says_what_the_store_said_last(clock: ManualClock, errors: list[Exception]) -> None:
    with pytest.raises(OutcomeUnknown) as failed:
        run(clock, errors)

    assert failed.value.__cause__ is errors[-1]
    assert str(failed.value).endswith(f"to find out (the last try ended with: {errors[-1]})")


def test_what_the_store_said_is_kept_while_the_loop_goes_back_by_itself(clock: ManualClock) -> None:
    resources = Resources(
        documents=SimulatedDocuments(Memory()), blobs=SimulatedBlobs(Memory()), new_token=str, clock=clock
    )
    errors = [UNKNOWN]

    def go_back() -> None:
        for attempt in Attempts(resources, operation="test", token="t"):
            with attempt:
                if errors:
                    raise errors.pop()

    with pytest.raises(OutcomeUnknown, match=r"the last try ended with: no answer\)$"):
        go_back()


def test_the_loop_ends_by_its_deadline_and_pauses_longer_and_longer(clock: ManualClock) -> None:
    with pytest.raises(OutcomeUnknown):
        run(clock, [UNKNOWN], patience_seconds=10)

    assert 10 <= clock.seconds <= 10.25
    assert max(clock.waits[:3]) < 0.01
    assert max(clock.waits) <= 0.25


def test_without_patience_there_is_one_attempt(clock: ManualClock) -> None:
    with pytest.raises(StoreUnavailable):
        run(clock, [AWAY, None], patience_seconds=0)

    assert clock.waits == []


def test_a_reply_lost_after_long_work_is_looked_for_all_the_same(clock: ManualClock) -> None:
    resources = Resources(
        documents=SimulatedDocuments(Memory()),
        blobs=SimulatedBlobs(Memory()),
        new_token=str,
        clock=clock,
        patience=timedelta(seconds=10),
    )
    began: list[float] = []

    def upload() -> None:
        for attempt in Attempts(resources, operation="test", token="t"):
            with attempt:
                if not began:
                    clock.sleep(100)
                began.append(clock.monotonic())
                raise UNKNOWN

    with pytest.raises(OutcomeUnknown):
        upload()

    assert 5 <= began[-1] - began[0] <= 5.25
