"""The format ``code``: what a reference may name, what is imported, and what is refused before anything is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.distributions import OtherEnvironment
from airflow_provider_exia.model_library.exceptions import FormatRefused, WrongFormat
from airflow_provider_exia.model_library.formats.base import Trust
from airflow_provider_exia.model_library.formats.code import CodeFormat, reference_to

SHOP = "shop_of_the_tests"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution with one package that is in no other test's way."""
    package = tmp_path / SHOP
    package.mkdir()
    (package / "__init__.py").write_text("from os import system\n")
    (package / "prices.py").write_text("def double(price):\n    return 2 * price\n\nLIMIT = 3\n")
    facts = tmp_path / "shop-1.4.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.4\n")
    (facts / "top_level.txt").write_text(f"{SHOP}\n")
    (facts / "RECORD").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == SHOP]:
        del sys.modules[name]


def written(folder: Path, **changes: Any) -> Path:
    fields = {"reference": f"{SHOP}.prices:double", "distribution": "shop", "version": "1.4", **changes}
    path = folder / "model.json"
    path.write_text(json.dumps(fields))
    return path


def trusting(*packages: str, refuse_other_major: bool = False) -> Trust:
    return Trust(importable=packages, refuse_other_major=refuse_other_major)


def test_a_reference_comes_back_as_the_function_it_names(shop: Path) -> None:
    from importlib import import_module

    double = import_module(f"{SHOP}.prices").double
    path = shop / "model.json"

    CodeFormat().save(double, path)

    assert json.loads(path.read_text()) == {
        "reference": f"{SHOP}.prices:double",
        "distribution": "shop",
        "version": "1.4",
    }
    assert CodeFormat().load(path, trust=trusting(SHOP)) is double


def test_checking_and_naming_import_nothing(shop: Path) -> None:
    CodeFormat().check(written(shop))

    assert reference_to(f"{SHOP}.prices:double").version == "1.4"
    assert SHOP not in sys.modules


@pytest.mark.parametrize("packages", [(), ("",), ("shop_of",), (f"{SHOP}.other",), (f"{SHOP}x",)])
def test_code_of_a_package_that_is_not_listed_is_refused_before_it_is_imported(
    shop: Path, packages: tuple[str, ...]
) -> None:
    with pytest.raises(FormatRefused, match=f"may not be imported here: .*add '{SHOP}' to 'importable'"):
        CodeFormat().load(written(shop), trust=trusting(*packages))

    assert SHOP not in sys.modules


def test_a_module_can_be_listed_without_its_package(shop: Path) -> None:
    assert CodeFormat().load(written(shop), trust=trusting(f"{SHOP}.prices"))(4) == 8


def test_what_a_listed_package_only_passes_on_is_refused(shop: Path) -> None:
    path = written(shop, reference=f"{SHOP}:system")

    with pytest.raises(FormatRefused, match=f"{SHOP}:system passes on what posix defines"):
        CodeFormat().load(path, trust=trusting(SHOP))


@pytest.mark.parametrize("reference", [f"{SHOP}.prices:triple", f"{SHOP}.missing:double", f"{SHOP}.prices:LIMIT"])
def test_a_name_that_is_no_function_there_is_refused_by_name(shop: Path, reference: str) -> None:
    path = written(shop, reference=reference)

    with pytest.raises(InvalidInput, match=reference.replace(".", r"\.")):
        CodeFormat().load(path, trust=trusting(SHOP))


def test_code_of_a_distribution_that_is_not_installed_is_refused(shop: Path) -> None:
    path = written(shop, distribution="shop-of-others", version="2.0")

    with pytest.raises(FormatRefused, match=r"code of shop-of-others 2\.0, which is not installed: install it"):
        CodeFormat().load(path, trust=trusting(SHOP))


def test_another_version_is_warned_about_and_another_major_one_can_be_refused(shop: Path) -> None:
    path = written(shop, version="3.0")

    with pytest.warns(OtherEnvironment, match=r"published as code of shop 3\.0; here is 1\.4"):
        assert CodeFormat().load(path, trust=trusting(SHOP))(4) == 8
    with pytest.raises(FormatRefused, match=r"published as code of shop 3\.0; here is 1\.4"):
        CodeFormat().load(path, trust=trusting(SHOP, refuse_other_major=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "os"},
        {"reference": f"{SHOP}.prices:_hidden"},
        {"reference": f"{SHOP}.prices:double.__globals__"},
        {"reference": f"../{SHOP}:double"},
        {"reference": ""},
        {"version": None},
        {"distribution": 1},
        {"more": "text"},
    ],
)
def test_a_file_that_is_no_reference_is_the_wrong_format(shop: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WrongFormat, match="is not a reference to code: expected JSON with 'reference'"):
        CodeFormat().check(written(shop, **changes))


@pytest.mark.parametrize(
    "target",
    [lambda: 1, 15, "os.path", "a..b:c", "shop:"],
    ids=["lambda", "number", "module", "empty segment", "no name"],
)
def test_what_has_no_name_at_the_top_of_an_installed_module_cannot_be_published(target: Any) -> None:
    with pytest.raises(InvalidInput, match="names no importable code: expected 'package.module:name'"):
        reference_to(target)


def test_a_distribution_that_cannot_be_told_has_to_be_named(shop: Path) -> None:
    with pytest.raises(InvalidInput, match="belongs to no distribution that is installed"):
        reference_to("nobody_has_this:name")

    assert reference_to(f"{SHOP}.prices:double", distribution="shop").distribution == "shop"
