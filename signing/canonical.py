"""Canonicalise an element: exclusive C14N 1.0 without comments, and nothing else.

Source: W3C Exclusive XML Canonicalization 1.0 §3.
"""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree


def canonicalise(element: etree._Element, inclusive_prefixes: Sequence[str] = ()) -> bytes:
    """The exclusive canonical form of one element, without what follows it.

    `inclusive_prefixes` is the PrefixList of the transform; `#default` names no prefix.
    """
    return etree.tostring(
        element,
        method="c14n",
        exclusive=True,
        with_comments=False,
        with_tail=False,
        inclusive_ns_prefixes=list(inclusive_prefixes) or None,
    )
