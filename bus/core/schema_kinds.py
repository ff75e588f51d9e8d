"""Say what the elements of a schema hold, as attachments see it: bytes, a reference, or neither.

A text is a reference to an attachment if its schema says that it is a URI, as swaRef is one (WS-I
Attachments Profile 1.0 §4.4), and not by its look: "CID: 12/2026" is a number of a paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto

from lxml import etree

_XSD = "http://www.w3.org/2001/XMLSchema"
_SWA_REF = "{http://ws-i.org/profiles/basic/1.1/xsd}swaRef"
_DEPTH_MAX = 16
"""Types that are made of types that are made of types."""


class Kind(Enum):
    """What an element may hold."""

    BYTES = auto()
    """base64: an xop:Include may stand in its place. XOP 1.0 §3.1."""
    REFERENCE = auto()
    """A URI, which may name an attachment."""
    ANYTHING = auto()
    """Elements of which the schema says nothing, an xop:Include among them."""


_KINDS: Mapping[str, Kind] = {
    f"{{{_XSD}}}base64Binary": Kind.BYTES,
    f"{{{_XSD}}}anyURI": Kind.REFERENCE,
    f"{{{_XSD}}}anyType": Kind.ANYTHING,
    _SWA_REF: Kind.REFERENCE,
}


def kinds_of(schema: etree._Element) -> Mapping[str, frozenset[Kind]]:
    """What each element that a schema declares may hold, by tag; of most it is neither.

    Where two elements of one name hold different things, both are said. Of an element that is not
    here, which a wildcard lets in, the schema says nothing.
    """
    namespace = schema.get("targetNamespace", "")
    found: dict[str, set[Kind]] = {}
    for element in schema.iter(_tag("element")):
        kind = kind_of(element, schema)
        name = element.get("name")
        if name is None:
            continue
        is_qualified = (
            element.getparent() is schema
            or element.get("form", schema.get("elementFormDefault", "unqualified")) == "qualified"
        )
        tag = f"{{{namespace}}}{name}" if is_qualified and namespace else name
        found.setdefault(tag, set()).update(() if kind is None else (kind,))
    return {tag: frozenset(kinds) for tag, kinds in found.items()}


def declared_below(name: str, schema: etree._Element) -> Iterator[etree._Element]:
    """Every declaration of an element that a message may hold whose root is called `name`."""
    waiting: list[etree._Element] = _components(schema, name, _tag("element"))
    seen = set(waiting)
    while waiting:
        for one in waiting.pop().iter():
            if one.tag == _tag("element"):
                yield one
            for said in (one.get("type"), one.get("ref"), one.get("base")):
                local_name = (said or "").rpartition(":")[2]
                new = (
                    [found for found in _components(schema, local_name) if found not in seen]
                    if said
                    else []
                )
                seen.update(new)
                waiting += new


def _components(schema: etree._Element, name: str, *tags: str) -> list[etree._Element]:
    return [one for one in schema.iterchildren(*tags) if one.get("name") == name]


def kind_of(declared: etree._Element, schema: etree._Element) -> Kind | None:
    """What an element that is declared so holds; None: none of them."""
    place: etree._Element | None = declared
    for _ in range(_DEPTH_MAX):
        if place is None:
            return None
        if _lets_any_in(place):
            return Kind.ANYTHING
        base = next(_bases(place), None)
        if base is None:
            return None
        if base in _KINDS:
            return _KINDS[base]
        place = _named_type(base, schema)
    return None


def _lets_any_in(place: etree._Element) -> bool:
    """A wildcard stands in it; or it is an element of no type, which is xs:anyType."""
    if place.tag == _tag("element") and not len(place):
        return place.get("type") is None
    for one in place.iter(_tag("any"), _tag("element")):
        if one is not place:
            return bool(one.tag == _tag("any"))
    return False


def _bases(place: etree._Element) -> Iterator[str]:
    """The type that an element or a type is of, or is made of: `{namespace}name`."""
    for holder in place.iter(
        _tag("element"),
        _tag("simpleType"),
        _tag("complexType"),
        _tag("restriction"),
        _tag("extension"),
    ):
        if holder is not place and holder.tag == _tag("element"):
            return  # what stands in it is its own
        name = holder.get("type") or holder.get("base")
        if name:
            prefix, _, local_name = name.rpartition(":")
            yield f"{{{holder.nsmap.get(prefix or None, '')}}}{local_name}"


def _named_type(name: str, schema: etree._Element) -> etree._Element | None:
    wanted = etree.QName(name)
    if wanted.namespace != schema.get("targetNamespace", ""):
        return None
    return next(
        (
            one
            for one in schema.iterchildren(_tag("simpleType"), _tag("complexType"))
            if one.get("name") == wanted.localname
        ),
        None,
    )


def _tag(name: str) -> str:
    return f"{{{_XSD}}}{name}"
