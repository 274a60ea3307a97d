"""A server that is down, cuts connections or swallows everything: an error in time and in words, and then the work."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import OutcomeUnknown
from airflow_provider_exia.storage import s3_requests
from airflow_provider_exia.storage.documents import StoreUnavailable
from tests.faults.checking import Checker
from tests.faults.places import place_on, trial
from tests.faults.test_lost_replies import behind_proxies
from tests.faults.works import MODEL, source_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.proxy import Proxy

PATIENCE, ANSWER = 2.0, 1.5
CONNECT = {"mongo": 1.0, "postgres": 2.0, "minio": 0.0}  # how long a server is looked for; MinIO's is found at once
OPTIONS = {"mongo": "serverSelectionTimeoutMS=1000", "postgres": "connect_timeout=2", "minio": ""}
FAULTS: dict[str, Callable[[Proxy], object]] = {
    "down": lambda proxy: proxy.refuse(),
    "reset after 200 bytes of a request": lambda proxy: proxy.reset_after(200, "request"),
    "reset after 100 bytes of a reply": lambda proxy: proxy.reset_after(100, "reply"),
    "black hole": lambda proxy: proxy.black_hole(),
}
SHORT = ("down", "black hole")
HALVES = {"mongo": ("mongo+minio", 0), "postgres": ("postgres+minio", 0), "minio": ("mongo+minio", 1)}


@pytest.mark.parametrize(
    ("pair", "server", "fault"),
    [trial(HALVES[server][0], server, fault, short=fault in SHORT) for server in HALVES for fault in FAULTS],
)
def test_a_lost_server_is_an_error_within_the_deadline_and_the_work_is_finished_when_it_is_back(
    tmp_path: Path, pair: str, server: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_requests, "READ_SECONDS", ANSWER)
    direct = place_on(pair, tmp_path)
    checker = Checker(direct)
    impatient = replace(
        direct,
        documents=f"{direct.documents}?{OPTIONS[server]}".rstrip("?"),
        patience=timedelta(seconds=PATIENCE),
        answer_seconds=ANSWER,
    )
    with behind_proxies(impatient) as (place, *proxies), place.open() as library:
        proxy = proxies[HALVES[server][1]]
        first = library.publish(MODEL, source_files(tmp_path, "first"), format="json", work="first")
        moved = library.promote(first.reference)
        checker.acknowledge(first, moved)
        works: dict[str, Callable[[], Any]] = {
            "publish": lambda: library.publish(MODEL, source_files(tmp_path, "work"), format="json", work="work"),
        }
        if server != "minio":
            works["promote"] = lambda: library.promote(first.reference, alias="challenger", token="mine")
        for work in works.values():
            FAULTS[fault](proxy)
            before = time.monotonic()

            with pytest.raises((StoreUnavailable, OutcomeUnknown)) as told:
                work()

            waited = time.monotonic() - before
            longest = PATIENCE + max(ANSWER, CONNECT[server])  # the last attempt may begin just before its end
            assert waited <= longest * 1.1, str(told.value)
            assert "refused" not in str(told.value).replace("Connection refused", "")
            proxy.pass_all()
            checker.acknowledge(work())
    view = checker.check()
    assert [version["work"] for version in view.ready.values()] == ["first", "work"]
    assert len(view.journal) == len(works)
