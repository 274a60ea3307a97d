"""``exia key generate`` prints keys that sign and verify, and keeps none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_exia.model_library.signing import read_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Run


def test_a_pair_of_keys_is_printed_to_be_pasted(run: Run, home: Path) -> None:
    result = run("key", "generate")

    assert result.exit_code == 0
    printed = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert list(printed) == ["name", "private", "public"]
    private, public = read_key(printed["private"]), read_key(printed["public"])
    assert public.verifies(b"message", private.sign(b"message"))
    assert printed["name"] == private.name == public.name
    assert list(home.iterdir()) == []


def test_a_shared_secret_has_no_public_half(run: Run) -> None:
    result = run("key", "generate", "--algorithm", "hmac")

    printed = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert list(printed) == ["name", "private"]
    assert read_key(printed["private"]).can_sign


@pytest.mark.parametrize("algorithm", ["ed25519", "hmac"])
def test_machines_get_one_json_document(run: Run, algorithm: str) -> None:
    printed = json.loads(run("key", "generate", "--algorithm", algorithm, "--json").stdout)

    assert printed["private"].startswith(f"{algorithm}:")
    assert (printed["public"] is None) == (algorithm == "hmac")


def test_each_key_is_a_new_one(run: Run) -> None:
    assert run("key", "generate").stdout != run("key", "generate").stdout


def test_an_algorithm_that_is_none_is_refused(run: Run) -> None:
    result = run("key", "generate", "--algorithm", "rsa")

    assert result.exit_code == 2
    assert "'rsa' is not one of 'ed25519', 'hmac'" in result.stderr
