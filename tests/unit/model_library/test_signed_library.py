"""A library with keys: what it publishes is signed, and what nobody signed is not loaded from it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pytest

from airflow_provider_exia.model_library.exceptions import DamagedFile, FormatRefused, SignatureRefused
from airflow_provider_exia.model_library.library import ModelLibrary
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, Role, State, Version
from airflow_provider_exia.model_library.signing import check_signature, generate_key, read_keys
from airflow_provider_exia.storage.codec import to_document

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.resources import Resources
    from tests.unit.model_library.conftest import MakeFile, Publish

PRIVATE, PUBLIC = generate_key()
OTHER_PRIVATE, _ = generate_key()
Open = Callable[..., ModelLibrary]


@pytest.fixture
def opened(resources: Resources) -> Open:
    """Open the one library with other keys and another policy."""

    def call(signing: str | None = None, accepted: tuple[str, ...] = (), **policy: Any) -> ModelLibrary:
        keys = read_keys(signing, accepted)
        return ModelLibrary(replace(resources, keys=keys), policy=LoadPolicy(**policy), by="ann")

    return call


def stored(library: ModelLibrary, number: int = 1) -> dict[str, Any]:
    document = library.resources.documents.get(VERSIONS, {"model": "delay", "number": number})
    assert document is not None
    return dict(document)


# Publishing.


@pytest.mark.parametrize("algorithm", ["hmac", "ed25519"])
def test_what_is_published_with_a_key_is_signed_and_loads_with_it(
    opened: Open, make_file: MakeFile, algorithm: Any
) -> None:
    signing = opened(generate_key(algorithm)[0])

    version = signing.publish("delay", make_file(content=1), format="json")

    assert str(version.signature).startswith(f"{algorithm}:")
    assert stored(signing)["signature"] == version.signature
    assert check_signature(signing.resources.keys, version)
    assert signing.load("delay/1") == 1


def test_without_a_key_nothing_is_signed(library: ModelLibrary, publish: Publish) -> None:
    assert publish().signature is None
    assert stored(library)["signature"] is None


def test_who_only_verifies_loads_and_does_not_publish(opened: Open, make_file: MakeFile) -> None:
    opened(PRIVATE).publish("delay", make_file(content=1), format="json")
    reader = opened(None, (PUBLIC,))

    assert reader.load("delay/1") == 1
    with pytest.raises(SignatureRefused, match="a version of delay is refused: it would not be signed, and keys are"):
        reader.publish("delay", make_file(content=2), format="json")

    assert len(reader.versions("delay")) == 1


def test_a_version_that_was_begun_without_a_key_is_signed_by_who_finishes_it(
    library: ModelLibrary, opened: Open, publish: Publish, make_file: MakeFile
) -> None:
    begun = publish(value=7, work="work")
    documents = library.resources.documents
    documents.swap(
        VERSIONS, to_document(replace(begun, state=State.PENDING, ready_at=None)), revision=stored(library)["revision"]
    )
    signing = opened(PRIVATE)

    finished = signing.publish("delay", make_file(content=7), format="json", work="work")

    assert finished.number == begun.number
    assert signing.load("delay/1") == 7


def test_the_same_work_again_is_the_signed_version_that_it_is(opened: Open, make_file: MakeFile) -> None:
    signing = opened(PRIVATE)
    first = signing.publish("delay", make_file(content=1), format="json")

    assert signing.publish("delay", make_file(content=1), format="json") == first
    rotated = opened(OTHER_PRIVATE, (PUBLIC,))
    assert rotated.publish("delay", make_file(content=1), format="json") == first


def test_the_same_work_that_is_there_unsigned_is_not_returned_as_if_it_could_be_loaded(
    opened: Open, publish: Publish, make_file: MakeFile
) -> None:
    publish(value=1)
    signing = opened(PRIVATE)

    with pytest.raises(SignatureRefused, match="delay/1 is refused: it is not signed.*and another 'work'"):
        signing.publish("delay", make_file(content=1), format="json")

    again = signing.publish("delay", make_file(content=1), format="json", work="with the key")
    assert signing.load(again) == 1


def test_what_nobody_with_the_keys_could_load_is_not_promoted(opened: Open, publish: Publish) -> None:
    publish(value=1)
    keyed = opened(PRIVATE)

    with pytest.raises(SignatureRefused, match="delay/1 is refused: it is not signed"):
        keyed.promote("delay/1")

    assert keyed.history("delay") == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"format": "raw"}, id="format"),
        pytest.param({"files": [{"path": "model.json", "role": "other", "sha256": "0" * 64, "size": 1}]}, id="file"),
        pytest.param({"files": []}, id="no file"),
    ],
)
@pytest.mark.parametrize("state", [State.PENDING, State.READY])
def test_nobody_puts_a_publishers_name_under_another_list_of_files(
    opened: Open, make_file: MakeFile, changes: dict[str, Any], state: State
) -> None:
    signing = opened(PRIVATE)
    signing.publish("delay", make_file(content=7), format="json", work="work")
    document = stored(signing)
    tampered = {**document, **changes, "state": state.value, "signature": None}
    signing.resources.documents.swap(VERSIONS, tampered, revision=document["revision"])

    with pytest.raises(DamagedFile, match="its list of files was changed"):
        signing.publish("delay", make_file(content=7), format="json", work="work")

    assert stored(signing)["signature"] is None


# Loading.


def test_an_unsigned_version_is_refused_before_a_byte_is_fetched(
    library: ModelLibrary, opened: Open, publish: Publish, blob_path: Callable[[Version], Path], tmp_path: Path
) -> None:
    blob_path(publish(value=1)).unlink()
    strict = opened(None, (PUBLIC,))

    for use in (strict.load, lambda reference: strict.fetch(reference, tmp_path / "out")):
        with pytest.raises(SignatureRefused, match="delay/1 is refused: it is not signed"):
            use("delay/1")

    assert not (tmp_path / "out").exists()


def test_without_keys_a_signed_version_loads_as_any_other(
    library: ModelLibrary, opened: Open, make_file: MakeFile
) -> None:
    opened(PRIVATE).publish("delay", make_file(content=1), format="json")

    assert library.load("delay/1") == 1


def test_a_key_that_was_taken_off_the_list_is_no_longer_accepted(opened: Open, make_file: MakeFile) -> None:
    opened(PRIVATE).publish("delay", make_file(content=1), format="json")

    with pytest.raises(SignatureRefused, match="which is no key that is accepted here"):
        opened(OTHER_PRIVATE).load("delay/1")


# Files that run code when they are read.


class Canary:
    """An object whose pickle leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """There only if a pickle was read."""
    return tmp_path / "a-pickle-was-read"


