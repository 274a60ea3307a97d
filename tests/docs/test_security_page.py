"""``docs/security.md`` lists the attacks that are tried; ``docs/model-library.md`` says how to verify a version."""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.publishing import SourceFile
from airflow_provider_exia.model_library.records import VERSIONS, Role, Version
from airflow_provider_exia.model_library.signing import read_keys
from tests.docs.reader import ROOT
from tests.docs.test_names import table
from tests.faults.test_tampering import ATTACKS

SECRET = bytes(range(32))

Problems: TypeAlias = Callable[[dict[str, Any], str, int, bytes, Path], Iterator[str]]


def test_every_kind_of_tampering_that_is_tried_is_listed_with_what_finds_it() -> None:
    rows = table("docs/security.md", "## Kinds of tampering")

    assert [(name, found_by) for name, found_by in rows] == [
        (name, "digest" if attack.deceives is None else "key") for name, attack in ATTACKS.items()
    ]


@pytest.fixture
def page_code() -> dict[str, Any]:
    """The page's own code, in a namespace of its own."""
    page = (ROOT / "docs/model-library.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"(?s)```python\n(.*?)\n```", page) if "def problems(" in block]
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(code))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names, "a reader in another language has nothing of ours"
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace


@pytest.fixture
def by_hand(page_code: dict[str, Any]) -> Problems:
    """The page's own function."""
    found: Problems = page_code["problems"]
    return found


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[ModelLibrary]:
    """A library with one version of two files, signed."""
    key = f"hmac:{base64.b64encode(SECRET).decode()}"
    with open_library(
        f"sqlite:///{tmp_path}/library.db", blobs=f"file://{tmp_path}/blobs", keys=read_keys(key)
    ) as made:
        for name, content in (("model.json", {"rate": 0.1}), ("holdout.bin", [1, 2, 3])):
            (tmp_path / name).write_text(json.dumps(content))
        files = [
            SourceFile(source=tmp_path / "model.json", path="deep/er/model.json"),
            SourceFile(source=tmp_path / "holdout.bin", role=Role.HOLDOUT),
        ]
        made.publish("rates", files, format="json", metrics={"brier": 0.1})
        yield made


def document_of(library: ModelLibrary) -> dict[str, Any]:
    found = library.resources.documents.get(VERSIONS, {"model": "rates", "number": 1})
    assert found is not None
    return json.loads(json.dumps(found))


def test_the_pages_description_knows_every_field_of_a_version(page_code: dict[str, Any]) -> None:
    assert page_code["FIELDS"] == {field.name for field in dataclasses.fields(Version)}


def test_a_version_is_verified_from_the_pages_description_alone(
    signed: ModelLibrary, by_hand: Problems, tmp_path: Path
) -> None:
    assert list(by_hand(document_of(signed), "rates", 1, SECRET, tmp_path / "blobs")) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": 2}, "number"),
        ({"model": "other"}, "model"),
        ({"state": "PENDING"}, "state"),
        ({"added": 1}, "fields"),
        ({"format": "raw"}, "digest"),
        ({"work": "other"}, "publication"),
        ({"signature": None}, "signature"),
        ({"files": []}, "digest"),
        ({"files": []}, "roles"),
        ({"inline": {"other.json": "1"}}, "inline"),
        ({"files": [{"path": "../model.json", "role": "model", "sha256": "0" * 64, "size": 1}]}, "paths"),
        ({"files": [{"path": "a", "role": "model", "sha256": "0" * 64, "size": 1}] * 2}, "paths"),
        ({"files": [{"path": path, "role": "model", "sha256": "0" * 64, "size": 1} for path in ("a", "a/b")]}, "paths"),
    ],
)
def test_the_pages_description_finds_a_changed_document(
    signed: ModelLibrary, by_hand: Problems, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    assert problem in list(by_hand({**document_of(signed), **changes}, "rates", 1, SECRET, tmp_path / "blobs"))


def test_the_pages_description_finds_another_version_under_the_number_that_was_asked_for(
    signed: ModelLibrary, by_hand: Problems, tmp_path: Path
) -> None:
    found = list(by_hand(document_of(signed), "rates", 2, SECRET, tmp_path / "blobs"))

    assert {"number", "signature"} <= set(found)


def test_the_pages_description_finds_another_key_and_a_changed_file(
    signed: ModelLibrary, by_hand: Problems, tmp_path: Path
) -> None:
    document = document_of(signed)
    assert list(by_hand(document, "rates", 1, SECRET[::-1], tmp_path / "blobs")) == ["signature"]

    (stored,) = (tmp_path / "blobs").rglob("model.json")
    stored.write_text('{"rate": 9.9}')

    assert list(by_hand(document, "rates", 1, SECRET, tmp_path / "blobs")) == ["deep/er/model.json"]
