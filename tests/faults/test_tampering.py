"""What an attacker with access to the stores can do: every change is refused, and no loader is ever called.

Two attackers. One writes to the blob store, or changes a document without making the rest fit: digests catch both, with
or without keys. The other can write both stores and computes everything anew as this package would: only a key catches
that one. For each attack the table says which it is, and both halves are tried: a library with keys refuses, one
without keys refuses or is deceived, as the table says.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library import formats
from airflow_provider_exia.model_library.cache import FileCache
from airflow_provider_exia.model_library.exceptions import DamagedFile, SignatureRefused
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.manifest import blob_key, digest_of, publication_of
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Role, Version
from airflow_provider_exia.model_library.resources import Resources
from airflow_provider_exia.model_library.signing import Ed25519Key, Keys, generate_key, read_key, read_keys, sign
from airflow_provider_exia.storage import mongo, sql
from airflow_provider_exia.storage.blobs import BlobStore, sha256_of
from airflow_provider_exia.storage.codec import DamagedDocument, to_document
from airflow_provider_exia.storage.documents import DocumentStore, body_text
from airflow_provider_exia.storage.local import LocalBlobs
from airflow_provider_exia.storage.sql import SqlDocuments
from tests.faults.places import on, place_on

Stores: TypeAlias = tuple[DocumentStore, BlobStore]


def _embedded(folder: Path) -> Stores:
    return SqlDocuments(f"sqlite:///{folder}/library.db"), LocalBlobs(folder / "blobs")


def _on_servers(folder: Path) -> Stores:
    place = place_on("mongo+minio", folder)
    return place.open_documents(), place.open_blobs()


STORES: dict[str, Callable[[Path], Stores]] = {"embedded": _embedded, "mongo+minio": _on_servers}
"""The pairs of stores that are attacked, made empty for each test."""

MODEL_FILE, HOLDOUT = "model.json", "holdout.bin"
PUBLISHED, OLDER, FORGED = {"serves": "the people"}, {"served": "the people"}, {"serves": "the attacker"}


@dataclass
class LoaderSpy:
    """A format that counts how often it is asked to read."""

    real: formats.Format
    calls: list[Any] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def load(self, path: Path, **arguments: Any) -> Any:
        self.calls.append(path.read_bytes())
        return self.real.load(path, **arguments)


@dataclass
class World:
    """A library with two signed versions of one model, and what an attacker can do to it.

    :param resources: its stores and keys
    :param folder: for files of the test
    :param older: ``delay/1``
    :param version: ``delay/2``, the one under attack
    """

    resources: Resources
    folder: Path
    older: Version
    version: Version
    attackers_key: Ed25519Key

    def write(self, version: Version, path: str, content: bytes) -> None:
        """Put bytes where a version's file lies."""
        source = self.folder / "written-by-the-attacker"
        source.write_bytes(content)
        self.resources.blobs.put(blob_key("models", version, path), source)

    def read(self, version: Version, path: str) -> bytes:
        """Return the stored bytes of a version's file."""
        with self.resources.blobs.open(blob_key("models", version, path)) as stream:
            return stream.read()

    def change(self, **fields: Any) -> None:
        """Change the document, and nothing that belongs to it."""
        self.replace_document({**self.document(), **fields})

    def document(self) -> dict[str, Any]:
        """Return the document under attack as it is stored."""
        found = self.resources.documents.get(VERSIONS, {"model": "delay", "number": 2})
        assert found is not None
        return dict(found)

    def replace_document(self, document: Mapping[str, Any]) -> None:
        """Store another document in its place, whatever its keys are."""
        documents = self.resources.documents
        documents.delete(VERSIONS, {"model": "delay", "publication": self.version.publication})
        documents.insert(VERSIONS, document)

    def forge(self, contents: Mapping[str, bytes] | None = None, **changes: Any) -> Version:
        """Change a version as one who knows this package: digest, publication and keys all fit again.

        :param contents: new bytes by path
        :param changes: other fields of the version; ``signature`` stays what it was unless it is one of them
        """
        bytes_of = {file.path: self.read(self.version, file.path) for file in self.version.files} | dict(contents or {})
        files = changes.pop("files", self.version.files)
        if contents:
            files = tuple(described(file, bytes_of[file.path]) for file in files)
        forged = replace(self.version, files=files, **changes)
        digest = digest_of(forged.files, forged.format)
        forged = replace(forged, digest=digest, publication=publication_of(forged.work, digest))
        for file in forged.files:
            self.write(forged, file.path, bytes_of[file.path])
        self.replace_document(to_document(forged))
        return forged

    def forge_signed(self, key: Any, name: str | None = None) -> None:
        """Replace the bytes and sign that with a key, under its own name or another one."""
        forged = self.forge({MODEL_FILE: json_bytes(FORGED)})
        signature = sign(key, forged)
        if name is not None:
            signature = f"{name}:{signature.rpartition(':')[2]}"
        self.resources.documents.delete(VERSIONS, {"model": "delay", "publication": forged.publication})
        self.resources.documents.insert(VERSIONS, to_document(replace(forged, signature=signature)))


