"""A connection of the type ``exia`` becomes a library, or one sentence that says what is wrong with it."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.model_library.exceptions import FormatRefused, SignatureRefused
from airflow_provider_exia.model_library.formats import DEFAULT_FORMATS
from airflow_provider_exia.model_library.signing import generate_key

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

Connect = Callable[..., None]
PUBLIC = generate_key()[1] or ""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connect:
    """Set the fields of the default connection; stores in the test's folder unless it says otherwise."""

    def connect(*, password: str | None = None, **fields: Any) -> None:
        stores = {"documents": f"sqlite:///{tmp_path}/library.db", "blobs": f"file://{tmp_path}/blobs"}
        extra = {name: value for name, value in {**stores, **fields}.items() if value is not None}
        connection = {"conn_type": "exia", "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_EXIA_DEFAULT", json.dumps(connection))

    return connect


@pytest.fixture
def airflow_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in which Airflow lives."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def publish_with(library: ModelLibrary, folder: Path) -> str:
    (folder / "model.json").write_text("{}")
    return library.publish("delay", folder / "model.json", format="json").reference


def test_without_a_connection_the_library_lies_in_airflows_home(airflow_home: Path, tmp_path: Path) -> None:
    publish_with(ModelLibraryHook().library, tmp_path)

    assert (airflow_home / "exia" / "library.db").is_file()
    assert [path.name for path in (airflow_home / "exia" / "blobs").rglob("*.json")] == ["model.json"]


def test_a_connection_without_places_means_airflows_home_too(
    connect: Connect, airflow_home: Path, tmp_path: Path
) -> None:
    connect(documents="", blobs=None, trusted_types="a.B")
    hook = ModelLibraryHook()

    publish_with(hook.library, tmp_path)

    assert (airflow_home / "exia" / "library.db").is_file()
    assert hook.library.policy.trusted_types == ("a.B",)


def test_a_connection_says_where_the_library_lies(connect: Connect, tmp_path: Path) -> None:
    connect()
    hook = ModelLibraryHook()

    publish_with(hook.get_conn(), tmp_path)

    assert (tmp_path / "library.db").is_file()
    assert hook.library is hook.get_conn()


def test_another_connection_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        _ = ModelLibraryHook("exia_elsewhere").library

    assert str(caught.value) == (
        "connection 'exia_elsewhere' does not exist: make one of the type 'exia' in the Airflow UI, or name none to "
        "use the library below $AIRFLOW_HOME/exia"
    )


def test_a_url_in_the_place_of_an_id_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidInput, match="named by a URL: expected the id") as caught:
        _ = ModelLibraryHook("mongodb://ann:secret@host/exia").library

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("missing", ["documents", "blobs"])
def test_a_half_configured_connection_is_refused(connect: Connect, missing: str) -> None:
    connect(**{missing: None})

    with pytest.raises(InvalidInput, match=f"'exia_default': '{missing}' is empty; give both 'documents' and 'blobs'"):
        _ = ModelLibraryHook().library


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"documents": "mongodb://ann:secret@host/exia"},
            "'exia_default': 'documents' is no id of a connection: give one",
        ),
        ({"blobs": "s3://bucket"}, "'exia_default': 'blobs' is no id of a connection: give one"),
        ({"blobs": "/var/lib/exia"}, "'blobs' is no id of a connection: .* as in 'file:///srv/exia/blobs'"),
        ({"documents": "mongo_exia"}, "'exia_default': it names the connection 'mongo_exia', which does not exist"),
        ({"blobs": "minio_exia"}, "connection 'exia_default': 'bucket' is empty; give the bucket for the files"),
        ({"documents": None, "blobs": None, "bucket": "b"}, "'exia_default': it has a bucket and no stores; give both"),
        ({"prefix": "/models"}, "connection 'exia_default': prefix is '/models', expected words joined by '/'"),
        ({"prefix": "a/../b"}, "connection 'exia_default': prefix is 'a/../b', expected words joined by '/'"),
        ({"cache": "cache"}, "connection 'exia_default': cache is 'cache', expected the absolute path of a folder"),
        (
            {"bukcet": "models"},
            "connection 'exia_default': 'bukcet' in its extra is not known: expected one of blobs, ",
        ),
        ({"public_keys": "ed25519-public:short"}, "connection 'exia_default': accepted key 1 cannot be used"),
        (
            {"public_keys": generate_key("hmac")[0]},
            "^connection 'exia_default': accepted key 1 in 'public_keys' is no public key, .* a secret belongs",
        ),
        ({"public_keys": [PUBLIC, generate_key()[0]]}, "accepted key 2 in 'public_keys' is no public key, as in"),
        ({"protected_aliases": "champion"}, "connection 'exia_default': protected_aliases: it is no JSON"),
        ({"formats": "skops, pickle"}, "format 'pickle' is refused"),
        ({"formats": "pmml"}, "'pmml' is no model format: expected one of code, json, onnx, raw, safetensors, skops"),
        ({"max_bytes": "1 GB"}, "connection 'exia_default': max_bytes is '1 GB', expected a number of bytes"),
        ({"max_bytes": 0}, "connection 'exia_default': max_bytes is 0, expected a number of bytes"),
        ({"max_bytes": -1}, "connection 'exia_default': max_bytes is -1, expected a number of bytes"),
        (
            {"refuse_other_major": "perhaps"},
            "connection 'exia_default': refuse_other_major is 'perhaps', expected",
        ),
    ],
)
def test_a_field_that_makes_no_sense_is_refused_by_name(connect: Connect, fields: dict[str, Any], problem: str) -> None:
    connect(**fields)

    with pytest.raises((InvalidInput, FormatRefused), match=problem):
        _ = ModelLibraryHook().library


