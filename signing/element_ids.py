"""Find the element that carries an Id, and make sure that no other one does.

A small document is read in one pass. In a large one the passes that tell whether Ids stand twice
make nothing but texts, and the bearers are gathered, once, only when a signature refers to
something that it need not refer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed

_STRICT_IDS = frozenset({names.WSU_ID, names.XML_ID})
_UNITED_ATTRIBUTES_MAX = 256
"""libxml2 compares all with all where paths are united: quickest up to so many, never above."""


def _path(expression: str, *, tells_bearers: bool = False) -> etree.XPath:
    namespaces = {"wsu": names.WSU}
    return etree.XPath(expression, namespaces=namespaces, smart_strings=tells_bearers)


_STRICT_PATHS = ("descendant-or-self::*/@wsu:Id", "descendant-or-self::*/@xml:id")
_LOOSE_PATHS = ("descendant-or-self::*/@Id", "descendant-or-self::*/@ID")
_PATHS = (*_STRICT_PATHS, *_LOOSE_PATHS)

_ATTRIBUTES_COUNT = _path("count(descendant-or-self::*/@*)")
_UNITED = _path(" | ".join(_PATHS), tells_bearers=True)
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
        self._bearers: dict[str, etree._Element] = {}
        self._repeated: set[str] = set()
        self._is_complete = cast(float, _ATTRIBUTES_COUNT(root)) <= _UNITED_ATTRIBUTES_MAX
        if self._is_complete:
            self._read_at_once()
        else:
            self._read_texts()
            self._bearers.update((element.get(names.WSU_ID, ""), element) for element in expected)

    def _read_at_once(self) -> None:
        strict = set()
        # An attribute found by XPath is a string that knows its element and its name.
        for found in cast(list[Any], _UNITED(self._root)):
            if found.attrname in _STRICT_IDS:
                if found in strict:
                    raise SignatureMalformed("two elements carry the same Id")
                strict.add(found)
            if found in self._bearers:
                self._repeated.add(found)
            self._bearers[found] = found.getparent()

    def _read_texts(self) -> None:
        strict: list[str] = _found(_STRICT_TEXTS, self._root)
        if len(set(strict)) != len(strict):
            raise SignatureMalformed("two elements carry the same Id")
        carried = Counter(strict + _found(_LOOSE_TEXTS, self._root))
        self._repeated = {one for one, count in carried.items() if count > 1}

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
