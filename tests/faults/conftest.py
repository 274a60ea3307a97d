"""The places of the fault tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.places import Place, place_on


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An unused place on the pair of stores that the test is parametrised with."""
    return place_on(request.param, tmp_path)
