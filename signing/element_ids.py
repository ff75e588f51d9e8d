"""Find the element that carries an Id, and make sure that no other one does.

The passes that tell whether Ids stand twice make nothing but texts, one for each spelling: libxml2
compares all with all where paths are united. The bearers are gathered, once, only when a signature
refers to something that it need not refer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed


def _path(expression: str, *, tells_bearers: bool = False) -> etree.XPath:
    namespaces = {"wsu": names.WSU}
    return etree.XPath(expression, namespaces=namespaces, smart_strings=tells_bearers)


_STRICT_PATHS = ("descendant-or-self::*/@wsu:Id", "descendant-or-self::*/@xml:id")
_LOOSE_PATHS = ("descendant-or-self::*/@Id", "descendant-or-self::*/@ID")
_PATHS = (*_STRICT_PATHS, *_LOOSE_PATHS)

_STRICT_TEXTS = tuple(map(_path, _STRICT_PATHS))
_LOOSE_TEXTS = tuple(map(_path, _LOOSE_PATHS))
_BEARERS = tuple(_path(one, tells_bearers=True) for one in _PATHS)


def _found(paths: Iterable[etree.XPath], root: etree._Element) -> list[Any]:
    return [found for path in paths for found in cast(list[Any], path(root))]


class ElementIds:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    def __init__(self, root: etree._Element, expected: Iterable[etree._Element] = ()) -> None:
        """Of the whole document below `root`; `expected` are elements that are likely asked for.

        Raises SignatureMalformed: two elements carry the same wsu:Id or xml:id.
        """
        self._root = root
        strict: list[str] = _found(_STRICT_TEXTS, root)
        carried = strict + _found(_LOOSE_TEXTS, root)
        self._repeated: set[str] = set()
        if len(set(carried)) != len(carried):
            if len(set(strict)) != len(strict):
                raise SignatureMalformed("two elements carry the same Id")
            self._repeated = {one for one, count in Counter(carried).items() if count > 1}
        self._bearers = {element.get(names.WSU_ID, ""): element for element in expected}
        self._is_complete = False

    def bearer(self, identifier: str) -> etree._Element | None:
        """The one element that carries an Id; None: no element does.

        Raises SignatureMalformed: more than one does.
        """
        if identifier in self._repeated:
            raise SignatureMalformed("a reference points to an Id that two elements carry")
        if identifier not in self._bearers and not self._is_complete:
            for found in _found(_BEARERS, self._root):
                self._bearers[found] = found.getparent()
            self._is_complete = True
        return self._bearers.get(identifier)
