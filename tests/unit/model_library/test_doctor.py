"""The doctor finds what is wrong with a library, names it once, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.clock import SystemClock
from airflow_provider_exia.model_library import doctor
from airflow_provider_exia.model_library.cache import FileCache
from airflow_provider_exia.model_library.doctor import Finding, Verdict, examine
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.permissions import read_permissions
from airflow_provider_exia.model_library.signing import generate_key, read_keys
from airflow_provider_exia.storage.documents import StorageError, StoreRefused, StoreUnavailable, WriteUnknown
from airflow_provider_exia.storage.server_facts import ServerFacts, Way

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources


class Failing:
    """A store one of whose calls does something else."""

    def __init__(self, store: Any, call: str, instead: Any) -> None:
        self._store, self._call, self._instead = store, call, instead

    def __getattr__(self, name: str) -> Any:
        return self._instead if name == self._call else getattr(self._store, name)


def refuse(*_: Any, **__: Any) -> Any:
    raise StoreRefused("no permission")


def nothing(*_: Any, **__: Any) -> None:
    """Say that it was done, and do nothing."""


@pytest.fixture
def now_resources(resources: Resources) -> Resources:
    """The stores with the machine's own clock, as blobs are dated by it."""
    return dataclasses.replace(resources, clock=SystemClock())


def findings(library: ModelLibrary) -> dict[str, Finding]:
    return {finding.about: finding for finding in examine(library)}


def test_a_good_library_has_no_failure_and_nothing_stays_behind(now_resources: Resources, tmp_path: Path) -> None:
    library = ModelLibrary(now_resources)

    found = findings(library)

    assert {about: finding.verdict.value for about, finding in found.items()} == {
        "documents": "ok",
        "documents: server": "ok",
        "documents: way": "ok",
        "blobs": "ok",
        "blobs: clock": "ok",
        "formats": "ok",
        "signing": "warning",
        "aliases": "ok",
        "cache": "ok",
    }
    assert found["documents: server"].words.startswith("SQLite 3.")
    assert library.models() == []
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("store", "call", "words"),
    [
        ("documents", "insert", "inserting a probe failed: no permission"),
        ("documents", "swap", "swapping a probe failed: no permission"),
        ("documents", "get", "reading a probe failed: no permission"),
        ("documents", "delete", "deleting a probe failed: no permission"),
        ("blobs", "put", "putting a probe failed: no permission"),
        ("blobs", "stat", "looking at a probe failed: no permission"),
        ("blobs", "list", "listing a probe failed: no permission"),
        ("blobs", "open", "reading a probe failed: no permission"),
        ("blobs", "delete", "deleting a probe failed: no permission"),
    ],
)
def test_a_permission_that_is_missing_is_named_by_the_step(
    now_resources: Resources, store: str, call: str, words: str
) -> None:
    broken = dataclasses.replace(now_resources, **{store: Failing(getattr(now_resources, store), call, refuse)})

    found = findings(ModelLibrary(broken))

    assert found[store] == Finding(about=store, verdict=Verdict.FAILURE, words=words)
    assert found[{"documents": "blobs", "blobs": "documents"}[store]].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("store", "call", "instead", "words"),
    [
        ("documents", "swap", nothing, "a swap on an old revision was taken"),
        ("documents", "insert", nothing, "a second one with its key was taken"),
        ("blobs", "put", nothing, "the store does not find what it took"),
        ("blobs", "list", lambda _: iter(()), "the store does not list what it took"),
    ],
)
def test_a_store_that_does_not_keep_its_word_is_found_out(
    now_resources: Resources, store: str, call: str, instead: Any, words: str
) -> None:
    broken = dataclasses.replace(now_resources, **{store: Failing(getattr(now_resources, store), call, instead)})

    found = findings(ModelLibrary(broken))

    assert found[store].verdict is Verdict.FAILURE
    assert words in found[store].words


@pytest.mark.parametrize("kind", [StoreUnavailable, WriteUnknown])
@pytest.mark.parametrize(("store", "call"), [("documents", "insert"), ("blobs", "put")])
def test_a_store_that_does_not_answer_is_waited_for_once(
    now_resources: Resources, store: str, call: str, kind: type[StorageError]
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise kind("no such host")

    def asked_again(*_: Any, **__: Any) -> None:
        raise AssertionError("a second wait for the same store")

    silent = Failing(Failing(getattr(now_resources, store), call, unreachable), "delete", asked_again)

    found = findings(ModelLibrary(dataclasses.replace(now_resources, **{store: silent})))

    assert found[store].words.endswith("a probe failed: no such host")


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "3600 s ahead of this machine's"), (-2, "7200 s behind this machine's")]
)
def test_a_clock_that_is_off_is_told(now_resources: Resources, hours: int, words: str) -> None:
    def server() -> ServerFacts:
        return ServerFacts(product="X 1", way=Way.LOCAL, now=now_resources.clock.now() + timedelta(hours=hours))

    off = dataclasses.replace(now_resources, documents=Failing(now_resources.documents, "server", server))

    clock = findings(ModelLibrary(off))["documents: clock"]

    assert clock.verdict is Verdict.WARNING
    assert words in clock.words


