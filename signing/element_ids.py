"""Find the element that carries an Id, and make sure that no other one does.

Whether Ids stand twice is read in passes over the document that make nothing but texts. The
bearers are gathered, once, only when a signature refers to something that it need not refer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed


def _paths(*attributes: str, tells_bearers: bool) -> tuple[etree.XPath, ...]:
    # One path for each attribute: libxml2 compares all with all where two paths are united.
    return tuple(
        etree.XPath(
            f"descendant-or-self::*/@{attribute}",
            namespaces={"wsu": names.WSU},
            smart_strings=tells_bearers,
        )
        for attribute in attributes
    )


_STRICT_IDS = _paths("wsu:Id", "xml:id", tells_bearers=False)
_LOOSE_IDS = _paths("Id", "ID", tells_bearers=False)
_BEARERS = _paths("wsu:Id", "xml:id", "Id", "ID", tells_bearers=True)


def _found(paths: tuple[etree.XPath, ...], root: etree._Element) -> list[Any]:
    return [found for path in paths for found in cast(list[Any], path(root))]


class ElementIds:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    def __init__(self, root: etree._Element, expected: Iterable[etree._Element] = ()) -> None:
        """Of the whole document below `root`; `expected` are elements that are likely asked for.

        Raises SignatureMalformed: two elements carry the same wsu:Id or xml:id.
        """
        self._root = root
        strict: list[str] = _found(_STRICT_IDS, root)
        carried: list[str] = strict + _found(_LOOSE_IDS, root)
        self._carried = set(carried)
        self._repeated: set[str] = set()
        if len(self._carried) != len(carried):
            if len(set(strict)) != len(strict):
                raise SignatureMalformed("two elements carry the same Id")
            self._repeated = {one for one, count in Counter(carried).items() if count > 1}
        self._bearers = {element.get(names.WSU_ID): element for element in expected}
        self._is_complete = False

    def bearer(self, identifier: str) -> etree._Element | None:
        """The one element that carries an Id; None: no element does.

        Raises SignatureMalformed: more than one does.
        """
        if identifier in self._repeated:
            raise SignatureMalformed("a reference points to an Id that two elements carry")
        if identifier not in self._carried:
            return None
        if identifier not in self._bearers and not self._is_complete:
            # An attribute found by XPath is a string that knows its element.
            for found in _found(_BEARERS, self._root):
                self._bearers[str(found)] = found.getparent()
            self._is_complete = True
        return self._bearers[identifier]
