"""Read elements of a signature strictly: one child where one must stand, base64 that is base64."""

from __future__ import annotations

import base64
import binascii

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


def base64_of(element: etree._Element) -> bytes:
    """The bytes that an element holds in base64; raises SignatureMalformed.

    White space is that of XML, and there is one spelling for the same bytes: no bits are loose
    behind the last one. RFC 4648 §3.5; XML Schema Part 2 §3.2.16.
    """
    name = etree.QName(element).localname
    if len(element):
        raise SignatureMalformed(f"{name} must hold text only")
    try:
        text = b"".join((element.text or "").encode("ascii").split())
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureMalformed(f"{name} is not base64") from error
    if base64.b64encode(value) != text:
        raise SignatureMalformed(f"{name} is not written as base64 is")
    return value