@pytest.mark.parametrize(
    ("way", "verdict", "words"),
    [
        (Way.LOCAL, Verdict.OK, "on this machine"),
        (Way.CHECKED, Verdict.OK, "its certificate is checked"),
        (Way.UNCHECKED, Verdict.WARNING, "another server can pass for this one: ask for TLS in its connection"),
        (Way.PLAIN, Verdict.WARNING, "can read passwords and models: ask for TLS in its connection"),
    ],
)
def test_a_way_that_others_can_listen_on_is_told(
    now_resources: Resources, way: Way, verdict: Verdict, words: str
) -> None:
    def server() -> ServerFacts:
        return ServerFacts(product="X 1", way=way)

    far = dataclasses.replace(now_resources, documents=Failing(now_resources.documents, "server", server))

    found = findings(ModelLibrary(far))["documents: way"]

    assert found.verdict is verdict
    assert words in found.words


def test_a_server_that_does_not_say_what_it_is_is_no_failure(now_resources: Resources) -> None:
    silent = dataclasses.replace(now_resources, documents=Failing(now_resources.documents, "server", refuse))

    assert findings(ModelLibrary(silent))["documents: server"].verdict is Verdict.WARNING


def test_a_slow_store_is_told(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SLOW_SECONDS", -1.0)

    found = findings(ModelLibrary(resources))

    assert found["documents"].verdict is Verdict.WARNING
    assert "look for a server nearer to the workers" in found["documents"].words


def test_only_a_format_that_somebody_asked_for_has_to_be_installed(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda _: None)

    by_default = findings(ModelLibrary(resources))["formats"]
    asked = [
        finding
        for finding in examine(ModelLibrary(resources, policy=LoadPolicy(formats=frozenset({"json", "skops"}))))
        if finding.about == "formats"
    ]

    assert by_default.verdict is Verdict.OK
    assert "not installed here: onnx, safetensors, skops" in by_default.words
    assert [finding.verdict for finding in asked] == [Verdict.WARNING, Verdict.OK]
    assert "skops is allowed, but scikit-learn, skops, numpy is not installed here" in asked[0].words


def test_keys_are_named_by_their_fingerprints_and_never_shown(resources: Resources) -> None:
    private, public = generate_key("ed25519")
    signer = dataclasses.replace(resources, keys=read_keys(private))
    reader = dataclasses.replace(resources, keys=read_keys(None, [public or ""]))

    signs, reads = (findings(ModelLibrary(one))["signing"] for one in (signer, reader))

    name = signer.keys.all[0].name
    assert (signs.verdict, signs.words) == (Verdict.OK, f"signs with {name}, accepts {name}")
    assert reads.words == f"accepts {name}; has no key to sign with, so nothing can be published from here"
    assert private not in signs.words


def test_a_key_that_does_not_verify_what_it_signs_is_a_failure(resources: Resources) -> None:
    private, _ = generate_key("ed25519")
    _, other = generate_key("ed25519")
    keys = read_keys(private, [other or ""])
    torn = dataclasses.replace(keys.signing, public=keys.accepted[0].public)
    broken = dataclasses.replace(resources, keys=dataclasses.replace(keys, signing=torn))

    assert findings(ModelLibrary(broken))["signing"].verdict is Verdict.FAILURE


def test_protected_aliases_are_named(resources: Resources) -> None:
    library = ModelLibrary(resources, protected=read_permissions({"champion": ["monitor"]}))

    assert findings(library)["aliases"].words == "protected: champion"


def test_a_cache_that_cannot_be_used_is_a_warning(resources: Resources, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked, usable = (
        findings(ModelLibrary(resources, policy=LoadPolicy(cache=FileCache(folder=folder))))["cache"]
        for folder in (tmp_path / "file" / "cache", tmp_path / "cache")
    )

    assert blocked.verdict is Verdict.WARNING
    assert "cannot be written (Not a directory)" in blocked.words
    assert usable.words.startswith(f"{tmp_path / 'cache'} ")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_with_little_room_is_a_warning(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_LITTLE_ROOM_BYTES", 2**63)
    library = ModelLibrary(resources, policy=LoadPolicy(cache=FileCache(folder=tmp_path / "cache")))

    assert "make room" in findings(library)["cache"].words


def test_what_the_blob_store_dates_is_compared_too(resources: Resources) -> None:
    found = findings(ModelLibrary(resources))  # the test's clock stands in 2013

    assert found["blobs: clock"].verdict is Verdict.WARNING
    assert "ahead of this machine's" in found["blobs: clock"].words