def json_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def described(file: FileRecord, content: bytes) -> FileRecord:
    """Return the record of a file with other bytes."""
    sha256, size = sha256_of(io.BytesIO(content))
    return replace(file, sha256=sha256, size=size)


@dataclass(frozen=True)
class Attack:
    """One way to tamper.

    :param act: does it
    :param error: what a library with keys raises
    :param match: in its message
    :param deceives: what a library *without* keys then loads; None: it refuses as well, by ``error``
    :param reference: what the victim loads
    """

    act: Callable[[World], object]
    error: type[ExiaError]
    match: str
    deceives: Any = None
    reference: str = "delay/2"


def flip_a_byte(world: World) -> None:
    content = bytearray(world.read(world.version, MODEL_FILE))
    content[9] ^= 1
    world.write(world.version, MODEL_FILE, bytes(content))


def swap_files_of_versions(world: World) -> None:
    contents = world.read(world.older, HOLDOUT), world.read(world.version, HOLDOUT)
    world.write(world.older, HOLDOUT, contents[1])
    world.write(world.version, HOLDOUT, contents[0])


def swap_files_within(world: World) -> None:
    contents = world.read(world.version, MODEL_FILE), world.read(world.version, HOLDOUT)
    world.write(world.version, MODEL_FILE, contents[1])
    world.write(world.version, HOLDOUT, contents[0])


def roll_back(world: World) -> None:
    """The older version under the newer number, with the older one's own signature."""
    older = replace(world.older, number=2)
    for file in older.files:
        world.write(older, file.path, world.read(world.older, file.path))
    world.resources.documents.delete(VERSIONS, {"model": "delay", "publication": older.publication})
    world.replace_document(to_document(older))


def relabel(world: World, text: Version) -> None:
    """The text of another version in the row of this one: its signature fits, and so do its bytes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sql, mongo):
            patch.setattr(
                module,
                "body_text",
                lambda collection, _, revision: body_text(collection, to_document(text), revision=revision),
            )
        world.replace_document(world.document())


def rename_model(world: World) -> None:
    renamed = replace(world.version, model="rates")
    for file in renamed.files:
        world.write(renamed, file.path, world.read(world.version, file.path))
    world.replace_document(to_document(renamed))


def add_a_file(world: World) -> None:
    file = FileRecord(path="more.json", role=Role.OTHER, sha256="0" * 64, size=1)
    world.forge({file.path: b"more"}, files=(*world.version.files, file))


def exchange_roles(world: World) -> None:
    """The holdout becomes the model: the gate would judge on the one and serve the other."""
    roles = {Role.MODEL: Role.HOLDOUT, Role.HOLDOUT: Role.MODEL}
    world.forge(files=tuple(replace(file, role=roles[file.role]) for file in world.version.files))


def listed(world: World, *more: dict[str, Any], take: int = 2, **first: Any) -> list[dict[str, Any]]:
    """The document's list of files, changed."""
    files: list[dict[str, Any]] = world.document()["files"][:take]
    return [{**file, **first} if file["role"] == "model" else file for file in files] + list(more)


def model_record(world: World) -> FileRecord:
    found = world.version.file(Role.MODEL)
    assert found is not None
    return found


