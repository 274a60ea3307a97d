"""Files that somebody hostile publishes, or plants in both stores, under harmless names and formats: none is read.

Every payload writes a witness when it runs. The witness must never be there, no pickle may be read, and each file is
refused in one clear sentence of this package's own, whatever the library below it stumbles over.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import joblib
import numpy
import onnx
import pytest
from onnx import helper

from airflow_provider_exia.exceptions import ExiaError
from airflow_provider_exia.model_library.exceptions import FormatRefused, SignatureRefused
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.loading import LoadPolicy
from airflow_provider_exia.model_library.manifest import blob_key, digest_of, publication_of
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, FileRecord, Role, State, Version
from airflow_provider_exia.model_library.signing import generate_key, read_keys
from airflow_provider_exia.storage.blobs import sha256_of
from airflow_provider_exia.storage.codec import to_document

WITNESS = Path("witness")
"""In the working folder of the test: a payload can name it without knowing the test."""

SUFFIXES = {
    "skops": ".skops",
    "safetensors": ".safetensors",
    "onnx": ".onnx",
    "json": ".json",
    "code": ".json",
    "raw": ".bin",
}


class Payload:
    """Whoever unpickles it runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import pathlib; pathlib.Path('witness').write_text('it ran')",)


def joblib_bytes() -> bytes:
    written = io.BytesIO()
    joblib.dump(Payload(), written)
    return written.getvalue()


def compressed_joblib() -> bytes:
    written = io.BytesIO()
    joblib.dump(Payload(), written, compress=("zlib", 3))
    return written.getvalue()


PAYLOADS = {
    **{
        f"pickle of protocol {number}": pickle.dumps(Payload(), protocol=number)
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": joblib_bytes(),
    "compressed joblib": compressed_joblib(),
}


def archive(**members: Any) -> bytes:
    """A zip archive; ``__`` in a name stands for its dot, and what is no bytes is written as JSON."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for name, content in members.items():
            made.writestr(name.replace("__", "."), content if isinstance(content, bytes) else json.dumps(content))
    return written.getvalue()


def node(loader: str, path: str, **fields: Any) -> dict[str, Any]:
    """A node of skops's schema that says it is of a type."""
    module, _, name = path.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, **fields}


def skops_file(root: Mapping[str, Any], **members: bytes) -> bytes:
    """An archive as skops writes it, with a schema written by hand."""
    return archive(schema__json={**root, "protocol": 2, "_skops_version": "0.16.0"}, **members)


def text_node(text: str) -> dict[str, Any]:
    return node("JsonNode", "builtins.str", content=json.dumps(text))


def sequence_node(*items: Mapping[str, Any], kind: str = "list") -> dict[str, Any]:
    return node(f"{kind.title()}Node", f"builtins.{kind}", content=list(items))


def array_file(stored: bytes) -> bytes:
    return skops_file(node("NdArrayNode", "numpy.ndarray", type="numpy", file="a.npy"), a__npy=stored)


def object_array() -> bytes:
    written = io.BytesIO()
    numpy.save(written, numpy.array([Payload()], dtype=object), allow_pickle=True)
    return written.getvalue()


