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
    """The bytes that an element holds in base64; raises SignatureMalformed."""
    if len(element):
        raise SignatureMalformed(f"{etree.QName(element).localname} must hold text only")
    text = "".join((element.text or "").split())
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        name = etree.QName(element).localname
        raise SignatureMalformed(f"{name} is not base64") from error
