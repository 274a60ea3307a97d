"""The one door through which stored models come back: everything is checked before a loader sees a file."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from airflow_provider_exia.model_library import formats, loading
from airflow_provider_exia.model_library.exceptions import DamagedFile, FormatRefused, VersionCollected
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy, OtherEnvironment
from airflow_provider_exia.model_library.manifest import digest_of, publication_of
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Lineage, Role, State, Version
from airflow_provider_exia.storage.codec import DamagedDocument, to_document

if TYPE_CHECKING:
    from tests.unit.model_library.conftest import MakeFile, Publish

BlobPath = Callable[..., Path]
VALUE = {"weights": [1, 2, 3, 4, 5, 6, 7, 8]}


@dataclass
class LoaderSpy:
    """A format that remembers what it was asked to read."""

    name: str = "json"
    suffix: str = ".json"
    libraries: tuple[str, ...] = ()
    seen: list[bytes] = field(default_factory=list)

    def check(self, path: Path) -> None:
        pass

    def save(self, model: Any, path: Path) -> None:
        path.write_text(json.dumps(model))

    def load(self, path: Path, *, trust: formats.Trust) -> Any:
        self.seen.append(path.read_bytes())
        return json.loads(self.seen[-1])


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> LoaderSpy:
    """The json loader, watched."""
    spy = LoaderSpy()
    monkeypatch.setitem(formats.FORMATS, "json", spy)
    return spy


def tamper(library: ModelLibrary, version: Version, **changes: Any) -> Version:
    """Change a stored document behind the library's back, as somebody with access to the store can."""
    documents = library.resources.documents
    document = documents.get(VERSIONS, {"model": version.model, "number": version.number})
    assert document is not None
    documents.delete(VERSIONS, {"model": version.model, "publication": version.publication})
    documents.insert(VERSIONS, {**document, **changes})
    return version


def consistent(version: Version, *, format_name: str = "json", **first_file: Any) -> dict[str, Any]:
    """The fields of a manifest that was changed together with all its digests."""
    listed = (replace(version.files[0], **first_file), *version.files[1:])
    digest = digest_of(listed, format_name)
    return {
        "files": to_document(replace(version, files=listed))["files"],
        "format": format_name,
        "digest": digest,
        "publication": publication_of(version.work, digest),
    }


def test_the_loader_is_given_the_published_bytes(library: ModelLibrary, publish: Publish, loader: LoaderSpy) -> None:
    version = publish(value=VALUE)

    loaded, which = library.load_version("delay/1")

    assert (loaded, which) == (VALUE, version)
    assert loader.seen == [json.dumps(VALUE).encode()]


def flip_a_bit(content: bytes) -> bytes:
    return content[:9] + bytes([content[9] ^ 1]) + content[10:]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(flip_a_bit, "its SHA-256 is", id="flipped bit"),
        pytest.param(lambda content: content[:-1], "bytes, not", id="truncated"),
        pytest.param(lambda _: b"", "0 bytes, not", id="emptied"),
        pytest.param(lambda content: content + b" ", "bytes or more, not", id="longer"),
        pytest.param(lambda content: content * 1_000_000, "bytes or more, not", id="much longer"),
    ],
)
def test_a_damaged_file_is_refused_before_any_loader_sees_it(
    library: ModelLibrary,
    publish: Publish,
    blob_path: BlobPath,
    loader: LoaderSpy,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    problem: str,
) -> None:
    path = blob_path(publish(value=VALUE))
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DamagedFile, match=f"delay/1: the stored file 'model.json' is not the one .*{problem}"):
        library.load("delay/1")
    with pytest.raises(DamagedFile, match=problem):
        library.fetch("delay/1", tmp_path / "out")

    assert loader.seen == []
    assert list((tmp_path / "out").iterdir()) == []


