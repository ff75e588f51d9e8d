"""Canonicalise an element: exclusive C14N 1.0 without comments, and nothing else.

Source: W3C Exclusive XML Canonicalization 1.0 §3.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from signing.errors import SignatureMalformed


def canonicalise(element: etree._Element, inclusive_prefixes: Sequence[str] = ()) -> bytes:
    """The exclusive canonical form of one element, without what follows it.

    `inclusive_prefixes` is the PrefixList of the transform; `#default` names no prefix.
    Raises SignatureMalformed: a relative namespace has no canonical form. Canonical XML 1.0 §1.3.
    """
    try:
        return etree.tostring(
            element,
            method="c14n",
            exclusive=True,
            with_comments=False,
            with_tail=False,
            inclusive_ns_prefixes=list(inclusive_prefixes) or None,
        )
    except etree.C14NError as error:
        raise SignatureMalformed("an element has no canonical form") from error
