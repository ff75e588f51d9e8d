"""Bound what XML may cost by what it is made of, where bytes alone say too little.

Ten megabytes may be one text, or two million elements of which each takes a hundred bytes of
memory and is looked at again and again; and what reads namespaces and attributes takes the square
of how many there are at one place. So a message is counted before it is parsed, and looked at
where many stand together before anybody else reads its tree.

What is counted in bytes is never less than what a parser would find: in well-formed XML `<` begins
a tag, a comment, CDATA or an instruction, and `=` stands in each attribute. Only where that is too
much, what certainly is no markup is left out. There is no document type here (bus.core.xml).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

from lxml import etree

from bus.core.errors import TooComplex
from bus.core.limits import Limits

ELEMENT_BYTES_MIN = 4
"""`<a/>`: as long as a message has no more than so many bytes for each node, nobody counts."""
ATTRIBUTE_BYTES_MIN = 5
"""A space, a name, `=`, two quotes."""
OPAQUE_PIECES_MAX = 10_000
"""So many comments and CDATA sections are looked into; the `<` in further ones count as tags."""

_OPAQUE = re.compile(rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
"""In this order they are found as a parser finds them: none begins within another. Behind one that
does not end nothing is parsed, and none is looked for."""
_TAG = re.compile(rb"""<[^<>"'!?/](?:[^<>"']|"[^"<]*"|'[^'<]*')*+>?""")
"""A start tag as far as it goes: `>` may stand in a value, `<` may not. XML 1.0 §2.3."""
_VALUE = re.compile(rb"""=\s*(?:"[^"]*"|'[^']*')""")
_TEXT = re.compile(rb">[^<>]+(?=<)")
"""From the last `>` before a tag on, which ends the tag before it or stands behind its end."""


def is_surely_plain(raw: bytes, limits: Limits) -> bool:
    """Nothing of it can be too much: what is true of nearly every message, found in a moment."""
    few = min(limits.attributes_of_element_max, limits.namespaces_in_scope_max)
    return (
        len(raw) <= ELEMENT_BYTES_MIN * (limits.nodes_max - few)
        and raw.count(b"=") <= few <= limits.nodes_max
    )


def check_before_parsing(raw: bytes, limits: Limits) -> None:
    """Raises TooComplex: more elements, attributes and declarations than are taken, in all or in
    one tag."""
    _check_number(raw, limits.nodes_max)
    in_tag_max = limits.attributes_of_element_max + limits.namespaces_in_scope_max
    if _may_have_many_attributes(raw, in_tag_max):
        _check_tags(_OPAQUE.sub(_only_its_lines, raw, OPAQUE_PIECES_MAX), in_tag_max)


def _check_number(raw: bytes, most: int) -> None:
    attributes = raw.count(b"=")
    if len(raw) // ELEMENT_BYTES_MIN + attributes <= most or _elements(raw) + attributes <= most:
        return
    markup = _OPAQUE.sub(b"", raw, OPAQUE_PIECES_MAX)
    elements = _elements(markup)
    if elements <= most:
        elements += _TEXT.sub(b">", markup).count(b"=")
    if elements > most:
        raise TooComplex(
            public_detail=f"some {elements} elements, attributes and namespace declarations; "
            f"at most {most} are taken"
        )


def _only_its_lines(opaque: re.Match[bytes]) -> bytes:
    return b"\n" * opaque[0].count(b"\n")


def _check_tags(markup: bytes, most: int) -> None:
    """Look at each tag that is long enough; what stands together at one is dear to parse at all."""
    length = ATTRIBUTE_BYTES_MIN * most
    for start, end in _long_pieces(markup, length):
        tag = _TAG.match(markup, start, end)
        if tag is not None and len(_VALUE.findall(tag[0])) > most:
            line = markup.count(b"\n", 0, start) + 1
            raise TooComplex(
                public_detail=f"line {line}: more than {most} attributes and namespace "
                "declarations of one element"
            )


def _long_pieces(raw: bytes, length: int) -> Iterator[tuple[int, int]]:
    """From a `<` to the next one, where that is no nearer than so many bytes."""
    start = raw.find(b"<")
    while start >= 0 and start + length < len(raw):
        following = raw.rfind(b"<", start + 1, start + length)
        if following < 0:
            following = raw.find(b"<", start + length)
            following = len(raw) if following < 0 else following
            yield start, following
        start = following


def _elements(raw: bytes) -> int:
    return raw.count(b"<") - raw.count(b"</")


def check_tree(root: etree._Element, raw: bytes, limits: Limits) -> None:
    """Raises TooComplex: too many attributes on one element, or declarations in scope at one."""
    if _may_have_many_attributes(raw, limits.attributes_of_element_max):
        _check_attributes(root, limits.attributes_of_element_max)
    if raw.count(b"xmlns") > limits.namespaces_in_scope_max:
        _check_namespaces(root, limits.namespaces_in_scope_max)


def _may_have_many_attributes(raw: bytes, most: int) -> bool:
    """Look where nothing begins for as long as so many attributes take, and nowhere else."""
    pieces = _long_pieces(raw, ATTRIBUTE_BYTES_MIN * most)
    return any(raw.count(b"=", start, end) > most for start, end in pieces)


def _check_attributes(root: etree._Element, most: int) -> None:
    found = cast(list[etree._Element], _elements_with_more_than(most)(root))
    if found:
        raise TooComplex(
            public_detail=f"line {found[0].sourceline}: more than {most} attributes of one element"
        )


@lru_cache(maxsize=8)
def _elements_with_more_than(attributes: int) -> Callable[[etree._Element], Any]:
    return etree.XPath(f"(descendant-or-self::*[@*[{attributes + 1}]])[1]", regexp=False)


def _check_namespaces(root: etree._Element, most: int) -> None:
    in_scope = 0
    for event, _ in etree.iterwalk(root, events=("start-ns", "end-ns")):
        in_scope += 1 if event == "start-ns" else -1
        if in_scope > most:
            raise TooComplex(
                public_detail=f"line {_line_of_many_namespaces(root, most)} or below: "
                f"more than {most} namespace declarations in scope"
            )


def _line_of_many_namespaces(root: etree._Element, most: int) -> int | None:
    """Of the element above the declaration that is too much: asked for only where there is one."""
    in_scope, above = 0, root
    events = iter(etree.iterwalk(root, events=("start-ns", "end-ns", "start")))
    while in_scope <= most:
        event, node = next(events)
        if event == "start":
            above = node
        else:
            in_scope += 1 if event == "start-ns" else -1
    return cast(int | None, above.sourceline)
