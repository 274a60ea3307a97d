"""How model files are recognised, written and read."""

from __future__ import annotations

import builtins
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats import DEFAULT_FORMATS, FORMATS, Trust, check_format, format_named

SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def archive(*, compression: int = zipfile.ZIP_STORED, **members: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as made:
        for name, content in members.items():
            made.writestr(name.replace("__", "."), content)
    return written.getvalue()


class Stranger:
    """A type that nobody put on a trust list."""

    def __init__(self, value: int = 0) -> None:
        self.value = value


def test_the_formats_are_these() -> None:
    assert set(FORMATS) == {"code", "joblib", "json", "onnx", "pickle", "raw", "safetensors", "skops"}
    assert set(FORMATS) - DEFAULT_FORMATS == {"joblib", "pickle"}


@pytest.mark.parametrize("name", ["pickle", "pkl", "joblib", "dill", "cloudpickle"])
def test_pickle_and_its_kind_are_refused_with_the_reason_and_what_to_use(name: str) -> None:
    with pytest.raises(FormatRefused, match=f"'{name}' is refused: .*runs whatever code its writer put.*use skops"):
        format_named(name)


@pytest.mark.parametrize("name", ["", "onnx2", "JSON", "json "])
def test_an_unknown_format_is_refused_with_those_there(name: str) -> None:
    with pytest.raises(
        InvalidInput, match="is no model format: expected one of code, json, onnx, raw, safetensors, skops"
    ):
        format_named(name)


@pytest.mark.parametrize("name", ["model.pkl", "model.PICKLE", "model.joblib"])
def test_a_pickle_is_not_smuggled_in_as_raw_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps([1]))

    with pytest.raises(FormatRefused, match="runs whatever code"):
        check_format("raw", path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("json", b"{", "is not a JSON file"),
        ("json", b"\xff\xfe\x00", "is not a JSON file"),
        ("json", b"[" * 100_000, "is not a JSON file"),
        ("json", pickle.dumps([1]), "is not a JSON file"),
        ("skops", b"{}", "is not a skops file .* write it with skops.io.dump"),
        ("skops", pickle.dumps([1]), "is not a skops file"),
        ("skops", archive(other__json="{}"), "is not a skops file"),
        ("skops", archive(schema__json="{}")[:40], "is not a skops file"),
    ],
)
def test_a_file_of_another_format_is_refused_by_name(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = tmp_path / "model.file"
    path.write_bytes(content)

    with pytest.raises(WrongFormat, match=f"model.file {problem}"):
        check_format(name, path)


@SAME_FOLDER
@given(
    name=st.sampled_from(["json", "skops"]),
    content=st.binary(max_size=60)
    | st.builds(
        lambda at, byte: archive(schema__json="{}")[:at] + byte + archive(schema__json="{}")[at + 1 :],
        st.integers(0, 130),
        st.binary(min_size=1, max_size=1),
    ),
)
@example(name="skops", content=archive(schema__json="{}").replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"))
def test_looking_at_any_bytes_ends_in_yes_or_wrong_format(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "model.file"
    path.write_bytes(content)

    try:
        check_format(name, path)
    except WrongFormat:
        return

    if name == "json":
        json.loads(content)
    else:
        assert content.startswith(b"PK") or b"PK" in content


def test_looking_deserialises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(archive(schema__json="{}"))
    for module in [name for name in sys.modules if name.partition(".")[0] in ("skops", "sklearn")]:
        monkeypatch.delitem(sys.modules, module)

    check_format("skops", path)

    assert "skops" not in sys.modules


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "ü"]}, [], 0, "text"])
def test_a_json_model_is_read_back_the_same(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "model.json"

    format_named("json").save(value, path)

    check_format("json", path)
    assert format_named("json").load(path, trust=Trust()) == value


@pytest.mark.parametrize(
    "value", [Stranger(), {"a": {1, 2}}, b"bytes", float("nan"), [float("inf")], {("a", "b"): 1}], ids=repr
)
def test_a_value_that_json_cannot_hold_is_refused_with_its_type(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "model.json"

    with pytest.raises(InvalidInput, match=f"a model of type {type(value).__name__} cannot be written as json"):
        format_named("json").save(value, path)

    assert not path.exists()


def test_a_value_that_holds_itself_is_refused(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    around: list[Any] = []
    around.append(around)

    for value in (deep, around):
        with pytest.raises(InvalidInput, match="cannot be written as json"):
            format_named("json").save(value, tmp_path / "model.json")


def test_raw_bytes_are_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"

    format_named("raw").save(b"\x00\x01", path)

    check_format("raw", path)
    assert format_named("raw").load(path, trust=Trust()) == b"\x00\x01"


def test_what_is_no_bytes_is_refused_as_raw(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a model of type str cannot be written as raw: return bytes"):
        format_named("raw").save("text", tmp_path / "model.bin")


@pytest.fixture(scope="module")
def fitted() -> Any:
    """A small fitted classifier."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])


def test_a_skops_model_predicts_the_same_after_it_was_read_back(tmp_path: Path, fitted: Any) -> None:
    path = tmp_path / "model.skops"

    format_named("skops").save(fitted, path)

    check_format("skops", path)
    loaded = format_named("skops").load(path, trust=Trust())
    assert loaded.predict_proba([[1.5]]).tolist() == fitted.predict_proba([[1.5]]).tolist()


def test_an_untrusted_type_is_named_and_never_built(
    tmp_path: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, built = tmp_path / "model.skops", []
    fitted_with_stranger = pickle.loads(pickle.dumps(fitted))
    fitted_with_stranger.extra = Stranger(7)
    format_named("skops").save(fitted_with_stranger, path)
    monkeypatch.setattr(Stranger, "__new__", lambda kind, *_: built.append(kind) or object.__new__(kind))
    name = f"{Stranger.__module__}.{Stranger.__qualname__}"

    with pytest.raises(FormatRefused, match=f"holds types that nobody trusts here: {name}; .*'trusted_types'"):
        format_named("skops").load(path, trust=Trust())

    assert built == []
    assert format_named("skops").load(path, trust=Trust(types=(name,))).extra.value == 7


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "model.skops", []
    path.write_bytes(archive(compression=zipfile.ZIP_DEFLATED, schema__json="{}", zeros="0" * 1_000_000))
    assert path.stat().st_size < 2_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *asked, **_: opened.append(asked))

    with pytest.raises(FormatRefused, match=r"model\.skops unpacks to 1000002 bytes, more than the 1000001 allowed"):
        format_named("skops").load(path, trust=Trust(max_bytes=1_000_001))

    assert opened == []


def test_a_model_as_large_as_is_allowed_is_read(tmp_path: Path, fitted: Any) -> None:
    path = tmp_path / "model.skops"
    format_named("skops").save(fitted, path)

    loaded = format_named("skops").load(path, trust=Trust(max_bytes=path.stat().st_size))

    assert loaded.predict([[0.0]]).tolist() == [0]


def test_a_model_that_skops_cannot_write_is_refused_with_its_type(tmp_path: Path) -> None:
    def generator() -> Any:
        yield 1

    with pytest.raises(InvalidInput, match="a model of type generator cannot be written as skops"):
        format_named("skops").save(generator(), tmp_path / "model.skops")


@pytest.mark.parametrize("schema", ["", "{}", "[]", '{"__loader__": "NoSuchNode"}', '{"protocol": 1, "__id__": 1}'])
def test_an_archive_that_skops_did_not_write_is_of_the_wrong_format(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(archive(schema__json=schema))

    with pytest.raises(WrongFormat, match=r"model\.skops cannot be read as a skops file"):
        format_named("skops").load(path, trust=Trust())


@pytest.mark.parametrize("call", ["writing", "reading"])
def test_a_missing_extra_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "skops"]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "skops":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr("importlib.import_module", refuse)  # as on a machine without the extra
    path: Path = tmp_path / "model.skops"
    path.write_bytes(archive(schema__json="{}"))
    calls = {
        "writing": lambda: format_named("skops").save(object(), path),
        "reading": lambda: format_named("skops").load(path, trust=Trust()),
    }

    with pytest.raises(MissingExtra, match=rf"{call} a skops file .*pip install 'airflow-provider-exia\[sklearn\]'"):
        calls[call]()


def test_every_format_can_be_used_by_its_own_name(tmp_path: Path) -> None:
    for name, item in FORMATS.items():
        assert item.name == name
        assert item.suffix.startswith(".")
        assert isinstance(item.libraries, Sequence)