@pytest.fixture(params=["pickle", "joblib"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path, mark: Path) -> SourceFile:
    """A file that runs code when it is read."""
    path = tmp_path / f"model.{request.param}"
    if request.param == "pickle":
        path.write_bytes(pickle.dumps(Canary(mark)))
    else:
        joblib.dump(Canary(mark), path)
    return SourceFile(source=path, role=Role.MODEL)


def test_a_pickle_is_not_published_without_a_key(library: ModelLibrary, hostile: SourceFile, mark: Path) -> None:
    with pytest.raises(FormatRefused, match="of 'delay' is refused without a signing key: reading it runs code"):
        library.publish("delay", [hostile], format=hostile.source.suffix[1:])

    assert library.models() == []
    assert not mark.exists()


@pytest.mark.parametrize(
    ("keys", "policy", "error", "match"),
    [
        pytest.param((), {}, FormatRefused, "only code, json, onnx", id="nothing"),
        pytest.param((), {"allow_pickle": True}, FormatRefused, "no configured key says whose", id="asked, no key"),
        pytest.param((PUBLIC,), {}, FormatRefused, "only code, json, onnx", id="signed, not asked"),
        pytest.param(
            (PUBLIC,),
            {"formats": frozenset({"pickle", "joblib"})},
            FormatRefused,
            "runs whatever code",
            id="listed only",
        ),
        pytest.param(
            (generate_key()[1],), {"allow_pickle": True}, SignatureRefused, "no key that is accepted", id="other key"
        ),
    ],
)
def test_a_pickle_is_read_neither_without_being_asked_nor_without_a_verified_signature(
    opened: Open,
    hostile: SourceFile,
    mark: Path,
    keys: tuple[str, ...],
    policy: dict[str, Any],
    error: type[Exception],
    match: str,
) -> None:
    opened(PRIVATE).publish("delay", [hostile], format=hostile.source.suffix[1:])

    with pytest.raises(error, match=match):
        opened(None, keys, **policy).load("delay/1")

    assert not mark.exists()


def test_a_signed_pickle_is_read_by_who_asks_for_it(opened: Open, hostile: SourceFile, mark: Path) -> None:
    opened(PRIVATE).publish("delay", [hostile], format=hostile.source.suffix[1:])

    opened(None, (PUBLIC,), allow_pickle=True, formats=frozenset({"json"})).load("delay/1")

    assert mark.exists()


def test_an_unsigned_pickle_that_somebody_put_there_is_not_read(opened: Open, hostile: SourceFile, mark: Path) -> None:
    signing = opened(PRIVATE)
    signing.publish("delay", [hostile], format=hostile.source.suffix[1:])
    document = stored(signing)
    signing.resources.documents.swap(VERSIONS, {**document, "signature": None}, revision=document["revision"])

    with pytest.raises(SignatureRefused, match="it is not signed"):
        opened(None, (PUBLIC,), allow_pickle=True).load("delay/1")

    assert not mark.exists()