def test_a_connection_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EXIA_DEFAULT", json.dumps({"conn_type": "mongo", "host": "db"}))

    with pytest.raises(InvalidInput, match="connection 'exia_default' is of the type 'mongo', expected 'exia'"):
        _ = ModelLibraryHook().library


@pytest.mark.parametrize("words", ["a.B, c.D", "a.B\nc.D\n", ["a.B", "c.D"]])
def test_types_may_be_trusted_by_connection_and_task(connect: Connect, words: Any) -> None:
    connect(trusted_types=words)

    policy = ModelLibraryHook(trusted_types=("e.F",)).library.policy

    assert policy.trusted_types == ("a.B", "c.D", "e.F")


@pytest.mark.parametrize("between", [" ", "\n", ", "])
def test_the_password_may_hold_old_keys_behind_the_one_that_signs(
    connect: Connect, tmp_path: Path, between: str
) -> None:
    old, new = generate_key("hmac")[0], generate_key("hmac")[0]
    connect(password=old)
    (tmp_path / "model.json").write_text("1")
    before = ModelLibraryHook().library.publish("delay", tmp_path / "model.json", format="json", work="before")

    connect(password=f"{new}{between}{old}", public_keys=PUBLIC)
    library = ModelLibraryHook().library
    after = library.publish("delay", tmp_path / "model.json", format="json", work="after")

    assert [library.load(version) for version in (before, after)] == [1, 1]
    connect(password=new)
    with pytest.raises(SignatureRefused):
        ModelLibraryHook().library.load(before)
    assert ModelLibraryHook().library.load(after) == 1


def test_a_signed_pickle_is_read_only_by_who_asks_for_it(connect: Connect, tmp_path: Path) -> None:
    connect(password=generate_key("hmac")[0])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1, 2]))
    library = ModelLibraryHook().library
    reference = library.publish("delay", tmp_path / "model.pkl", format="pickle", work="one").reference

    with pytest.raises(FormatRefused, match="is a pickle file, and only"):
        library.load(reference)
    assert ModelLibraryHook(allow_pickle=True).library.load(reference) == [1, 2]
    connect()
    with pytest.raises(FormatRefused, match="no configured key says whose"):
        ModelLibraryHook(allow_pickle=True).library.load(reference)


@pytest.mark.parametrize(
    ("given", "expected"), [(True, True), ("true", True), ("false", False), ("", False), (0, False)]
)
def test_a_switch_may_be_written_as_text(connect: Connect, given: Any, expected: bool) -> None:
    connect(refuse_other_major=given)

    assert ModelLibraryHook().library.policy.refuse_other_major is expected


def test_limits_of_loading_come_from_the_connection(connect: Connect, tmp_path: Path) -> None:
    connect(formats="skops,raw", max_bytes="1")
    library = ModelLibraryHook().library
    reference = publish_with(library, tmp_path)

    with pytest.raises(FormatRefused, match="delay/1 has 2 bytes, more than the 1 allowed here"):
        library.load(reference)
    assert library.policy.formats == {"skops", "raw"}


def test_an_empty_connection_allows_every_format_of_any_size(connect: Connect) -> None:
    connect(formats="", max_bytes="")

    policy = ModelLibraryHook().library.policy

    assert (policy.formats, policy.max_bytes) == (DEFAULT_FORMATS, None)


def test_the_connection_test_leaves_nothing_behind(connect: Connect, tmp_path: Path) -> None:
    connect()
    hook = ModelLibraryHook()

    assert hook.test_connection() == (True, "a probe was written, read and removed in both stores")
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    assert hook.library.models() == []


@pytest.mark.parametrize("place", ["documents", "blobs"])
def test_the_connection_test_names_the_store_that_fails(connect: Connect, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    url = {"documents": f"sqlite:///{tmp_path}/file/library.db", "blobs": f"file://{tmp_path}/file/blobs"}
    connect(**{place: url[place]})

    succeeded, message = ModelLibraryHook().test_connection()

    assert not succeeded
    assert message.startswith(f"{place}: ")
    assert str(tmp_path) in message


def test_the_connection_test_says_what_is_wrong_with_the_connection(connect: Connect) -> None:
    connect(blobs=None)

    assert ModelLibraryHook().test_connection() == (
        False,
        "'blobs' is empty; give both 'documents' and 'blobs', or neither",
    )
    assert ModelLibraryHook("exia_elsewhere").test_connection()[0] is False


def test_a_trigger_reads_beforehand_every_connection_that_opening_asks_for(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect(documents=" shared_documents ", blobs=f"file://{tmp_path}/blobs")
    monkeypatch.setenv("AIRFLOW_CONN_SHARED_DOCUMENTS", "postgres://ann:secret@127.0.0.1/exia")
    hook = ModelLibraryHook()
    asyncio.run(hook.prepare())
    for name in ("EXIA_DEFAULT", "SHARED_DOCUMENTS"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}")

    assert hook.library.resources.documents is not None
