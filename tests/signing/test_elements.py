"""Elements of a signature are read strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from signing.elements import base64_bytes, base64_of, children_of, only_child
from signing.errors import SignatureMalformedError


def element(text: str) -> etree._Element:
    made = etree.Element("{urn:x}DigestValue")
    made.text = text
    return made


@pytest.mark.parametrize("text", ["aGVsbG8=", "  aGVs\n\tbG8=\r\n", "aGVsbG8 ="])
def test_white_space_of_xml_is_no_part_of_base64(text: str) -> None:
    assert base64_of(element(text)) == b"hello"


@pytest.mark.parametrize(
    "text",
    [
        "aGVsbG9=",
        "aGVsbG8",
        "aGVs=bG8=",
        "aGVsbG8=====",
        "aGVs=",
        "aGVs====",
        "aGVs\u00a0bG8=",
        "aGVs\u2003bG8=",
    ],
    ids=[
        "loose bits",
        "no padding",
        "padding inside",
        "more padding",
        "padding of nothing",
        "a group of padding",
        "no-break",
        "em space",
    ],
)
def test_there_is_one_spelling_for_the_same_bytes(text: str) -> None:
    with pytest.raises(SignatureMalformedError, match="DigestValue is not"):
        base64_of(element(text))


def test_nothing_is_the_base64_of_nothing() -> None:
    assert base64_of(element("")) == b""


def test_base64_holds_no_elements() -> None:
    parent = element("aGVs")
    parent.append(element("bG8="))

    with pytest.raises(SignatureMalformedError, match="must hold text only"):
        base64_of(parent)


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@given(
    st.text(LETTERS, max_size=8),
    st.text(LETTERS, max_size=3),
    st.integers(min_value=0, max_value=2),
)
def test_what_is_read_is_written_again_in_the_same_letters(
    groups: str, last: str, padding: int
) -> None:
    text = (groups + last + "=" * padding).encode()

    try:
        value = base64_bytes(text)
    except ValueError:
        return
    assert base64.b64encode(value) == text


@given(st.binary(max_size=100))
def test_whatever_is_written_is_read(value: bytes) -> None:
    assert base64_bytes(base64.b64encode(value)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aGVsbG9=", "bits are loose behind the last byte"),
        ("aGV=", "bits are loose"),
        ("aR==", "bits are loose"),
        ("aGVs=", "padding stands behind the last group"),
        ("aGVsaGVs=", "padding stands behind the last group"),
    ],
)
def test_in_what_another_spelling_differs_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        base64_bytes(text.encode())


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("<a/><b/>", [0, 1]),
        ("<b/><a/>", [1, 0]),
        ("<c/><b/><a/>", [2, 1]),
        ("<a/><c/><b/>", [0, 2]),
        ("<a/><b/><c/>", [0, 1]),
    ],
)
def test_children_are_found_by_their_names_in_any_order(inside: str, found: list[int]) -> None:
    parent = etree.fromstring(f"<p>{inside}</p>")

    assert children_of(parent, ["a", "b"]) == [parent[index] for index in found]


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<a/>", "b is missing"),
        ("<a/><c/>", "b is missing"),
        ("<a/><b/><b/>", "b stands 2 times"),
        ("<a/><a/><b/><b/>", "a stands 2 times"),
    ],
)
def test_a_child_that_is_missing_or_doubled_is_told(inside: str, reason: str) -> None:
    with pytest.raises(SignatureMalformedError, match=reason):
        children_of(etree.fromstring(f"<p>{inside}</p>"), ["a", "b"])


def test_what_is_missing_may_have_an_error_of_its_own() -> None:
    with pytest.raises(LookupError, match="a is missing"):
        only_child(etree.fromstring("<p/>"), "a", LookupError)
