"""Elements of a signature are read strictly."""

from __future__ import annotations

import pytest
from lxml import etree

from signing.elements import base64_of
from signing.errors import SignatureMalformed


def element(text: str) -> etree._Element:
    made = etree.Element("{urn:x}DigestValue")
    made.text = text
    return made


@pytest.mark.parametrize("text", ["aGVsbG8=", "  aGVs\n\tbG8=\r\n", "aGVsbG8 ="])
def test_white_space_of_xml_is_no_part_of_base64(text: str) -> None:
    assert base64_of(element(text)) == b"hello"


@pytest.mark.parametrize(
    "text",
    ["aGVsbG9=", "aGVsbG8", "aGVs=bG8=", "aGVsbG8=====", "aGVs\u00a0bG8=", "aGVs\u2003bG8="],
    ids=["loose bits", "no padding", "padding inside", "more padding", "no-break", "em space"],
)
def test_there_is_one_spelling_for_the_same_bytes(text: str) -> None:
    with pytest.raises(SignatureMalformed, match="DigestValue is not"):
        base64_of(element(text))


def test_nothing_is_the_base64_of_nothing() -> None:
    assert base64_of(element("")) == b""


def test_base64_holds_no_elements() -> None:
    parent = element("aGVs")
    parent.append(element("bG8="))

    with pytest.raises(SignatureMalformed, match="must hold text only"):
        base64_of(parent)
