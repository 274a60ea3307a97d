"""The document stores that a library of another release may lie in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.session import fresh_documents_url


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers("mongo"))])
def documents_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a document store that nobody has used."""
    return f"sqlite:///{tmp_path}/library.db" if request.param == "sqlite" else fresh_documents_url(request.param)
