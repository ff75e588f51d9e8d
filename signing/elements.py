"""Read elements of a signature strictly: one child where one must stand, base64 that is base64."""

from __future__ import annotations

import binascii

from lxml import etree

from signing.errors import SignatureMalformedError


def only_child(
    parent: etree._Element, tag: str, missing: type[Exception] = SignatureMalformedError
) -> etree._Element:
    """The one child with this tag; raises `missing`, or SignatureMalformedError if there are
    more."""
    found = list(parent.iterchildren(tag))
    if len(found) == 1:
        return found[0]
    name = tag.rpartition("}")[2]
    if not found:
        raise missing(f"{name} is missing")
    raise SignatureMalformedError(f"{name} stands {len(found)} times")


def children_of(parent: etree._Element, tags: list[str]) -> list[etree._Element]:
    """The one child with each of these tags, which nearly always are all, and in this order.

    Raises SignatureMalformedError.
    """
    if len(parent) == len(tags) and [child.tag for child in parent] == tags:
        return list(parent)
    return [only_child(parent, tag) for tag in tags]


def base64_of(element: etree._Element) -> bytes:
    """The bytes that an element holds in base64; raises SignatureMalformedError."""
    return base64_text(text_of(element), element.tag)


def text_of(element: etree._Element) -> str:
    """The text of an element that must hold nothing else; raises SignatureMalformedError."""
    if len(element):
        raise SignatureMalformedError(f"{etree.QName(element).localname} must hold text only")
    return element.text or ""


def base64_text(text: str, tag: str) -> bytes:
    """The bytes that the text of an element holds in base64; raises SignatureMalformedError."""
    try:
        return base64_bytes(text.encode("ascii"))
    except ValueError as error:
        name = tag.rpartition("}")[2]
        raise SignatureMalformedError(f"{name} is not base64: {error}") from error


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
    if binascii.b2a_base64(value, newline=False) != text:
        raise ValueError(_other_spelling(value, text))
    return value


def _other_spelling(value: bytes, text: bytes) -> str:
    """What Python overlooks: in what a text differs from the one spelling of its bytes."""
    groups, odd = divmod(len(value), 3)
    if len(text) != 4 * (groups + bool(odd)):
        return "padding stands behind the last group"
    return "bits are loose behind the last byte"