def array_header(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


COMMAND = text_node("open('witness', 'w').write('it ran')")
NO_WORDS = node("DictNode", "builtins.dict", key_types=sequence_node(), content={})
MODEL = "sklearn.linear_model._logistic.LogisticRegression"


def nested_graphs(depth: int) -> bytes:
    """A model with a graph in a graph in a graph, as bytes: protobuf itself would not write it."""

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    def varint(number: int) -> bytes:
        parts = []
        while number > 127:
            parts.append(number & 127 | 128)
            number >>= 7
        return bytes([*parts, number])

    graph = field(2, b"g")
    for _ in range(depth):
        branch = field(1, b"then_branch") + field(6, graph) + varint(20 << 3) + b"\x05"
        graph = field(1, field(4, b"If") + field(5, branch)) + field(2, b"g")
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x11")


def graph_outside(location: str) -> bytes:
    """A model whose weights lie in another file."""
    weights = helper.make_tensor("weights", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"]
    nodes = [helper.make_node("Add", ["x", "weights"], ["y"])]
    made = helper.make_graph(nodes, "sum", values[:1], values[1:], initializer=[weights])
    content: bytes = helper.make_model(made).SerializeToString()
    return content


def code_file(reference: Any, **more: Any) -> bytes:
    return json.dumps({"reference": reference, "distribution": "click", "version": installed("click"), **more}).encode()


@dataclass(frozen=True)
class Hostile:
    """A file and the harmless format that it is announced as.

    :param match: in the error of loading
    :param published: whether publishing lets it through: its check builds nothing and may not see it
    """

    format: str
    content: bytes
    match: str
    published: bool = False


FILES = {
    **{
        f"{kind} as {name}": Hostile(name, content, f"is not an? .*{name}|cannot be read as|reference to code|JSON")
        for kind, content in PAYLOADS.items()
        for name in ("skops", "safetensors", "onnx", "json", "code")
    },
    "zip of pickles as skops": Hostile("skops", archive(data__pkl=PAYLOADS["joblib"]), "cannot be read as a skops"),
    "zip of pickles as onnx": Hostile("onnx", archive(data__pkl=PAYLOADS["joblib"]), "is not an onnx file"),
    "pickle in place of the schema": Hostile(
        "skops", archive(schema__json=PAYLOADS["pickle of protocol 4"]), "cannot be read as a skops", published=True
    ),
    # skops: types.
    "os.system": Hostile("skops", skops_file(node("FunctionNode", "os.system")), "trusts here: os.system", True),
    "builtins.eval by a reduce node": Hostile(
        "skops",
        skops_file(node("ConstructorFromReduceNode", "builtins.eval", content=sequence_node(COMMAND, kind="tuple"))),
        "trusts here: builtins.eval",
        True,
    ),
    "builtins.exec as a container": Hostile(
        "skops", skops_file(node("ListNode", "builtins.exec", content=[COMMAND])), "trusts here: builtins.exec", True
    ),
    "builtins.exec as the type of a key": Hostile(
        "skops",
        skops_file(
            node(
                "DictNode",
                "builtins.dict",
                key_types=sequence_node(node("TypeNode", "builtins.exec")),
                content={"open('witness', 'w')": text_node("")},
            )
        ),
        "trusts here: builtins.exec",
        True,
    ),
    "builtins.exec as an array's type": Hostile(
        "skops",
        skops_file(node("NdArrayNode", "builtins.exec", type="numpy", file="a.npy"), a__npy=array_header("(1,)")),
        "trusts here: builtins.exec",
        True,
    ),
    "os.system by functools.partial": Hostile(
        "skops",
        skops_file(
            node(
                "PartialNode",
                "functools.partial",
                content={
                    "func": node("FunctionNode", "os.system"),
                    "args": sequence_node(COMMAND, kind="tuple"),
                    "kwds": NO_WORDS,
                    "namespace": NO_WORDS,
                },
            )
        ),
        "trusts here: functools.partial, os.system",
        True,
    ),
    "a method by operator.methodcaller": Hostile(
        "skops",
        skops_file(node("OperatorFuncNode", "operator.methodcaller", attrs=sequence_node(COMMAND, kind="tuple"))),
        "trusts here: operator.methodcaller",
        True,
    ),
    "a method of a trusted type": Hostile(
        "skops",
        skops_file(node("MethodNode", MODEL, content={"func": "set_params", "obj": node("ObjectNode", MODEL)})),
        "trusts here: .*set_params",
        True,
    ),
    "an untrusted type in a trusted one": Hostile(
        "skops",
        skops_file(sequence_node(node("ObjectNode", MODEL, content=node("ObjectNode", "subprocess.Popen")))),
        "trusts here: subprocess.Popen",
        True,
    ),
    "a trusted type in an untrusted one": Hostile(
        "skops",
        skops_file(node("ObjectNode", "tests.faults.test_hostile_files.Payload", content=node("ObjectNode", MODEL))),
        "trusts here: tests.faults.test_hostile_files.Payload",
        True,
    ),
    "a name that writes to the terminal": Hostile(
        "skops",
        skops_file(node("FunctionNode", "os.\x1b[2Jgone\nfine")),
        r"trusts here: 'os\.\\x1b\[2Jgone\\nfine'",
        True,
    ),
    "a class that is a number": Hostile(
        "skops", skops_file({**sequence_node(), "__class__": 5}), "cannot be read as a skops file", True
    ),
    # skops: only known types, and what is built of them goes wrong.
    "array of pickled objects": Hostile("skops", array_file(object_array()), "ValueError: Object arrays cannot", True),
    "array larger than all memory": Hostile("skops", array_file(array_header(f"({2**50},)")), "skops file", True),
    "list that holds itself": Hostile(
        "skops",
        skops_file({**sequence_node(node("CachedNode", "builtins.list", __id__=1)), "__id__": 1}),
        "RecursionError",
        True,
    ),
    "deep JSON in a node": Hostile(
        "skops", skops_file(node("JsonNode", "builtins.str", content="[" * 100_000)), "RecursionError", True
    ),
    "lists that lie 5,000 deep": Hostile(
        "skops",
        archive(
            schema__json=b'{"protocol":2,"_skops_version":"0","__class__":"list","__module__":"builtins",'
            b'"__loader__":"ListNode","content":[' * 5_000 + b"]}" * 5_000
        ),
        "RecursionError",
        True,
    ),
    "state that a model cannot have": Hostile(
        "skops", skops_file(node("ObjectNode", MODEL, content=text_node("no state"))), "cannot be read as", True
    ),
    # safetensors.
    "header of 2^63 bytes": Hostile("safetensors", struct.pack("<Q", 2**63) + b"{}", "is not a safetensors file"),
    "header that never ends": Hostile(
        "safetensors", struct.pack("<Q", 90_000) + b"[" * 90_000, "is not a safetensors file"
    ),
    # onnx.
    "tensor in ../../etc/passwd": Hostile("onnx", graph_outside("../../etc/passwd"), "'weights' in another file"),
    "tensor in /etc/passwd": Hostile("onnx", graph_outside("/etc/passwd"), "'weights' in another file"),
    "graphs that lie 30 deep": Hostile("onnx", nested_graphs(30), "is not a valid onnx file"),
    "graphs that lie 20,000 deep": Hostile("onnx", nested_graphs(20_000), "is not an onnx file"),
    # JSON.
    "arrays that lie 100,000 deep": Hostile("json", b"[" * 100_000, "is not a JSON file: RecursionError"),
    "objects that lie 100,000 deep": Hostile("json", b'{"a":' * 100_000, "is not a JSON file: RecursionError"),
    "NaN": Hostile("json", b'{"limit": NaN}', "NaN is no JSON value"),
    "infinity": Hostile("json", b"[-Infinity]", "-Infinity is no JSON value"),
    "number beyond all": Hostile("json", b"[1e999]", "1e999 is larger than any number"),
    "number of 5,000 digits": Hostile("json", b"9" * 5_000, "is not a JSON file"),
    "key that occurs twice": Hostile("json", b'{"limit": 1, "limit": 2}', "the key 'limit' occurs twice"),
    # Code.
    "code: os:system": Hostile("code", code_file("os:system"), "os:system is code of a package that may not", True),
    "code: builtins:exec": Hostile("code", code_file("builtins:exec"), "may not be imported here", True),
    "code: beside the allowed one": Hostile("code", code_file("click_evil:run"), "may not be imported here", True),
    "code: name that only passes through": Hostile("code", code_file("click.utils:os"), "has no function", True),
    "code: with ..": Hostile("code", code_file("click...os:system"), "is not a reference to code"),
    "code: path": Hostile("code", code_file("../evil.py:run"), "is not a reference to code"),
    "code: private name": Hostile("code", code_file("click:__builtins__"), "is not a reference to code"),
    "code: attribute of an attribute": Hostile("code", code_file("click.utils:os.system"), "is not a reference"),
    "code: second line": Hostile("code", code_file("click:echo\nos:system"), "is not a reference to code"),
    "code: operator": Hostile("code", code_file({"$ne": None}), "is not a reference to code"),
    "code: field of its own": Hostile("code", code_file("click:echo", path="/tmp"), "is not a reference to code"),
    "code: reference that occurs twice": Hostile(
        "code", code_file("click:echo")[:-1] + b', "reference": "os:system"}', "the key 'reference' occurs twice"
    ),
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelLibrary]:
    """An empty library, whose owner allows the code of one package."""
    monkeypatch.chdir(tmp_path)
    stores = {"documents": f"sqlite:///{tmp_path}/library.db", "blobs": f"file://{tmp_path}/blobs"}
    with open_library(**stores, policy=LoadPolicy(importable=("click",)), by="the victim") as opened:
        yield opened


@pytest.fixture
def pickles_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of everything that reads pickles, once for each call."""
    calls: list[str] = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def counted(*arguments: Any, **words: Any) -> Any:
            calls.append(f"{module.__name__}.{name}")
            return real(*arguments, **words)

        monkeypatch.setattr(module, name, counted)

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (joblib, "load")):
        watch(module, name)
    return calls


def planted(library: ModelLibrary, format_name: str, content: bytes, path: str) -> Version:
    """Put a version into both stores as one who knows this package: nothing has looked at its bytes."""
    sha256, size = sha256_of(io.BytesIO(content))
    files = (FileRecord(path=path, role=Role.MODEL, sha256=sha256, size=size),)
    digest = digest_of(files, format_name)
    version = Version(
        model="delay",
        number=1,
        publication=publication_of("evil", digest),
        work="evil",
        digest=digest,
        format=format_name,
        files=files,
        state=State.READY,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    source = Path("planted")
    source.write_bytes(content)
    library.resources.blobs.put(blob_key("models", version, path), source)
    library.resources.documents.insert(VERSIONS, to_document(version))
    return version


def refusal(call: Callable[[], object]) -> str:
    """Return the one sentence in which a call is refused."""
    with pytest.raises(ExiaError) as refused:
        call()
    sentence = str(refused.value)
    assert sentence.isprintable(), "one line, and nothing for the terminal"
    assert 20 < len(sentence) < 700
    assert "Traceback" not in sentence
    return sentence


@pytest.mark.parametrize("kind", PAYLOADS)
def test_every_payload_runs_if_it_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pickles_read: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("payload").write_bytes(PAYLOADS[kind])

    joblib.load("payload")

    assert WITNESS.read_text() == "it ran"
    assert pickles_read == ["joblib.load"]


@pytest.mark.parametrize("hostile", FILES.values(), ids=list(FILES))
def test_a_hostile_file_is_refused_in_one_sentence_and_runs_nothing(
    library: ModelLibrary, pickles_read: list[str], hostile: Hostile
) -> None:
    source = Path(f"model{SUFFIXES[hostile.format]}")
    source.write_bytes(hostile.content)

    if hostile.published:
        library.publish("other", source, format=hostile.format)
    else:
        assert "model." in refusal(lambda: library.publish("other", source, format=hostile.format))
        assert library.models() == [], "nothing half-written"
    planted(library, hostile.format, hostile.content, source.name)

    assert pytest.raises(ExiaError, library.load, "delay/1").match(hostile.match)
    refusal(lambda: library.load("delay/1"))
    assert pickles_read == []
    assert not WITNESS.exists()


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("name", ["pickle", "joblib"])
def test_a_pickle_that_says_so_is_refused_without_a_key_and_without_being_asked_for(
    library: ModelLibrary, pickles_read: list[str], kind: str, name: str
) -> None:
    Path("model.json").write_bytes(PAYLOADS[kind])
    planted(library, name, PAYLOADS[kind], "model.json")
    asking = ModelLibrary(library.resources, policy=LoadPolicy(allow_pickle=True))
    listing = ModelLibrary(library.resources, policy=LoadPolicy(formats=frozenset({"pickle", "joblib"})))

    for victim in (library, asking, listing):
        with pytest.raises(FormatRefused, match=f"'?{name}'? (file|is refused)"):
            victim.load("delay/1")
    with pytest.raises(FormatRefused, match="refused without a signing key"):
        library.publish("other", "model.json", format=name)

    assert pickles_read == []
    assert not WITNESS.exists()


def test_a_pickle_of_nobody_is_refused_where_keys_are_configured_and_pickles_allowed(
    library: ModelLibrary, pickles_read: list[str]
) -> None:
    planted(library, "pickle", PAYLOADS["pickle of protocol 4"], "model.json")
    keyed = replace(library.resources, keys=read_keys(generate_key()[0]))

    with pytest.raises(SignatureRefused, match="it is not signed"):
        ModelLibrary(keyed, policy=LoadPolicy(allow_pickle=True)).load("delay/1")

    assert pickles_read == []
    assert not WITNESS.exists()


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_pickle_among_raw_bytes_is_handed_out_as_bytes_and_read_by_nobody(
    library: ModelLibrary, pickles_read: list[str], kind: str
) -> None:
    Path("weights.bin").write_bytes(PAYLOADS[kind])
    Path("model.bin").write_bytes(PAYLOADS[kind])
    files = [SourceFile(source=Path("model.bin")), SourceFile(source=Path("weights.bin"), role=Role.OTHER)]

    library.publish("delay", files, format="raw")
    library.fetch("delay/1", "fetched")

    assert library.load("delay/1") == PAYLOADS[kind]
    assert Path("fetched/weights.bin").read_bytes() == PAYLOADS[kind]
    assert pickles_read == []
    assert not WITNESS.exists()
