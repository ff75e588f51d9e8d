"""Find the element that carries an Id, and make sure that no other one does.

Whether Ids stand twice is read in two passes over the document that make nothing but texts; where
a bearer stands is looked up only for what a signature refers to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed

_NAMESPACES = {"wsu": names.WSU}
_STRICT_IDS = etree.XPath(
    "descendant-or-self::*/@wsu:Id | descendant-or-self::*/@xml:id",
    namespaces=_NAMESPACES,
    smart_strings=False,
)
_LOOSE_IDS = etree.XPath(
    "descendant-or-self::*/@Id | descendant-or-self::*/@ID", smart_strings=False
)
_BEARER = etree.XPath(
    "descendant-or-self::*[@wsu:Id = $id or @xml:id = $id or @Id = $id or @ID = $id]",
    namespaces=_NAMESPACES,
)


class ElementIds:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    def __init__(self, root: etree._Element, expected: Iterable[etree._Element] = ()) -> None:
        """Of the whole document below `root`; `expected` are elements that are likely asked for.

        Raises SignatureMalformed: two elements carry the same wsu:Id or xml:id.
        """
        self._root = root
        strict = cast(list[str], _STRICT_IDS(root))
        carried = strict + cast(list[str], _LOOSE_IDS(root))
        self._carried = set(carried)
        self._repeated: set[str] = set()
        if len(self._carried) != len(carried):
            if len(set(strict)) != len(strict):
                raise SignatureMalformed("two elements carry the same Id")
            self._repeated = {one for one in self._carried if carried.count(one) > 1}
        self._expected = {element.get(names.WSU_ID): element for element in expected}

    def bearer(self, identifier: str) -> etree._Element | None:
        """The one element that carries an Id; None: no element does.

        Raises SignatureMalformed: more than one does.
        """
        if identifier in self._repeated:
            raise SignatureMalformed("a reference points to an Id that two elements carry")
        if identifier not in self._carried:
            return None
        expected = self._expected.get(identifier)
        if expected is not None:
            return expected
        (found,) = cast(list[Any], _BEARER(self._root, id=identifier))
        return cast(etree._Element, found)
