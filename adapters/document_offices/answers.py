"""Write what a document system says of a document that it has."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from bus.kit.contract import RecipientUnavailable

NAMESPACE = "urn:lienthong:van-ban:1.0"


def registered(said: Mapping[str, object]) -> etree._Element:
    """The answer of the hub's schema: the number that the document got.

    Raises RecipientUnavailable: it tells none.
    """
    facts = said.get("data")
    number = facts.get("DocId") if isinstance(facts, dict) else None
    if not isinstance(number, str) or not number:
        raise RecipientUnavailable("the document system tells no number")
    root = etree.Element(f"{{{NAMESPACE}}}PhatHanhVanBanResponse", nsmap={"vb": NAMESPACE})
    etree.SubElement(root, f"{{{NAMESPACE}}}DocId").text = number
    return root
