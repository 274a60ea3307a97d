"""Where the library lies when nobody configured one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.embedded import embedded_locations
from airflow_provider_exia.model_library.library import open_library

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import MakeFile


@pytest.mark.parametrize("name", ["airflow", "air flow", "air%20flow", "air#flow", "air?flow", "flüge"])
def test_whatever_the_home_is_called_both_stores_lie_below_it(tmp_path: Path, make_file: MakeFile, name: str) -> None:
    home = tmp_path / name
    documents, blobs = embedded_locations(home)

    with open_library(documents, blobs=blobs) as library:
        library.publish("delay", make_file(content=1), format="json")

    assert {path.name for path in home.iterdir()} == {"exia"}
    assert {"blobs", "library.db"} <= {path.name for path in (home / "exia").iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {name, "sources"}
