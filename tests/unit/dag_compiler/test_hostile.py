"""Twenty hostile specs: each is refused, or its text ends as a literal that does nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_exia.dag_compiler.exceptions import WrongSpec
from airflow_provider_exia.dag_compiler.reading import parse_spec
from airflow_provider_exia.dag_compiler.units import file_of_error, file_of_many, file_of_one, make_unit
from tests.unit.dag_compiler.conftest import SPEC

CODE = "x'); import os; os.system('touch /tmp/pwned') #"

REFUSED = {
    "code in the model's name": ("model: flight_delay", f'model: "{CODE}"'),
    "path in the model's name": ("model: flight_delay", "model: ../../etc/cron.d/x"),
    "newline at the end of the model's name": ("model: flight_delay", 'model: "flight_delay\\n"'),
    "code in a function": ("flights.delay:train", CODE),
    "a function of the standard library": ("flights.delay:train", "os:system"),
    "a deeper function of the standard library": ("flights.delay:train", "importlib.util:module_from_spec"),
    "dunder walk in a function": ("flights.delay:train", "flights.delay:train.__globals__"),
    "code in the schedule": ('"@weekly"', f'"{CODE}"'),
    "template in the schedule": ('"@weekly"', '"{{ 7 * 7 }}"'),
    "code in a number": ("0.002", "__import__('os').system('x')"),
    "code in a duration": ("cooldown: 21d", f'cooldown: "21d{CODE}"'),
    "newline in the metric": ("metric: brier", 'metric: "brier\\nimport os"'),
    "a Python object": ("min_gain: 0.002", "min_gain: !!python/object/apply:os.system [id]"),
    "an endless alias": ("gate:    {min_gain: 0.002}", "gate: &a {min_gain: *a}"),
    "code in the connection": ("gate: ", f'exia_conn_id: "{CODE}"\ngate: '),
    "code in a trusted type": ("gate: ", f'trusted_types: ["{CODE}"]\ngate: '),
    "a field of Python": ("gate: ", "__class__: x\ngate: "),
    "a password": ("format: skops", "format: skops, parameters: {db_password: hunter2}"),
    "a URL with a password": ("format: skops", 'format: skops, parameters: {db: "postgres://me:hunter2@db/x"}'),
    "a key of AWS in a tag": ("gate: ", "tags: [AKIAIOSFODNN7EXAMPLE]\ngate: "),
    "code in the DAG that trains": ("window: 3", f'window: 3, retrain: "{CODE}"'),
}
INERT = {
    "code in the owner": ("gate: ", f'defaults: {{owner: "{CODE}"}}\ngate: ', CODE),
    "code in a tag": ("gate: ", f'tags: ["{CODE}"]\ngate: ', CODE),
    "code in the block": ("block: day", f'block: "{CODE}"', CODE),
    "code in a parameter": ("format: skops", f'format: skops, parameters: {{x: "{CODE}"}}', CODE),
    "end of a docstring in the block": ("block: day", 'block: \'"""; import os; """\'', '"""; import os; """'),
    "template in a parameter's name": (
        "format: skops",
        "format: skops, parameters: {'{{ conn.exia.password }}': 1}",
        "{{ conn.exia.password }}",
    ),
    "template in a parameter": (
        "format: skops",
        "format: skops, parameters: {x: '{{ conn.exia.password }}{% raw %}'}",
        "{{ conn.exia.password }}{% raw %}",
    ),
    "line breaks of other alphabets": (
        "format: skops",
        'format: skops, parameters: {x: "a\\u2028import os\\u0085\\rimport os"}',
        "a\u2028import os\x85\rimport os",
    ),
}


def calls_in(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(case: str) -> None:
    old, new = REFUSED[case]
    assert old in SPEC

    with pytest.raises(WrongSpec) as caught:
        parse_spec(SPEC.replace(old, new), source="hostile.yaml")

    assert all("\n" not in sentence for sentence in caught.value.sentences())


@pytest.mark.parametrize("case", INERT)
def test_it_is_inert(case: str) -> None:
    old, new, value = INERT[case]
    harmless = make_unit(parse_spec(SPEC, source="x"), "x.yaml")

    hostile = make_unit(parse_spec(SPEC.replace(old, new), source="x"), "x.yaml")

    for write in (file_of_one, lambda unit: file_of_many([unit])):
        text = write(hostile)
        texts = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        assert any(isinstance(found, str) and value in found for found in texts)
        assert set(calls_in(text)) <= {*calls_in(write(harmless)), "literal"}


def test_no_hostile_word_gets_out_of_the_sentence_about_it(tmp_path: Path) -> None:
    for old, new in REFUSED.values():
        with pytest.raises(WrongSpec) as caught:
            parse_spec(SPEC.replace(old, new), source=f"{CODE}.yaml")

        text = file_of_error(f"{CODE}\n.yaml", caught.value.sentences())

        assert list(calls_in(text)) == ["InvalidInput"]


def test_a_secret_is_not_repeated_in_the_message_about_it() -> None:
    for case in ("a password", "a URL with a password"):
        old, new = REFUSED[case]
        with pytest.raises(WrongSpec) as caught:
            parse_spec(SPEC.replace(old, new), source="x.yaml")
        assert "hunter2" not in str(caught.value)
