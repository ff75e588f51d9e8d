"""Elements of a signature are read strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from signing.elements import base64_bytes, base64_of
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
