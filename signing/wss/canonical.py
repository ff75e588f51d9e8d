"""Canonicalise an element: exclusive C14N 1.0 without comments; C14N 1.0 where a policy allows it.

Sources: W3C Exclusive XML Canonicalization 1.0 §3, Canonical XML 1.0 §2.4.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from lxml import etree

from signing import names
from signing.errors import SignatureMalformedError

DEFAULT_NAMESPACE = "#default"
"""What a PrefixList calls the namespace without a prefix. Exclusive C14N §4."""

_XML_PREFIX = f"{{{names.XML}}}"


@dataclass(frozen=True, slots=True)
class Canonicalisation:
    """A method, and the PrefixList of the exclusive one."""

    method: str = names.EXCLUSIVE_C14N
    prefixes: tuple[str, ...] = ()


EXCLUSIVE = Canonicalisation()


def canonicalise(element: etree._Element, by: Canonicalisation = EXCLUSIVE) -> bytes:
    """The canonical form of one element, without what follows it; the policy was asked before.

    Raises SignatureMalformedError: a relative namespace has no canonical form. Canonical XML 1.0
    §1.3.
    """
    if by is EXCLUSIVE:  # nearly always, and for every part of every message
        try:
            return etree.tostring(
                element, method="c14n", exclusive=True, with_comments=False, with_tail=False
            )
        except etree.C14NError as error:
            raise SignatureMalformedError("an element has no canonical form") from error
    if by.method == names.INCLUSIVE_C14N:
        return _octets(_with_inherited_attributes(element), exclusive=False)
    if not by.prefixes:
        return _octets(element)
    if DEFAULT_NAMESPACE in by.prefixes:
        _know_default_namespace()
        # In a copy, which this thread makes: another one may have read the message.
        element = twin(element)
    return _octets(element, inclusive_ns_prefixes=list(by.prefixes))


def _octets(element: etree._Element, *, exclusive: bool = True, **prefixes: Any) -> bytes:
    try:
        octets: bytes = etree.tostring(
            element,
            method="c14n",
            exclusive=exclusive,
            with_comments=False,
            with_tail=False,
            **prefixes,
        )
    except etree.C14NError as error:
        raise SignatureMalformedError("an element has no canonical form") from error
    return octets


def _know_default_namespace() -> None:
    """Make `#default` a word that lxml hands on.

    lxml leaves out of a PrefixList every word that no document of this thread contains as a name
    or namespace: one that stands for a prefix cannot be missed, but `#default` would be.
    """
    etree.fromstring(b'<a xmlns:a="#default"/>')  # noqa: TID251 - nothing from outside


def _with_inherited_attributes(element: etree._Element) -> etree._Element:
    """The element with the xml: attributes of its ancestors. Canonical XML 1.0 §2.4."""
    inherited: dict[str, str] = {}
    for ancestor in element.iterancestors():
        for name, value in ancestor.attrib.items():
            if str(name).startswith(_XML_PREFIX):
                inherited.setdefault(str(name), str(value))
    missing = {name: value for name, value in inherited.items() if name not in element.attrib}
    if not missing:
        return element
    # In a copy: what is verified must stay as it was received.
    alone = twin(element)
    for name, value in missing.items():
        alone.set(name, value)
    return alone


def twin(element: etree._Element) -> etree._Element:
    """The element at the same place in a copy of its document, with the same namespaces around."""
    root = element.getroottree().getroot()
    path = element.getroottree().getelementpath(element)
    copied = copy.deepcopy(root)
    found = copied if element is root else copied.find(path)
    assert found is not None
    return found
