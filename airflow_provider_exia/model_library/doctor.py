"""What could be wrong with a library: its stores, clocks, formats, keys and cache, each as one finding."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from typing import TYPE_CHECKING

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.formats import DEFAULT_FORMATS, FORMATS
from airflow_provider_exia.model_library.probing import Probe, probe_blobs, probe_documents
from airflow_provider_exia.storage.server_facts import TellsOfItself, Way

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.loading import LoadPolicy
    from airflow_provider_exia.model_library.permissions import Permissions
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.model_library.signing import Keys

_CLOCK_TOLERANCE = timedelta(seconds=5)
_SLOW_SECONDS = 1.0
_LITTLE_ROOM_BYTES = 1024**3
_MEND_THE_WAY = "ask for TLS in its connection, as docs/security.md says"


class Verdict(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    :param about: what was looked at
    :param verdict: how good or bad it is
    :param words: what was found, and what to do if it is not good
    """

    about: str
    verdict: Verdict
    words: str


def examine(library: ModelLibrary) -> Iterator[Finding]:
    """Look at everything that a library needs; nothing stays behind, and one failure hides no other.

    :param library: the library
    :returns: the findings, as they are made
    """
    resources = library.resources
    yield from _store(resources, "documents", resources.documents, probe_documents)
    yield from _store(resources, "blobs", resources.blobs, probe_blobs)
    yield from _formats(library.policy)
    yield _signing(resources.keys)
    yield _aliases(library.protected)
    yield _cache(library.policy)


def _store(resources: Resources, name: str, store: object, probe: Callable[[Resources], Probe]) -> Iterator[Finding]:
    before, started = resources.clock.now(), resources.clock.monotonic()
    try:
        done = probe(resources)
    except ExiaError as error:
        yield _failure(name, str(error))
        return
    seconds = (resources.clock.monotonic() - started) / len(done.steps)
    words = f"{', '.join(done.steps)}: done, {seconds * 1000:.1f} ms each"
    if seconds > _SLOW_SECONDS:
        yield _warning(name, f"{words}; that is slow: look for a server nearer to the workers")
    else:
        yield _ok(name, words)
    yield from _server(resources, name, store)
    if done.written_at is not None:
        yield _clock(name, done.written_at, earliest=before, latest=resources.clock.now())


def _server(resources: Resources, name: str, store: object) -> Iterator[Finding]:
    if not isinstance(store, TellsOfItself):
        return
    asked = resources.clock.now()
    try:
        facts = store.server()
    except ExiaError as error:
        yield _warning(f"{name}: server", f"it does not say what it is: {error}")
        return
    yield _ok(f"{name}: server", facts.product)
    yield _way(name, facts.way)
    if facts.now is not None:
        yield _clock(name, facts.now, earliest=asked, latest=resources.clock.now())


def _way(name: str, way: Way) -> Finding:
    about = f"{name}: way"
    if way is Way.PLAIN:
        return _warning(about, f"{way}: whoever is on it can read passwords and models: {_MEND_THE_WAY}")
    if way is Way.UNCHECKED:
        return _warning(about, f"{way}, so another server can pass for this one: {_MEND_THE_WAY}")
    return _ok(about, way)


def _clock(name: str, told: datetime, *, earliest: datetime, latest: datetime) -> Finding:
    """Compare a store's clock, as told between two looks at ours."""
    off = max(earliest - told, told - latest)
    if off <= _CLOCK_TOLERANCE:
        return _ok(f"{name}: clock", "within 5 s of this machine's")
    side = "ahead of" if told > latest else "behind"
    return _warning(
        f"{name}: clock",
        f"{off.total_seconds():.0f} s {side} this machine's: let a time service set both; nothing gets lost by it, but "
        "moments in the history and the grace of the garbage collection are off by as much",
    )


def _formats(policy: LoadPolicy) -> Iterator[Finding]:
    ready: list[str] = []
    absent: list[str] = []
    for name in sorted(policy.formats):
        versions = {library: _installed(library) for library in FORMATS[name].libraries}
        missing = [library for library, version in versions.items() if version is None]
        told = ", ".join(f"{library} {version}" for library, version in versions.items())
        (absent if missing else ready).append(f"{name} ({told})" if told and not missing else name)
        if missing and policy.formats != DEFAULT_FORMATS:
            yield _warning(
                "formats",
                f"{name} is allowed, but {', '.join(missing)} is not installed here: install it, or take the format "
                "out of the connection",
            )
    words = f"can be loaded: {', '.join(ready)}"
    if absent and policy.formats == DEFAULT_FORMATS:
        words += f"; not installed here: {', '.join(absent)}"
    yield _ok("formats", words)


def _signing(keys: Keys) -> Finding:
    if not keys.configured:
        return _warning(
            "signing",
            "no key: nothing is signed or checked; make one with 'exia key generate' and give it to the connection",
        )
    accepted = f"accepts {', '.join(key.name for key in keys.all)}"
    if keys.signing is None:
        return _ok("signing", f"{accepted}; has no key to sign with, so nothing can be published from here")
    message = b"exia doctor"
    if not keys.signing.verifies(message, keys.signing.sign(message)):
        return _failure("signing", f"{keys.signing.name} does not verify what it signs: make a new one")
    return _ok("signing", f"signs with {keys.signing.name}, {accepted}")


def _aliases(protected: Permissions) -> Finding:
    names = ", ".join(sorted(protected.movers))
    return _ok("aliases", f"protected: {names}" if names else "none is protected")


def _cache(policy: LoadPolicy) -> Finding:
    if policy.cache is None:
        return _ok("cache", "none: every load fetches the files anew")
    folder = policy.cache.folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        problem = f"{folder} cannot be written ({error.strerror}), so every load fetches anew"
        return _warning("cache", f"{problem}: give this user the folder")
    if free < _LITTLE_ROOM_BYTES:
        return _warning("cache", f"{folder} has {free // 1024**2} MiB left: make room, or name another folder")
    return _ok("cache", f"{folder} can be written, {free // 1024**3} GiB left")


def _installed(library: str) -> str | None:
    try:
        return distribution_version(library)
    except PackageNotFoundError:
        return None


def _ok(about: str, words: str) -> Finding:
    return Finding(about=about, verdict=Verdict.OK, words=words)


def _warning(about: str, words: str) -> Finding:
    return Finding(about=about, verdict=Verdict.WARNING, words=words)


def _failure(about: str, words: str) -> Finding:
    return Finding(about=about, verdict=Verdict.FAILURE, words=words)