def test_two_files_that_were_swapped_are_refused(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath, loader: LoaderSpy
) -> None:
    first, second = blob_path(publish(value=[1, 2])), blob_path(publish(value=[2, 1]))
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])

    for reference in ("delay/1", "delay/2"):
        with pytest.raises(DamagedFile, match="its SHA-256 is"):
            library.load(reference)

    assert loader.seen == []


def test_a_damaged_file_of_another_role_is_refused_too(
    library: ModelLibrary, make_file: MakeFile, blob_path: BlobPath, loader: LoaderSpy
) -> None:
    files = [
        SourceFile(source=make_file("model.json", 1)),
        SourceFile(source=make_file("words.txt", b"words"), path="text/words.txt", role=Role.OTHER),
    ]
    version = library.publish("delay", files, format="json")
    blob_path(version, "text/words.txt").write_bytes(b"w0rds")

    with pytest.raises(DamagedFile, match="'text/words.txt'"):
        library.load("delay/1")

    assert loader.seen == []


def test_a_file_that_is_gone_though_its_version_is_ready_is_said_to_be_gone(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath
) -> None:
    blob_path(publish(value=VALUE)).unlink()
    library.promote("delay/1")

    for reference in ("delay/1", "delay@champion"):
        with pytest.raises(
            DamagedFile, match=r"delay/1: the stored file 'model\.json' .* none at 'models/delay.* with another 'work'"
        ):
            library.load(reference)


def test_the_files_of_a_collected_version_are_said_to_be_collected(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath
) -> None:
    version = publish(value=VALUE)
    tamper(library, version, state=State.COLLECTED.value)
    blob_path(version).unlink()

    with pytest.raises(VersionCollected, match="delay/1 was retired and its files were collected"):
        library.load("delay/1")


def test_a_version_that_is_collected_under_the_hands_of_a_load_by_alias_is_resolved_again(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath
) -> None:
    first, second = publish(value=1), publish(value=2)
    resolved: list[Version] = []

    def resolve() -> Version:
        # The alias named the first version at the first look; then it moved on and the first was collected.
        if not resolved:
            tamper(library, first, state=State.COLLECTED.value)
            blob_path(first).unlink()
        resolved.append(second if resolved else first)
        return resolved[-1]

    loaded, which = loading.load(library.resources, resolve, LoadPolicy())

    assert (loaded, which) == (2, second)
    assert resolved == [first, second]


def test_resolving_again_ends(library: ModelLibrary, publish: Publish, blob_path: BlobPath) -> None:
    version = publish(value=1)
    tamper(library, version, state=State.COLLECTED.value)
    blob_path(version).unlink()
    looks: list[int] = []

    def resolve() -> Version:
        looks.append(1)
        return version

    with pytest.raises(VersionCollected):
        loading.load(library.resources, resolve, LoadPolicy())

    assert len(looks) == 3


# Stored documents that somebody changed.


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"files": []}, id="no files"),
        pytest.param({"format": "raw"}, id="format"),
        pytest.param({"work": "another"}, id="work"),
        pytest.param({"digest": "0" * 64}, id="digest"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    library: ModelLibrary, publish: Publish, loader: LoaderSpy, changes: dict[str, Any]
) -> None:
    tamper(library, publish(value=VALUE), **changes)

    with pytest.raises(DamagedFile, match="its list of files was changed"):
        library.load("delay/1")

    assert loader.seen == []


@pytest.mark.parametrize(
    "path", ["../../../../etc/passwd", "/etc/passwd", "a/../../b", "..\\b", ".bashrc", "a\x00", "", "a//b"]
)
def test_a_path_that_plays_tricks_is_refused_though_all_digests_agree(
    library: ModelLibrary, publish: Publish, loader: LoaderSpy, tmp_path: Path, path: str
) -> None:
    version = publish(value=VALUE)
    tamper(library, version, **consistent(version, path=path))

    with pytest.raises(DamagedFile, match="cannot name a file of a version"):
        library.fetch("delay/1", tmp_path / "out")
    with pytest.raises(DamagedFile, match="cannot name a file of a version"):
        library.load("delay/1")

    assert loader.seen == []
    assert not (tmp_path / "out").exists()


