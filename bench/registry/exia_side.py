"""Our side of the registry bench: one process, one library."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_exia.model_library.library import open_library
from bench.registry.writers import run

MODEL = "delay"


class Exia:
    """A library with its documents in one store and its files in another.

    :param stores: ``documents`` and ``blobs``, their URLs
    """

    def __init__(self, stores: dict[str, str], _folder: Path) -> None:
        self._library = open_library(stores["documents"], blobs=stores["blobs"], by="bench")

    def publish(self, source: Path, work: str) -> None:
        self._library.publish(MODEL, source, format="json", work=work)

    def point_alias(self) -> None:
        self._library.promote(f"{MODEL}@latest")

    def resolve(self) -> None:
        self._library.resolve(f"{MODEL}@champion")


if __name__ == "__main__":
    run(Exia)
