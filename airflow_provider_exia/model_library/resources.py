"""What every operation of the library works with, and the loop that all of them share."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from airflow_provider_exia.clock import Clock, SystemClock
from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.model_library.signing import Keys
from airflow_provider_exia.storage.blobs import BlobStore
from airflow_provider_exia.storage.documents import (
    DocumentStore,
    StorageError,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
)

log = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The stores, the keys, the clock and the source of tokens.

    :param documents: where facts live
    :param blobs: where bytes live
    :param new_token: returns a token that was never used
    :param keys: what versions are signed with, and whose signatures are accepted
    :param clock: time for records and deadlines
    :param prefix: first segment of every blob key
    :param patience: how long an operation goes on after conflicts and lost replies. The last attempt may begin just
        before its end and then wait once for an answer, as long as the stores do (30 s), so that an error comes at most
        that much later
    """

    documents: DocumentStore
    blobs: BlobStore
    new_token: Callable[[], str]
    keys: Keys = field(default_factory=Keys)
    clock: Clock = field(default_factory=SystemClock)
    prefix: str = "models"
    patience: timedelta = timedelta(seconds=60)


class Attempts:
    """A loop that goes back to its reading step after a conflict or a lost reply, until a deadline.

    The patience counts from the start. Work that takes longer by itself, as a large upload does, still has half of it
    after its first failure.

    ``for attempt in attempts: with attempt: ...`` where the body returns when it is done.

    :param resources: gives clock and patience
    :param operation: what is under way, for the error message
    :param token: under which the operation can be repeated
    """

    def __init__(self, resources: Resources, *, operation: str, token: str) -> None:
        self._clock = resources.clock
        self._patience = resources.patience.total_seconds()
        self._deadline = resources.clock.monotonic() + self._patience
        self._failed = self._told = False
        self._operation, self._token = operation, token
        self._error: StorageError | None = None
        self._away = False
        self._unknown = False

    def __iter__(self) -> Iterator[Attempts]:
        pause = 0.002
        while True:
            yield self
            if self._clock.monotonic() >= self._deadline:
                if self._error is not None and self._away and not self._unknown:
                    raise self._error
                raise self._outcome_unknown(self._error) from self._error
            self._clock.sleep(random.uniform(0, pause))  # noqa: S311 - spreads competing writers, guards nothing
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def __enter__(self) -> None:
        self._away = False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, StoreUnavailable):
            self._away = True
        elif isinstance(error, WriteUnknown | WriteConflict):
            self._unknown = True  # also after a conflict: it may be our own write that is there
        elif isinstance(error, StoreRefused) and self._unknown:
            raise self._outcome_unknown(error) from error
        else:
            return False
        self._error = error
        if not isinstance(error, WriteConflict) and not self._told:
            self._told = True  # a person would wait without a word
            log.warning("%s: %s; trying again for up to %.0f s", self._operation, error, self._patience)
        if not self._failed:
            self._failed = True
            self._deadline = max(self._deadline, self._clock.monotonic() + self._patience / 2)
        return True

    def _outcome_unknown(self, reason: StorageError | None) -> OutcomeUnknown:
        return OutcomeUnknown(operation=self._operation, token=self._token, reason=reason)
