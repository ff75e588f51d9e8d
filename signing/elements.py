"""Read elements of a signature strictly: one child where one must stand, base64 that is base64."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from lxml import etree

from signing.errors import SignatureMalformed


def only_child(
    parent: etree._Element, tag: str, missing: type[Exception] = SignatureMalformed
) -> etree._Element:
    """The one child with this tag; raises `missing`, or SignatureMalformed if there are more."""
    found = list(parent.iterchildren(tag))
    if len(found) == 1:
        return found[0]
    name = tag.rpartition("}")[2]
    if not found:
        raise missing(f"{name} is missing")
    raise SignatureMalformed(f"{name} stands {len(found)} times")


_FEW = 16
"""So many children are looked at one by one; a flood of them is left to the library."""


def leading_children(parent: etree._Element, tags: Sequence[str]) -> list[etree._Element]:
    """The one child with each of these tags, which nearly always stand first and in this order.

    Raises SignatureMalformed.
    """
    children = list(parent) if len(parent) <= _FEW else []
    found = [child.tag for child in children]
    if len(set(found)) == len(found) and found[: len(tags)] == list(tags):
        return children[: len(tags)]
    return [only_child(parent, tag) for tag in tags]


def base64_of(element: etree._Element) -> bytes:
    """The bytes that an element holds in base64; raises SignatureMalformed."""
    if len(element):
        raise SignatureMalformed(f"{etree.QName(element).localname} must hold text only")
    try:
        return base64_bytes((element.text or "").encode("ascii"))
    except ValueError as error:
        name = etree.QName(element).localname
        raise SignatureMalformed(f"{name} is not base64: {error}") from error


def base64_bytes(text: bytes) -> bytes:
    """The bytes that a text holds in base64; raises ValueError.

    White space is that of XML, and there is one spelling for the same bytes: no bits are loose
    behind the last one. RFC 4648 §3.5; XML Schema Part 2 §3.2.16.
    """
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        text = b"".join(text.split())
        value = binascii.a2b_base64(text, strict_mode=True)
    groups, odd = divmod(len(value), 3)
    if len(text) != 4 * (groups + bool(odd)):
        raise ValueError("padding stands behind the last group")  # which Python overlooks
    if odd and text[odd - 4] not in _LAST_LETTERS[odd]:
        raise ValueError("bits are loose behind the last byte")
    return value


_LAST_LETTERS = {1: b"AQgw", 2: b"AEIMQUYcgkosw048"}
"""What the last letter before the padding can be, by bytes in the last group. RFC 4648 §4."""