def test_paths_in_each_others_way_are_refused_though_all_digests_agree(
    library: ModelLibrary, publish: Publish, tmp_path: Path
) -> None:
    version = publish(value=VALUE)
    more = FileRecord(path="model.json/more", role=Role.OTHER, sha256="0" * 64, size=1)
    tamper(library, version, **consistent(replace(version, files=(*version.files, more))))

    with pytest.raises(DamagedFile, match="cannot be a file and the folder of"):
        library.fetch("delay/1", tmp_path / "out")


def test_a_model_name_in_a_document_that_leads_elsewhere_is_refused(
    library: ModelLibrary, publish: Publish, tmp_path: Path
) -> None:
    publish(value=VALUE)
    engine = sa.create_engine(f"sqlite:///{tmp_path}/library.db")
    with engine.begin() as connection:  # the body only: the key columns still say 'delay'
        connection.execute(
            sa.text("UPDATE exia_versions SET body = replace(body, :there, :elsewhere)"),
            {"there": '"model":"delay"', "elsewhere": '"model":"../../elsewhere"'},
        )
    engine.dispose()

    with pytest.raises(DamagedDocument, match="at 'model': its text says '../../elsewhere', and it is kept as 'delay'"):
        library.load("delay/1")


def test_a_document_with_an_unknown_field_is_refused(
    library: ModelLibrary, publish: Publish, loader: LoaderSpy
) -> None:
    tamper(library, publish(value=VALUE), url="http://elsewhere/model.json")

    with pytest.raises(DamagedDocument, match="a stored Version is damaged at 'url'"):
        library.load("delay/1")

    assert loader.seen == []


def test_a_document_that_claims_to_be_a_pickle_is_refused_though_all_digests_agree(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath, loader: LoaderSpy
) -> None:
    version = publish(value=VALUE)
    changed = consistent(version, format_name="pickle")
    target = blob_path(replace(version, publication=changed["publication"]))
    target.parent.mkdir(parents=True)
    target.write_bytes(blob_path(version).read_bytes())
    tamper(library, version, **changed)

    with pytest.raises(
        FormatRefused,
        match="delay/1 is a pickle file, and only code, json, onnx, raw, safetensors, skops may be loaded here",
    ):
        library.load("delay/1")
    everything = ModelLibrary(library.resources, policy=LoadPolicy(formats=frozenset({"json", "pickle"})))
    with pytest.raises(FormatRefused, match="runs whatever code its writer put into it"):
        everything.load("delay/1")

    assert loader.seen == []


# What the operator's configuration allows.


def test_a_format_that_is_not_allowed_here_is_refused(
    library: ModelLibrary, publish: Publish, loader: LoaderSpy
) -> None:
    publish(value=VALUE)
    strict = ModelLibrary(library.resources, policy=LoadPolicy(formats=frozenset({"skops"})))

    with pytest.raises(FormatRefused, match="delay/1 is a json file, and only skops may be loaded here: see 'formats'"):
        strict.load("delay/1")

    assert loader.seen == []


def test_a_version_larger_than_allowed_is_refused_before_a_byte_is_fetched(
    library: ModelLibrary, publish: Publish, blob_path: BlobPath
) -> None:
    version = publish(value=VALUE)
    blob_path(version).unlink()
    small = ModelLibrary(library.resources, policy=LoadPolicy(max_bytes=version.size - 1))
    enough = ModelLibrary(library.resources, policy=LoadPolicy(max_bytes=version.size))

    with pytest.raises(
        FormatRefused, match=f"delay/1 has {version.size} bytes, more than the {version.size - 1} allowed"
    ):
        small.load("delay/1")
    with pytest.raises(DamagedFile, match="there is none"):
        enough.load("delay/1")


