"""A worker of a release to come, whose versions have a further optional field: publishes, and uses it now and then.

python -m tests.compatibility.newer_worker DOCUMENTS BLOBS COUNT
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from airflow_provider_exia.model_library import records
from airflow_provider_exia.storage.codec import LATER, to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerVersion(records.Version):
    """A version that may have a colour."""

    colour: Annotated[str | None, LATER] = None


NewerVersion.__name__ = "Version"


def main(documents: str, blobs: str, count: int) -> None:
    """Publish ``count`` versions of ``rules`` and give every second one a colour."""
    records.Version = NewerVersion  # type: ignore[misc]  # before the rest of the library is imported
    from airflow_provider_exia.model_library.library import open_library

    with open_library(documents, blobs=blobs) as library, tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            file = Path(folder) / "model.json"
            file.write_text(f'{{"newer": {number}}}', encoding="utf-8")
            version = library.publish("rules", file, format="json")
            assert type(version) is NewerVersion
            if number % 2:
                coloured = to_document(replace(version, colour="blue"))
                library.resources.documents.swap(records.VERSIONS, coloured, revision=version.revision)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
