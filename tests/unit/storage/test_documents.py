"""The vocabulary of document stores."""

from __future__ import annotations

import pytest

from airflow_provider_exia.storage.documents import Collection, WriteConflict, field_values

THINGS = Collection(name="things", fields={"name": str, "rank": int}, unique=(("name",), ("rank",)))


def test_the_first_unique_key_names_a_document() -> None:
    assert THINGS.identity == ("name",)


def test_only_declared_fields_are_taken_out_of_a_document() -> None:
    values = field_values(THINGS, {"name": "a", "rank": 1, "more": [1]})

    assert values == {"name": "a", "rank": 1}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"name": "a"}, "field 'rank' must be int, not None"),
        ({"name": "a", "rank": "1"}, "field 'rank' must be int, not '1'"),
        ({"name": "a", "rank": True}, "field 'rank' must be int, not True"),
        ({"name": None, "rank": 1}, "field 'name' must be str, not None"),
    ],
)
def test_a_declared_field_that_is_missing_or_of_another_type_is_named(
    document: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^things: {problem}$"):
        field_values(THINGS, document)


def test_a_conflict_says_which_key_and_what_to_do() -> None:
    conflict = WriteConflict(collection="things", key=("name", "rank"))

    assert str(conflict) == "things: another document holds name, rank; read again and decide again"
