"""The names that users write."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.names import Reference, check_alias, check_model_name, parse_reference

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
ALIASES = NAMES.filter(lambda name: name != "latest")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delay/3", Reference(model="delay", number=3)),
        ("delay@champion", Reference(model="delay", alias="champion")),
        ("delay@latest", Reference(model="delay", alias="latest")),
        ("delay", Reference(model="delay", alias="champion")),
    ],
)
def test_a_reference_names_a_number_an_alias_the_newest_or_the_champion(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@given(
    st.builds(Reference, model=NAMES, number=st.integers(1, 10**18 - 1))
    | st.builds(Reference, model=NAMES, alias=ALIASES | st.just("latest"))
)
def test_a_reference_written_out_is_read_back_the_same(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=80) | st.text("abz09_@/. -", max_size=20))
@example("delay@champion\n")
@example("delay/٣")
@example("delay/3/4")
@example("delay@champion/3")
def test_any_text_is_refused_as_a_reference_or_means_what_it_says(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidInput:
        return

    assert str(reference) in (text, f"{text}@champion"[: len(str(reference))])
    assert set(text) <= set(string.ascii_lowercase + string.digits + "_@/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/3",
        "@champion",
        "delay/",
        "delay/0",
        "delay/-1",
        "delay/03",
        "delay/x",
        "delay@",
        "Delay",
        "delay@Champion",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="as in '"):
        parse_reference(text)


@pytest.mark.parametrize("name", ["", "1a", "_a", "A", "flight-delay", "a b", "a\n", "ä", "a" * 65, "../a", None, 3])
def test_a_name_outside_the_rule_is_refused_with_the_rule_and_an_example(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"is no model name: expected a lower-case letter.*, as in 'flight_delay'"):
        check_model_name(name)


@given(NAMES)
def test_a_name_inside_the_rule_is_taken(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize("alias", ["", "Champion", "a-b", "a@b", "a" * 65, None])
def test_an_alias_outside_the_rule_is_refused(alias: str) -> None:
    with pytest.raises(InvalidInput, match="is no alias: expected a lower-case letter"):
        check_alias(alias)


def test_latest_is_no_alias() -> None:
    with pytest.raises(InvalidInput, match="always means the newest version and cannot be moved"):
        check_alias("latest")
