"""An Id leads to the one element that carries it, in every spelling, and to none if two do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core.xml import parse_xml
from signing import names
from signing.errors import SignatureMalformedError
from signing.wss.element_ids import ElementIds

SPELLINGS = ("wsu:Id", "xml:id", "Id", "ID")
STRICT = frozenset({"wsu:Id", "xml:id"})


MANY = '<many a="1"/>' * 300
"""Makes a document one of the large ones."""


def tree(inside: str, attributes: str = "") -> etree._Element:
    raw = f'<e xmlns:wsu="{names.WSU}"{attributes}>{inside}</e>'.encode()
    return parse_xml(raw, bytes_max=len(raw))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("more", ["", MANY])
def test_every_spelling_of_an_id_is_found(spelling: str, more: str) -> None:
    root = tree(f'<a><b {spelling}="x"/></a><c other="x"/>{more}')

    assert ElementIds(root).bearer("x") is root[0][0]
    assert ElementIds(root, list(root.iter())).bearer("x") is root[0][0]


def test_the_root_can_be_a_bearer() -> None:
    root = tree("", ' Id="x"')

    assert ElementIds(root).bearer("x") is root


def test_an_id_that_nobody_carries_leads_nowhere() -> None:
    assert ElementIds(tree('<a Id="x"/>')).bearer("y") is None
    assert ElementIds(tree(f'<a Id="x"/>{MANY}')).bearer("y") is None


@pytest.mark.parametrize("first", SPELLINGS)
@pytest.mark.parametrize("second", SPELLINGS)
@pytest.mark.parametrize("more", ["", MANY])
def test_two_bearers_of_one_id_are_none(first: str, second: str, more: str) -> None:
    root = tree(f'<a {first}="x"/><b><c {second}="x"/></b><d Id="y"/>{more}')

    if {first, second} <= STRICT:
        with pytest.raises(SignatureMalformedError, match="two elements carry the same Id"):
            ElementIds(root)
        return
    ids = ElementIds(root, list(root))
    with pytest.raises(SignatureMalformedError, match="an Id that two elements carry"):
        ids.bearer("x")
    assert ids.bearer("y") is root[2]


def test_one_element_with_an_id_in_two_spellings_carries_it_twice() -> None:
    with pytest.raises(SignatureMalformedError, match="an Id that two elements carry"):
        ElementIds(tree('<a wsu:Id="x" Id="x"/>')).bearer("x")


def test_an_id_with_quotes_is_only_text() -> None:
    root = tree("<a Id=\"x' or '1'='1\"/>")

    assert ElementIds(root).bearer("x' or '1'='1") is root[0]
    assert ElementIds(root).bearer("' or '1'='1") is None


@given(
    carried=st.lists(st.tuples(st.sampled_from(SPELLINGS), st.sampled_from("abc")), max_size=6),
    more=st.sampled_from(["", MANY]),
)
def test_an_id_leads_to_an_element_if_and_only_if_it_stands_once(
    carried: list[tuple[str, str]], more: str
) -> None:
    root = tree("".join(f'<i {name}="{value}"/>' for name, value in carried) + more)
    values = [value for _, value in carried]
    strict = [value for name, value in carried if name in STRICT]

    if len(set(strict)) < len(strict):
        with pytest.raises(SignatureMalformedError):
            ElementIds(root)
        return
    ids = ElementIds(root)
    for value in "abc":
        if values.count(value) > 1:
            with pytest.raises(SignatureMalformedError):
                ids.bearer(value)
        else:
            expected = root[values.index(value)] if value in values else None
            assert ids.bearer(value) is expected
