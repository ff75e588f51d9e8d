"""Canonical JSON is that of RFC 8785, and what has no form there is refused."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bus.core.canonical_json import NotCanonical, canonical_json, parse_canonical_json

integers = st.integers(-(2**53) + 1, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)


@given(values)
def test_our_form_is_that_of_an_independent_implementation(value: Any) -> None:
    assert rfc8785.dumps(value) == canonical_json(value)


@given(values)
def test_what_was_written_reads_back(value: Any) -> None:
    assert parse_canonical_json(canonical_json(value)) == value


def test_keys_stand_in_the_order_of_utf16() -> None:
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, -(2**53), b"", {1: 2}, "\ud800", {"\ud800": 1}, object()]
)
def test_a_value_without_a_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical_json(value)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: list[Any] = []
    for _ in range(40):
        value = [value]
    with pytest.raises(NotCanonical):
        canonical_json(value)


@pytest.mark.parametrize(
    "raw", [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"1.0", b"", b"{"]
)
def test_other_spellings_are_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        parse_canonical_json(raw)
