"""Write an element in canonical form together with the prefixes that only its values use.

`xsi:type`, and every value of the types xs:QName and xs:NOTATION, names a namespace by a prefix
that no element and no attribute need have. Exclusive canonicalisation leaves its binding out, and
what was signed could no longer be read as it was meant, unless a PrefixList names it. Exclusive
C14N §1.3, §4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from lxml import etree

from bus.core.errors import NoCanonicalForm
from bus.core.xml import parse_again
from signing.errors import SignatureMalformedError
from signing.names import EXCLUSIVE_C14N, SOAP11, SOAP12
from signing.quick_init import quick_init
from signing.wss.canonical import DEFAULT_NAMESPACE, Canonicalisation, canonicalise

VALUE_PREFIXES_MAX = 32
"""Most prefixes that the values of one element may use; a PrefixList holds no more."""
XSI_MARK = b"XMLSchema-instance"
"""In the canonical form of every element with xsi:type, and of hardly another."""
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_holders_of_types: Callable[[etree._Element], list[etree._Element]] = cast(
    Any,
    etree.XPath(
        "descendant-or-self::*[@xsi:type]",
        namespaces={"xsi": "http://www.w3.org/2001/XMLSchema-instance"},
    ),
)
_NAME = r"[^\W\d][\w.\-]*"
_QNAMES = re.compile(rf"\s*(?:{_NAME}:)?{_NAME}(?:\s+(?:{_NAME}:)?{_NAME})*\s*\Z")
_OF_ENVELOPES = frozenset({SOAP11, SOAP12})


class ValueUse(NamedTuple):
    """A value that names something in a namespace by a prefix, or may."""

    holder: etree._Element
    prefix: str
    """Empty: the default namespace."""
    namespace: str
    """Empty: none, since there is no default namespace."""
    local_name: str
    is_type: bool
    """Whether it is an xsi:type."""

    @property
    def is_of_envelope(self) -> bool:
        """Whether it is a word in an envelope that is written without prefixes, and no name."""
        return not self.prefix and self.namespace in _OF_ENVELOPES


@quick_init
@dataclass(frozen=True, slots=True)
class CanonicalElement:
    """An element that can be signed, and read, wherever it stands."""

    canonical: bytes = field(repr=False)
    """Exclusive canonical XML, with the bindings that its values use."""
    prefixes: tuple[str, ...] = ()
    """The PrefixList of this form; empty for nearly every message."""


def canonical_element(element: etree._Element, *, all_values: bool = False) -> CanonicalElement:
    """The canonical form of an element with the bindings that its values use.

    xsi:type is always looked at; with `all_values` every text and attribute that may be a QName.
    Raises NoCanonicalForm.
    """
    canonical = _canonical(element)
    if not all_values and XSI_MARK not in canonical:
        return CanonicalElement(canonical)
    prefixes = hidden_prefixes(element, all_values=all_values)
    if not prefixes:
        return CanonicalElement(canonical)
    by = Canonicalisation(EXCLUSIVE_C14N, prefixes)
    return CanonicalElement(canonicalise(element, by), prefixes)


def hidden_prefixes(element: etree._Element, *, all_values: bool) -> tuple[str, ...]:
    """The PrefixList without which values of `element` would lose their bindings.

    Raises NoCanonicalForm: they are too many.
    """
    found: set[str] = set()
    for use in value_uses(element, all_values=all_values):
        name = use.prefix or DEFAULT_NAMESPACE
        if name not in found and not _is_visible(use, element):
            found.add(name)
    if len(found) > VALUE_PREFIXES_MAX:
        raise NoCanonicalForm(
            public_detail=f"{len(found)} prefixes in values, at most {VALUE_PREFIXES_MAX} are taken"
        )
    return tuple(sorted(found))


def bound_prefixes(element: etree._Element) -> list[str]:
    """Every prefix that a value in `element` uses, or may use."""
    uses = value_uses(element, all_values=True)
    return sorted({use.prefix for use in uses if use.prefix})


def value_uses(element: etree._Element, *, all_values: bool) -> Iterator[ValueUse]:
    """Each prefix that is bound, or need not be, and that a value in `element` uses, or may."""
    if not all_values:
        for holder in _holders_of_types(element):
            yield from _uses(holder, holder.get(XSI_TYPE, ""), is_type=True)
        return
    for holder in element.iter(etree.Element):
        for name, value in holder.attrib.items():
            yield from _uses(holder, str(value), is_type=name == XSI_TYPE)
        if holder.text and not len(holder):
            yield from _uses(holder, holder.text, is_type=False)


def alone(element: etree._Element) -> etree._Element:
    """A copy of an element as a document of its own, with every binding that it had around it."""
    raw = etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False)
    return parse_again(raw)


def _canonical(element: etree._Element) -> bytes:
    try:
        return canonicalise(element)
    except SignatureMalformedError as error:
        line: int | None = element.sourceline  # type: ignore[assignment]
        name = etree.QName(element).localname
        raise NoCanonicalForm(public_detail=f"line {line or 1}, in {name}") from error


def _uses(holder: etree._Element, value: str, *, is_type: bool) -> Iterator[ValueUse]:
    if not _QNAMES.match(value):
        return
    bindings = holder.nsmap
    for word in set(value.split()):
        prefix, _, local_name = word.rpartition(":")
        namespace = bindings.get(prefix or None) or ""
        # Without prefix and default namespace it is a name of no namespace, and must stay one.
        if namespace or not prefix:
            yield ValueUse(holder, prefix, namespace, local_name, is_type)


def _is_visible(use: ValueUse, element: etree._Element) -> bool:
    """Whether the canonical form declares the prefix already where it is used."""
    place = use.holder
    while (place.prefix or "") != use.prefix:
        parent = place.getparent()
        if place is element or parent is None:
            return use.is_of_envelope or not use.namespace
        place = parent
    return (etree.QName(place).namespace or "") == use.namespace
