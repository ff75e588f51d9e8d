"""Say what the elements of a schema hold, as attachments see it: bytes, a reference, or neither.

A text is a reference to an attachment if its schema says that it is a URI, as swaRef is one (WS-I
Attachments Profile 1.0 §4.4), and not by its look: "CID: 12/2026" is a number of a paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """One document of a schema."""

    root: etree._Element
    namespace: str
    """Of what it declares: its own, or that of the document that includes it."""


def alone(root: etree._Element) -> tuple[SchemaPart, ...]:
    """A schema that is one document."""
    return (SchemaPart(root, root.get("targetNamespace", "")),)


def kinds_of(schema: Sequence[SchemaPart]) -> Mapping[str, frozenset[Kind]]:
    """What each element that a schema declares may hold, by tag; of most it is neither.

    Where two elements of one name hold different things, both are said. Of an element that is not
    here, which a wildcard lets in, the schema says nothing.
    """
    found: dict[str, set[Kind]] = {}
    for part in schema:
        default = part.root.get("elementFormDefault", "unqualified")
        for element in part.root.iter(_tag("element")):
            kind = kind_of(element, part, schema)
            name = element.get("name")
            if name is None:
                continue
            is_global = element.getparent() is part.root
            is_qualified = is_global or element.get("form", default) == "qualified"
            tag = f"{{{part.namespace}}}{name}" if is_qualified and part.namespace else name
            found.setdefault(tag, set()).update(() if kind is None else (kind,))
    return {tag: frozenset(kinds) for tag, kinds in found.items()}


def declared_below(
    name: str, schema: Sequence[SchemaPart]
) -> Iterator[tuple[etree._Element, SchemaPart]]:
    """Every declaration of an element that a message may hold whose root is called `name`."""
    waiting = list(_components(schema, name, _tag("element")))
    seen = {one for one, _ in waiting}
    while waiting:
        holder, part = waiting.pop()
        for one in holder.iter():
            if one.tag == _tag("element"):
                yield one, part
            for said in (one.get("type"), one.get("ref"), one.get("base")):
                local_name = (said or "").rpartition(":")[2]
                found = _components(schema, local_name) if said else ()
                new = [(component, where) for component, where in found if component not in seen]
                seen.update(component for component, _ in new)
                waiting += new


def _components(
    schema: Sequence[SchemaPart], name: str, *tags: str
) -> Iterator[tuple[etree._Element, SchemaPart]]:
    for part in schema:
        for one in part.root.iterchildren(*tags):
            if one.get("name") == name:
                yield one, part


def kind_of(
    declared: etree._Element, part: SchemaPart, schema: Sequence[SchemaPart]
) -> Kind | None:
    """What an element that `part` declares so holds; None: none of them."""
    place: tuple[etree._Element, SchemaPart] | None = declared, part
    for _ in range(_DEPTH_MAX):
        if place is None:
            return None
        if _lets_any_in(place[0]):
            return Kind.ANYTHING
        base = next(_bases(*place), None)
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


def _bases(place: etree._Element, part: SchemaPart) -> Iterator[str]:
    """The type that an element or a type is of, or is made of: `{namespace}name`."""
    # XML Schema Part 1 §4.2.1: what has no namespace gets that of who includes it.
    default = part.namespace if part.root.get("targetNamespace") is None else ""
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
            yield f"{{{holder.nsmap.get(prefix or None, default)}}}{local_name}"


def _named_type(
    name: str, schema: Sequence[SchemaPart]
) -> tuple[etree._Element, SchemaPart] | None:
    wanted = etree.QName(name)
    for one, part in _components(schema, wanted.localname, _tag("simpleType"), _tag("complexType")):
        if (wanted.namespace or "") == part.namespace:
            return one, part
    return None


def _tag(name: str) -> str:
    return f"{{{_XSD}}}{name}"
