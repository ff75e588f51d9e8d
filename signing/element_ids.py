"""Find the element that carries an Id, and make sure that no other one does."""

from __future__ import annotations

from typing import Any, cast

from lxml import etree

from signing import names
from signing.errors import SignatureMalformed

_STRICT_IDS = frozenset({names.WSU_ID, names.XML_ID})
_UNITED_ATTRIBUTES_MAX = 256
"""libxml2 compares all with all where paths are united: quickest up to so many, never above."""


def _path(expression: str) -> etree.XPath:
    return etree.XPath(expression, namespaces={"wsu": names.WSU})


_PATHS = tuple(f"descendant-or-self::*/@{name}" for name in ("wsu:Id", "xml:id", "Id", "ID"))
_ATTRIBUTES_COUNT = _path("count(descendant-or-self::*/@*)")
_UNITED = (_path(" | ".join(_PATHS)),)
_EACH = tuple(map(_path, _PATHS))


class ElementIds:
    """Who carries which Id; an Id that business data repeats can be carried, not referred to."""

    def __init__(self, root: etree._Element) -> None:
        """Of the whole document below `root`.

        Raises SignatureMalformed: two elements carry the same wsu:Id or xml:id.
        """
        self._bearers: dict[str, etree._Element] = {}
        self._strict: set[str] = set()
        self._repeated: set[str] = set()
        is_small = cast(float, _ATTRIBUTES_COUNT(root)) <= _UNITED_ATTRIBUTES_MAX
        for path in _UNITED if is_small else _EACH:
            self._gather(cast(list[Any], path(root)))

    def _gather(self, attributes: list[Any]) -> None:
        # An attribute found by XPath is a string that knows its element and its name.
        for found in attributes:
            is_strict = found.attrname in _STRICT_IDS
            if found in self._bearers:
                if is_strict and found in self._strict:
                    raise SignatureMalformed("two elements carry the same Id")
                self._repeated.add(found)
            if is_strict:
                self._strict.add(found)
            self._bearers[found] = found.getparent()

    def bearer(self, identifier: str) -> etree._Element | None:
        """The one element that carries an Id; None: no element does.

        Raises SignatureMalformed: more than one does.
        """
        if identifier in self._repeated:
            raise SignatureMalformed("a reference points to an Id that two elements carry")
        return self._bearers.get(identifier)