def test_the_trust_list_is_the_operators(library: ModelLibrary, publish: Publish, loader: LoaderSpy) -> None:
    publish(value=VALUE)
    trusting = ModelLibrary(library.resources, policy=LoadPolicy(trusted_types=("some.Type",)))
    given: list[Sequence[str]] = []
    loader.load = lambda _path, *, trust: given.append(trust.types)

    trusting.load("delay/1")
    library.load("delay/1")

    assert given == [("some.Type",), ()]


# The environment it was trained in.


@pytest.fixture
def trained_elsewhere(publish: Publish, loader: LoaderSpy) -> Callable[[str], Version]:
    """A version whose lineage names a version of pydantic, which the watched format depends on."""
    loader.libraries = ("pydantic",)

    def call(trained_with: str) -> Version:
        return publish(value=VALUE, lineage=Lineage(environment={"pydantic": trained_with}))

    return call


def test_another_major_version_of_the_library_warns(
    library: ModelLibrary, trained_elsewhere: Callable[[str], Version]
) -> None:
    trained_elsewhere("1.10")

    with pytest.warns(OtherEnvironment, match=r"delay/1 was trained with pydantic 1\.10; here is 2\."):
        loaded = library.load("delay/1")

    assert loaded == VALUE


def test_another_major_version_of_the_library_is_refused_where_configured(
    library: ModelLibrary, trained_elsewhere: Callable[[str], Version], loader: LoaderSpy
) -> None:
    trained_elsewhere("1.10")
    strict = ModelLibrary(library.resources, policy=LoadPolicy(refuse_other_major=True))

    with pytest.raises(
        FormatRefused, match="pydantic 1.10; here is .*: install the same major version, or train again"
    ):
        strict.load("delay/1")

    assert loader.seen == []


@pytest.mark.parametrize("trained_with", ["2.0", "2"])
def test_the_same_major_version_is_silent(
    library: ModelLibrary, trained_elsewhere: Callable[[str], Version], trained_with: str
) -> None:
    trained_elsewhere(trained_with)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert library.load("delay/1") == VALUE


# Fetching files.


def test_fetched_files_lie_at_their_paths_and_nothing_else_does(
    library: ModelLibrary, make_file: MakeFile, tmp_path: Path
) -> None:
    files = [
        SourceFile(source=make_file("model.json", 1)),
        SourceFile(source=make_file("deep.bin", b"deep"), path="a/b/c/deep.bin", role=Role.OTHER),
    ]
    library.publish("delay", files, format="json")

    version = library.fetch("delay/1", tmp_path / "new" / "folder")

    found = {path.relative_to(tmp_path / "new" / "folder") for path in (tmp_path / "new" / "folder").rglob("*")}
    assert {path.as_posix() for path in found} == {"model.json", "a", "a/b", "a/b/c", "a/b/c/deep.bin"}
    assert version.reference == "delay/1"
    assert (tmp_path / "new" / "folder" / "a/b/c/deep.bin").read_bytes() == b"deep"


def test_fetching_again_replaces_what_is_there(library: ModelLibrary, publish: Publish, tmp_path: Path) -> None:
    publish(value=1)
    publish(value=2)

    library.fetch("delay/1", tmp_path / "out")
    library.fetch("delay/2", tmp_path / "out")

    assert (tmp_path / "out" / "model.json").read_text() == "2"


def test_a_link_in_the_folder_is_replaced_and_not_followed(
    library: ModelLibrary, publish: Publish, tmp_path: Path
) -> None:
    publish(value=VALUE)
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.json").symlink_to(precious)

    library.fetch("delay/1", tmp_path / "out")

    assert precious.read_text() == "keep me"
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == VALUE


def test_an_archive_that_unpacks_to_more_than_allowed_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", " " * 1_000_000)
    library.publish("delay", tmp_path / "model.skops", format="skops", work="one")
    limited = ModelLibrary(library.resources, policy=LoadPolicy(max_bytes=10_000))

    with pytest.raises(FormatRefused, match="unpacks to 1000000 bytes, more than the 10000 allowed here"):
        limited.load("delay/1")
