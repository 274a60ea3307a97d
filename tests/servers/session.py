"""How tests ask for real servers. Whoever asks marks the test ``servers("mongo", ...)``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.servers.finding import ServerMissing
from tests.servers.server import BlobServer, DocumentServer, Server

if TYPE_CHECKING:
    from tests.servers.catalogue import Servers


def shared(key: str) -> Server:
    """Return the session's server of a kind, running; skip the test where there is none, but in CI fail it."""
    with _missing_is_told(key):
        return servers().shared(key)


@contextmanager
def private(key: str, variant: type[Server] | None = None) -> Iterator[Server]:
    """Give a running server of this test's own, to kill and start again.

    :param variant: a kind of its own, of the same program
    """
    with _missing_is_told(key), servers().private(key, variant) as server:
        yield server


def fresh_documents_url(key: str) -> str:
    """Return the URL, for ``open_documents``, of an unused database on the session's server."""
    server = shared(key)
    assert isinstance(server, DocumentServer)
    return server.fresh_documents_url()


def fresh_blobs_url(key: str) -> str:
    """Return the URL, for ``open_blobs``, of an unused place on the session's server."""
    server = shared(key)
    assert isinstance(server, BlobServer)
    return server.fresh_blobs_url()


@cache
def servers() -> Servers:
    """Return the session's servers, none of them started yet; their clients are imported only now."""
    from tests.servers.catalogue import Servers

    return Servers()


@contextmanager
def _missing_is_told(key: str) -> Iterator[None]:
    try:
        yield
    except ServerMissing as error:
        from tests.servers.catalogue import KINDS, known_to_install

        reason = f"{KINDS[key].name}: {error}"
        if os.environ.get("CI") and known_to_install(key):
            pytest.fail(f"{reason}; it is known to install on such a machine, so CI does not skip it", pytrace=False)
        pytest.skip(reason)
