"""Arrays, graphs and pickles as model files."""

from __future__ import annotations

import importlib
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats import Trust, check_format, format_named

ARRAYS = {
    "weights": numpy.arange(12, dtype="float32").reshape(3, 4).T,  # not in C order
    "scalar": numpy.array(7),
    "nothing": numpy.zeros((0, 3)),
}
FLOAT = onnx.TensorProto.FLOAT


def tensor(name: str = "weights", *, location: str | None = None, marked: bool = True) -> onnx.TensorProto:
    """A tensor, with its data or with the path of a file that has them."""
    made = helper.make_tensor(name, FLOAT, [2], [1.0, 2.0])
    if location is not None:
        made.ClearField("float_data")
        if marked:
            made.data_location = onnx.TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
    return made


def graph(**parts: Any) -> onnx.ModelProto:
    """A model that adds two weights to its input."""
    nodes = [helper.make_node("Add", ["x", "weights"], ["y"])]
    values = [helper.make_tensor_value_info(name, FLOAT, [2]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "sum", values[:1], values[1:], initializer=[tensor()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **parts)


def in_initializer(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    model.graph.initializer[0].CopyFrom(outside)


def in_attribute(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside))


def in_sparse_initializer(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(outside)


def in_subgraph(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], initializer=[outside])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))


def in_function(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside)
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 17)]))


