"""Find the element that carries an Id, and make sure that no other one does.

One pass counts who carries an Id, in any spelling. Where these are no more than the elements that
likely carry one, all is known. Else one pass for each spelling gathers the texts, and nothing but
texts: libxml2 compares all with all where paths are united. The bearers are gathered, once, only
when a signature refers to something that it need not refer to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed


def _path(expression: str, *, tells_bearers: bool = False) -> etree.XPath:
    namespaces = {"wsu": names.WSU}
    return etree.XPath(expression, namespaces=namespaces, regexp=False, smart_strings=tells_bearers)


_STRICT_PATHS = ("descendant-or-self::*/@wsu:Id", "descendant-or-self::*/@xml:id")
_LOOSE_PATHS = ("descendant-or-self::*/@Id", "descendant-or-self::*/@ID")
_PATHS = (*_STRICT_PATHS, *_LOOSE_PATHS)

_COUNT = _path(" + ".join(f"count({one})" for one in _PATHS))
_STRICT_TEXTS = tuple(map(_path, _STRICT_PATHS))
_LOOSE_TEXTS = tuple(map(_path, _LOOSE_PATHS))
_BEARERS = tuple(_path(one, tells_bearers=True) for one in _PATHS)


def _found(paths: Iterable[etree.XPath], root: etree._Element) -> list[Any]:
    return [found for path in paths for found in cast(list[Any], path(root))]


def _by_id(elements: Iterable[etree._Element]) -> dict[str, etree._Element]:
    bearers = {}
    for element in elements:
        # What only refers to others, as a ds:Signature, spells its own Id without prefix.
        identifier = element.get(names.WSU_ID) or element.get("Id")
        if identifier:
            bearers[identifier] = element
    return bearers


class ElementIds:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    __slots__ = ("_bearers", "_is_complete", "_repeated", "_root")

    def __init__(
        self,
        root: etree._Element,
        likely: Iterable[etree._Element] = (),
        more: Callable[[], Iterable[etree._Element]] = tuple,
    ) -> None:
        """Of the whole document below `root`.

        `likely` are elements that are likely to carry an Id; `more` are asked for if others do.
        Raises SignatureMalformed: two elements carry the same wsu:Id or xml:id.
        """
        self._root = root
        self._bearers = _by_id(likely)
        self._repeated: set[str] = set()
        count = _COUNT(root)
        # As many as there are, and each another Id: nobody else carries one.
        self._is_complete = len(self._bearers) == count
        if not self._is_complete:
            self._bearers |= _by_id(more())
            self._is_complete = len(self._bearers) == count
        if not self._is_complete:
            self._look_for_repeated()

    def _look_for_repeated(self) -> None:
        strict: list[str] = _found(_STRICT_TEXTS, self._root)
        carried = strict + _found(_LOOSE_TEXTS, self._root)
        if len(set(carried)) == len(carried):
            return
        if len(set(strict)) != len(strict):
            raise SignatureMalformed("two elements carry the same Id")
        self._repeated = {one for one, count in Counter(carried).items() if count > 1}

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
