"""Tampering with inline objects, whose bytes lie in the document: refused like a changed file, before any loader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.exceptions import DamagedFile, SignatureRefused
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.manifest import digest_of, publication_of
from airflow_provider_exia.model_library.records import VERSIONS, Version
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.signing import Keys, generate_key, read_keys
from airflow_provider_exia.storage.codec import DamagedDocument, to_document
from tests.faults.places import on
from tests.faults.test_tampering import (
    FORGED,
    OLDER,
    PUBLISHED,
    STORES,
    LoaderSpy,
    calls,
    described,
    json_bytes,
    loaders,
)

__all__ = ["loaders"]
TEXT, FORGED_TEXT = '{"serves":"the people"}', json_bytes(FORGED).decode()


@dataclass
class World:
    """A library with keys, whose second version is an inline object and whose third is a file."""

    library: ModelLibrary
    inline: Version
    filed: Version

    def change(self, version: Version, **fields: Any) -> None:
        """Change fields of a stored document, as somebody who may write that store."""
        document = {**to_document(version), **fields}
        documents = self.library.resources.documents
        documents.delete(VERSIONS, {"model": "delay", "publication": version.publication})
        documents.insert(VERSIONS, document)

    def forge(self) -> None:
        """Exchange the text, and compute all that belongs to it anew; the signature stays."""
        files = tuple(described(file, FORGED_TEXT.encode()) for file in self.inline.files)
        digest = digest_of(files, self.inline.format)
        publication = publication_of(self.inline.work, digest)
        forged = replace(
            self.inline, files=files, digest=digest, publication=publication, inline={"model.json": FORGED_TEXT}
        )
        self.change(self.inline, **to_document(forged))


@dataclass(frozen=True)
class Attack:
    """One way to tamper; as in the table of files.

    :param deceives: whether a library without keys then serves the forged value
    """

    act: Callable[[World], object]
    error: type[ExiaError]
    match: str
    deceives: bool = False
    reference: str = "delay/2"


def texts(**by_name: Any) -> Mapping[str, Any]:
    return {name.replace("_", "."): text for name, text in by_name.items()}


ATTACKS = {
    "text changed": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json=FORGED_TEXT)),
        DamagedFile,
        "its text in the document was changed|'model.json' is not",
    ),
    "text of another version": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json='{"served":"the people"}')),
        DamagedFile,
        "'model.json' is not",
    ),
    "text cut short": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json=TEXT[:-1])), DamagedFile, "'model.json' is not"
    ),
    "text under another path": Attack(
        lambda world: world.change(world.inline, inline=texts(other_json=TEXT)),
        DamagedFile,
        "a text that is none of its files",
    ),
    "text taken away": Attack(
        lambda world: world.change(world.inline, inline=None), DamagedFile, "'model.json' is not .*: there is none at"
    ),
    "text that is a number": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json=15)), DamagedDocument, "inline.model.json"
    ),
    "text that is an operator": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json={"$ne": ""})), DamagedDocument, "inline"
    ),
    "text that is no Unicode": Attack(
        lambda world: world.change(world.inline, inline=texts(model_json="\ud800")),
        DamagedDocument,
        "Version is damaged",
    ),
    "text put before a file": Attack(
        lambda world: world.change(world.filed, inline=texts(model_json=FORGED_TEXT)),
        DamagedFile,
        "'model.json' is not",
        reference="delay/3",
    ),
    "text changed, all digests fitting": Attack(
        lambda world: world.forge(), SignatureRefused, "delay/2 is refused: its signature does not fit", deceives=True
    ),
}


@pytest.fixture(params=on(*STORES))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    documents, blobs = STORES[request.param](tmp_path)
    resources = Resources(
        documents=documents, blobs=blobs, new_token=lambda: "token", keys=read_keys(generate_key()[0])
    )
    library = ModelLibrary(resources, by="ann")
    library.publish_inline("delay", OLDER)
    inline = library.publish_inline("delay", PUBLISHED)
    (tmp_path / "model.json").write_bytes(json_bytes(PUBLISHED))
    return World(library, inline, library.publish("delay", tmp_path / "model.json", format="json", work="filed"))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
@pytest.mark.parametrize("keys", [True, False], ids=["with-keys", "without-keys"])
def test_a_changed_inline_object_is_refused_before_any_loader(
    world: World, loaders: dict[str, LoaderSpy], attack: Attack, keys: bool, tmp_path: Path
) -> None:
    resources = world.library.resources
    victim = ModelLibrary(resources if keys else replace(resources, keys=Keys()))
    attack.act(world)

    if attack.deceives and not keys:
        assert victim.load(attack.reference) == FORGED
        return
    for use in (victim.load, victim.read_inline, lambda it: victim.fetch(it, tmp_path / "fetched")):
        if use == victim.read_inline and attack.reference == "delay/3":
            continue  # a file
        with pytest.raises(attack.error, match=attack.match) as refusal:
            use(attack.reference)
        assert str(refusal.value).isprintable()
    assert calls(loaders) == 0
    assert not list((tmp_path / "fetched").rglob("*"))


def test_untouched_inline_objects_are_read(world: World) -> None:
    assert [world.library.read_inline(f"delay/{number}") for number in (1, 2)] == [OLDER, PUBLISHED]
    assert world.library.load("delay/3") == PUBLISHED
