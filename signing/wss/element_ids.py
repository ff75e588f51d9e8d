"""Find the element that carries an Id, and make sure that no other one does.

One pass counts who carries an Id, in any spelling. Where these are no more than the elements that
likely carry one, all is known. Else one pass for each spelling gathers the texts, and nothing but
texts: libxml2 compares all with all where paths are united. What a signature refers to beside what
it need refer to is found by its place among these texts: to make an object of each element that
carries an Id would cost more than to parse them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformedError


def _path(expression: str) -> etree.XPath:
    namespaces = {"wsu": names.WSU}
    return etree.XPath(expression, namespaces=namespaces, regexp=False, smart_strings=False)


_STRICT = ("@wsu:Id", "@xml:id")
_LOOSE = ("@Id", "@ID")

_COUNT = _path(" + ".join(f"count(descendant-or-self::*/{one})" for one in _STRICT + _LOOSE))
_TEXTS = tuple(_path(f"descendant-or-self::*/{one}") for one in _STRICT + _LOOSE)
_BEARER = tuple(_path(f"(descendant-or-self::*[{one}])[$place]") for one in _STRICT + _LOOSE)


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

    __slots__ = ("_bearers", "_repeated", "_root", "_texts")

    def __init__(
        self,
        root: etree._Element,
        likely: Iterable[etree._Element] = (),
        more: Callable[[], Iterable[etree._Element]] = tuple,
    ) -> None:
        """Of the whole document below `root`.

        `likely` are elements that are likely to carry an Id; `more` are asked for if others do.
        Raises SignatureMalformedError: two elements carry the same wsu:Id or xml:id.
        """
        self._root = root
        self._bearers = _by_id(likely)
        self._repeated: set[str] = set()
        self._texts: list[list[str]] = []
        """What is carried, in each spelling in document order; empty: `_bearers` are all."""
        count = _COUNT(root)
        # As many as there are, and each another Id: nobody else carries one.
        if len(self._bearers) != count:
            self._bearers |= _by_id(more())
            if len(self._bearers) != count:
                self._look_for_repeated()

    def _look_for_repeated(self) -> None:
        self._texts = [cast(list[str], path(self._root)) for path in _TEXTS]
        strict = [text for texts in self._texts[: len(_STRICT)] for text in texts]
        carried = [text for texts in self._texts for text in texts]
        if len(set(carried)) == len(carried):
            return
        if len(set(strict)) != len(strict):
            raise SignatureMalformedError("two elements carry the same Id")
        self._repeated = {one for one, count in Counter(carried).items() if count > 1}

    def bearer(self, identifier: str) -> etree._Element | None:
        """The one element that carries an Id; None: no element does.

        Raises SignatureMalformedError: more than one does.
        """
        if identifier in self._repeated:
            raise SignatureMalformedError("a reference points to an Id that two elements carry")
        known = self._bearers.get(identifier)
        return self._find(identifier) if known is None else known

    def _find(self, identifier: str) -> etree._Element | None:
        for texts, bearer in zip(self._texts, _BEARER, strict=False):
            if identifier in texts:
                place = texts.index(identifier) + 1
                (found,) = cast(list[etree._Element], bearer(self._root, place=place))
                self._bearers[identifier] = found
                return found
        return None