def with_path(world: World, path: str) -> None:
    """A manifest path that climbs, with all digests fitting it; the file itself needs not be there."""
    files = (replace(model_record(world), path=path),)
    digest = digest_of(files, "json")
    changed = replace(world.version, files=files, digest=digest, publication=publication_of(world.version.work, digest))
    world.replace_document(to_document(changed))


MORE = {"path": "more.json", "role": "other", "sha256": "0" * 64, "size": 1}
CHANGED_LIST = "delay/2: the stored file '.manifest.' .* its list of files was changed"
DOES_NOT_FIT = r"delay/2 is refused: its signature does not fit: ed25519:\w{8} has not signed"
DAMAGED_SIGNATURE = "delay/2 is refused: its signature is damaged"

ATTACKS = {
    # Bytes alone.
    "flipped byte": Attack(flip_a_byte, DamagedFile, "'model.json' is not .* its SHA-256 is"),
    "truncated": Attack(
        lambda world: world.write(world.version, MODEL_FILE, world.read(world.version, MODEL_FILE)[:-1]),
        DamagedFile,
        "'model.json' is not .*: 23 bytes, not 24",
    ),
    "appended bytes": Attack(
        lambda world: world.write(world.version, MODEL_FILE, world.read(world.version, MODEL_FILE) + b" "),
        DamagedFile,
        "'model.json' is not .*: 25 bytes or more, not 24",
    ),
    "another model's bytes": Attack(
        lambda world: world.write(world.version, MODEL_FILE, json_bytes(FORGED)),
        DamagedFile,
        "'model.json' is not .* bytes or more, not 24",
    ),
    "swapped files of two versions": Attack(
        swap_files_of_versions, DamagedFile, "'holdout.bin' is not .* its SHA-256 is"
    ),
    "swapped files within a version": Attack(swap_files_within, DamagedFile, "'holdout.bin' is not .* or more, not"),
    "file removed from the store": Attack(
        lambda world: world.resources.blobs.delete(blob_key("models", world.version, MODEL_FILE)),
        DamagedFile,
        "'model.json' is not .*: there is none at",
    ),
    # Documents that do not fit together any more.
    "extra field": Attack(
        lambda world: world.change(url="http://elsewhere/model.json"), DamagedDocument, "Version is damaged at 'url'"
    ),
    "extra field of a file": Attack(
        lambda world: world.change(files=listed(world, url="http://elsewhere")), DamagedDocument, "at 'files.1.url'"
    ),
    "operator instead of a text": Attack(
        lambda world: world.change(digest={"$ne": ""}), DamagedDocument, "Version is damaged at 'digest'"
    ),
    "digest that is a path": Attack(
        lambda world: world.change(files=listed(world, sha256="../../../etc/passwd")), DamagedDocument, "files.1.sha256"
    ),
    "file listed that was not published": Attack(
        lambda world: world.change(files=listed(world, MORE)), DamagedFile, CHANGED_LIST
    ),
    "file no longer listed": Attack(lambda world: world.change(files=listed(world, take=1)), DamagedFile, CHANGED_LIST),
    "size changed": Attack(lambda world: world.change(files=listed(world, size=1)), DamagedFile, CHANGED_LIST),
    "digest of a file changed": Attack(
        lambda world: world.change(files=listed(world, sha256="0" * 64)), DamagedFile, CHANGED_LIST
    ),
    "role changed": Attack(lambda world: world.change(files=listed(world, role="other")), DamagedFile, CHANGED_LIST),
    "format changed": Attack(lambda world: world.change(format="raw"), DamagedFile, CHANGED_LIST),
    "digest of the list changed": Attack(lambda world: world.change(digest="0" * 64), DamagedFile, CHANGED_LIST),
    "work changed": Attack(lambda world: world.change(work="another"), DamagedFile, CHANGED_LIST),
    "path that climbs, all digests fitting": Attack(
        lambda world: with_path(world, "../../climbed.json"), DamagedFile, "cannot name a file of a version"
    ),
    "absolute path, all digests fitting": Attack(
        lambda world: with_path(world, "/tmp/climbed.json"), DamagedFile, "cannot name a file of a version"
    ),
    # Both stores, everything computed anew: the signature is all that is left.
    "other bytes, all digests fitting": Attack(
        lambda world: world.forge({MODEL_FILE: json_bytes(FORGED)}), SignatureRefused, DOES_NOT_FIT, deceives=FORGED
    ),
    "other bytes and no signature": Attack(
        lambda world: world.forge({MODEL_FILE: json_bytes(FORGED)}, signature=None),
        SignatureRefused,
        "delay/2 is refused: it is not signed",
        deceives=FORGED,
    ),
    "rolled-back document": Attack(roll_back, SignatureRefused, DOES_NOT_FIT, deceives=OLDER),
    "text of an older version in the newer one's row": Attack(
        lambda world: relabel(world, world.older), DamagedDocument, "at 'publication': its text says"
    ),
    "text under another number": Attack(
        lambda world: relabel(world, replace(world.version, number=1)),
        DamagedDocument,
        "at 'number': its text says 1, and it is kept as 2",
    ),
    "signature of another version": Attack(
        lambda world: world.forge({MODEL_FILE: json_bytes(FORGED)}, signature=world.older.signature),
        SignatureRefused,
        DOES_NOT_FIT,
        deceives=FORGED,
    ),
    "signature of a foreign key": Attack(
        lambda world: world.forge_signed(world.attackers_key),
        SignatureRefused,
        r"signed with ed25519:\w{8}, which is no key that is accepted here",
        deceives=FORGED,
    ),
    "foreign key under the right key's name": Attack(
        lambda world: world.forge_signed(world.attackers_key, name=signing(world).name),
        SignatureRefused,
        DOES_NOT_FIT,
        deceives=FORGED,
    ),
    "public key as a shared secret": Attack(
        lambda world: world.forge_signed(public_as_secret(world)),
        SignatureRefused,
        r"signed with hmac:\w{8}, which is no key that is accepted here",
        deceives=FORGED,
    ),
    "public key as a shared secret under the right key's name": Attack(
        lambda world: world.forge_signed(public_as_secret(world), name=signing(world).name),
        SignatureRefused,
        DOES_NOT_FIT,
        deceives=FORGED,
    ),
    "signature that is none": Attack(
        lambda world: world.change(signature="none:00000000:"), SignatureRefused, DAMAGED_SIGNATURE, deceives=PUBLISHED
    ),
    "empty signature": Attack(
        lambda world: world.change(signature=""), SignatureRefused, DAMAGED_SIGNATURE, deceives=PUBLISHED
    ),
    "signature taken away": Attack(
        lambda world: world.change(signature=None), SignatureRefused, "it is not signed", deceives=PUBLISHED
    ),
    "file added, all digests fitting": Attack(add_a_file, SignatureRefused, DOES_NOT_FIT, deceives=PUBLISHED),
    "file taken away, all digests fitting": Attack(
        lambda world: world.forge(files=(model_record(world),)), SignatureRefused, DOES_NOT_FIT, deceives=PUBLISHED
    ),
    "roles exchanged, all digests fitting": Attack(
        exchange_roles, SignatureRefused, DOES_NOT_FIT, deceives=["the rows of", 2]
    ),
    "format changed, all digests fitting": Attack(
        lambda world: world.forge(format="raw"), SignatureRefused, DOES_NOT_FIT, deceives=json_bytes(PUBLISHED)
    ),
    "model renamed": Attack(
        rename_model,
        SignatureRefused,
        "rates/2 is refused: its signature does not fit",
        deceives=PUBLISHED,
        reference="rates/2",
    ),
    "number changed": Attack(
        lambda world: world.forge(number=7),
        SignatureRefused,
        "delay/7 is refused: its signature does not fit",
        deceives=PUBLISHED,
        reference="delay/7",
    ),
}
"""Each kind of tampering by name. ``deceives`` is the honest half: what a library without keys would serve."""