def in_training(model: onnx.ModelProto, outside: onnx.TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(outside)


def test_arrays_are_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    format_named("safetensors").save(ARRAYS, path)
    check_format("safetensors", path)
    loaded = format_named("safetensors").load(path, trust=Trust())

    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (loaded[name].dtype, loaded[name].shape) == (array.dtype, array.shape)
        assert numpy.array_equal(loaded[name], array)


@pytest.mark.parametrize("name", ["safetensors", "onnx"])
def test_one_model_gives_one_file(tmp_path: Path, name: str) -> None:
    model = graph() if name == "onnx" else ARRAYS
    for number in (1, 2):
        format_named(name).save(model, tmp_path / str(number))

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize(
    "model", [[1], {"a": [1.0]}, {1: numpy.zeros(1)}, {"a": numpy.array([object()])}, {"a": numpy.array(["text"])}]
)
def test_what_is_no_dict_of_numbers_is_refused_as_safetensors(tmp_path: Path, model: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be written as safetensors"):
        format_named("safetensors").save(model, tmp_path / "model.safetensors")

    assert not (tmp_path / "model.safetensors").exists()


def lying(header: dict[str, Any] | bytes, *, length: int | None = None, data: bytes = b"\0" * 8) -> bytes:
    """A file whose header was written by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin: int, end: int, *, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


LYING_HEADERS = {
    "no bytes": b"",
    "shorter than its length": b"\x01\x02",
    "longer than the file": lying({}, length=2**40),
    "longer than any header": lying({}, length=2**63),
    "no JSON": lying(b"not json"),
    "past the end": lying({"a": entry(0, 800, shape=[200])}),
    "overlapping": lying({"a": entry(0, 8, shape=[2]), "b": entry(0, 8, shape=[2])}),
    "a hole": lying({"a": entry(4, 8, shape=[1])}),
    "negative": lying({"a": entry(-8, 8, shape=[4])}),
    "more elements than bytes": lying({"a": entry(0, 8, shape=[2**40])}),
    "a product that overflows": lying({"a": entry(0, 8, shape=[2**33, 2**33])}),
    "bytes that nobody names": lying({"a": entry(0, 4, shape=[1])}),
    "an unknown type": lying({"a": entry(0, 8, shape=[2], dtype="OBJECT")}),
    "a pickle": pickle.dumps(ARRAYS),
}


@pytest.mark.parametrize("content", LYING_HEADERS.values(), ids=LYING_HEADERS.keys())
def test_a_header_that_does_not_account_for_every_byte_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)

    with pytest.raises(WrongFormat, match=r"model\.safetensors is not a safetensors file"):
        check_format("safetensors", path)
    with pytest.raises(WrongFormat, match=r"model\.safetensors is not a safetensors file"):
        format_named("safetensors").load(path, trust=Trust())


def test_a_graph_is_read_back_the_same(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", graph()

    format_named("onnx").save(model, path)
    check_format("onnx", path)

    assert format_named("onnx").load(path, trust=Trust()) == model


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(
    "place", [in_initializer, in_attribute, in_sparse_initializer, in_subgraph, in_function, in_training]
)
def test_a_tensor_in_another_file_is_refused_wherever_it_stands(
    tmp_path: Path, place: Callable[[onnx.ModelProto, onnx.TensorProto], None], marked: bool
) -> None:
    path, model = tmp_path / "model.onnx", graph()
    place(model, tensor("stolen", location="../../../../etc/passwd", marked=marked))
    format_named("onnx").save(model, path)

    for look in (lambda: check_format("onnx", path), lambda: format_named("onnx").load(path, trust=Trust())):
        with pytest.raises(FormatRefused, match=r"model\.onnx keeps its tensor 'stolen' in another file: save it in"):
            look()


def test_a_graph_that_is_none_is_refused_by_onnx_itself(tmp_path: Path) -> None:
    path, model = tmp_path / "model.onnx", graph()
    model.graph.node[0].input[1] = "nobody"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(WrongFormat, match=r"model\.onnx is not a valid onnx file: .*") as refused:
        check_format("onnx", path)

    assert "\n" not in str(refused.value)


def test_what_is_no_graph_is_refused_as_onnx(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a model of type dict cannot be written as onnx: return an onnx.ModelProto"):
        format_named("onnx").save({}, tmp_path / "model.onnx")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["onnx", "safetensors"]), content=st.binary(max_size=100), valid=st.booleans())
def test_looking_at_any_bytes_ends_in_yes_or_no(tmp_path: Path, name: str, content: bytes, valid: bool) -> None:
    path = tmp_path / "model.file"
    whole = graph().SerializeToString() if name == "onnx" else lying({"a": entry(0, 8, shape=[2])})
    path.write_bytes(whole[: len(content)] + content + whole[2 * len(content) :] if valid else content)

    try:
        check_format(name, path)
    except (WrongFormat, FormatRefused):
        return

    format_named(name).load(path, trust=Trust())


@pytest.mark.parametrize("name", ["pickle", "joblib"])
def test_a_pickle_is_written_and_read_by_who_asks_for_it(tmp_path: Path, name: str) -> None:
    chosen, path = format_named(name, allow_pickle=True), tmp_path / "model"

    chosen.save({"a": [1, (2, 3)]}, path)
    check_format(name, path, allow_pickle=True)

    assert chosen.load(path, trust=Trust()) == {"a": [1, (2, 3)]}


@pytest.mark.parametrize("name", ["pickle", "joblib"])
def test_a_file_that_is_no_pickle_is_refused_without_reading_it_as_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")  # a pickle of the protocol that begins with nothing of its own

    with pytest.raises(WrongFormat, match=f"model.bin is not a {name} file"):
        check_format(name, path, allow_pickle=True)


class Unpicklable:
    """Also where a library that other tests import teaches pickle to take functions and locks."""

    def __reduce__(self) -> str:
        raise TypeError("this object is of no use elsewhere")


@pytest.mark.parametrize("name", ["pickle", "joblib"])
def test_an_object_that_cannot_be_pickled_is_refused_with_its_type(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"a model of type Unpicklable cannot be written as {name}"):
        format_named(name, allow_pickle=True).save(Unpicklable(), tmp_path / "model")


@pytest.mark.parametrize("name", ["dill", "cloudpickle", "pkl"])
def test_pickles_of_other_kinds_are_refused_also_where_pickle_is_allowed(name: str) -> None:
    with pytest.raises(FormatRefused, match="runs whatever code"):
        format_named(name, allow_pickle=True)


@pytest.mark.parametrize(("name", "extra"), [("safetensors", "safetensors"), ("onnx", "onnx"), ("joblib", "sklearn")])
@pytest.mark.parametrize("call", ["save", "check", "load"])
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str, call: str
) -> None:
    real, path = importlib.import_module, tmp_path / "model"
    path.write_bytes(b"\x80")

    def absent(module: str) -> Any:
        if module.partition(".")[0] == name:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(module)

    monkeypatch.setattr(importlib, "import_module", absent)
    chosen = format_named(name, allow_pickle=True)
    calls: dict[str, Callable[[], Any]] = {
        "save": lambda: chosen.save({}, path),
        "check": lambda: chosen.check(path),
        "load": lambda: chosen.load(path, trust=Trust()),
    }
    if (name, call) == ("joblib", "check"):
        calls[call]()  # it looks at a byte and needs no library
        return

    with pytest.raises(MissingExtra, match=rf"pip install 'airflow-provider-exia\[{extra}\]'"):
        calls[call]()