def signing(world: World) -> Ed25519Key:
    key = world.resources.keys.signing
    assert isinstance(key, Ed25519Key)
    return key


def public_as_secret(world: World) -> Any:
    """The trick that broke other formats: what is public is used as a secret of the weaker algorithm."""
    return read_key(f"hmac:{base64.b64encode(signing(world).public).decode()}")


@pytest.fixture(params=on(*STORES))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A library on one kind of stores, with two signed versions."""
    documents, blobs = STORES[request.param](tmp_path)
    resources = Resources(
        documents=documents, blobs=blobs, new_token=lambda: "token", keys=read_keys(generate_key()[0])
    )
    library = ModelLibrary(resources, by="ann")
    versions = []
    for number, value in ((1, OLDER), (2, PUBLISHED)):
        (tmp_path / MODEL_FILE).write_bytes(json_bytes(value))
        (tmp_path / HOLDOUT).write_bytes(json_bytes(["the rows of", number]))
        files = [
            SourceFile(source=tmp_path / HOLDOUT, role=Role.HOLDOUT),
            SourceFile(source=tmp_path / MODEL_FILE),
        ]
        versions.append(library.publish("delay", files, format="json"))
    attackers_key = read_key(generate_key()[0])
    assert isinstance(attackers_key, Ed25519Key)
    yield World(resources, tmp_path, versions[0], versions[1], attackers_key)
    library.close()


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> dict[str, LoaderSpy]:
    """Every format there is, watched."""
    spies = {name: LoaderSpy(real) for name, real in formats.FORMATS.items()}
    for name, spy in spies.items():
        monkeypatch.setitem(formats.FORMATS, name, spy)
    return spies


def calls(loaders: Mapping[str, LoaderSpy]) -> int:
    return sum(len(spy.calls) for spy in loaders.values())


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
@pytest.mark.parametrize("cached", [False, True], ids=["", "cached"])
def test_with_a_key_it_is_refused_before_any_loader_and_nothing_is_left(
    world: World, loaders: dict[str, LoaderSpy], attack: Attack, cached: bool, tmp_path: Path
) -> None:
    cache = FileCache(folder=tmp_path / "cache") if cached else None
    victim = ModelLibrary(world.resources, policy=LoadPolicy(cache=cache))
    attack.act(world)

    with pytest.raises(attack.error, match=attack.match):
        victim.load(attack.reference)
    with pytest.raises(attack.error, match=attack.match):
        victim.fetch(attack.reference, tmp_path / "fetched")

    assert calls(loaders) == 0
    assert not (tmp_path / "fetched").exists() or list((tmp_path / "fetched").iterdir()) == []
    assert not list(tmp_path.parent.rglob("climbed.json"))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_without_a_key_it_is_refused_too_or_deceives_as_the_table_says(
    world: World, loaders: dict[str, LoaderSpy], attack: Attack, tmp_path: Path
) -> None:
    victim = ModelLibrary(replace(world.resources, keys=Keys()))
    attack.act(world)

    if attack.deceives is not None:
        assert victim.load(attack.reference) == attack.deceives
        return
    with pytest.raises(attack.error, match=attack.match):
        victim.load(attack.reference)
    with pytest.raises(attack.error, match=attack.match):
        victim.fetch(attack.reference, tmp_path / "fetched")

    assert calls(loaders) == 0
    assert not (tmp_path / "fetched").exists() or list((tmp_path / "fetched").iterdir()) == []


@pytest.mark.parametrize("key", ["private", "public"])
def test_untouched_versions_load_with_the_private_and_with_the_public_key(
    world: World, loaders: dict[str, LoaderSpy], key: str, tmp_path: Path
) -> None:
    public = Keys(accepted=(Ed25519Key(public=signing(world).public),))
    victim = ModelLibrary(world.resources if key == "private" else replace(world.resources, keys=public))

    assert (victim.load("delay/1"), victim.load("delay/2")) == (OLDER, PUBLISHED)
    victim.fetch("delay/2", tmp_path / "fetched")

    assert calls(loaders) == 2
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == [HOLDOUT, MODEL_FILE]


def test_the_bytes_that_were_cached_before_an_attack_do_not_hide_it(
    world: World, loaders: dict[str, LoaderSpy], tmp_path: Path
) -> None:
    victim = ModelLibrary(world.resources, policy=LoadPolicy(cache=FileCache(folder=tmp_path / "cache")))
    victim.load("delay/1")
    victim.load("delay/2")
    before = calls(loaders)
    roll_back(world)  # every file of it is in the cache

    with pytest.raises(SignatureRefused, match=DOES_NOT_FIT):
        victim.load("delay/2")

    assert calls(loaders) == before
