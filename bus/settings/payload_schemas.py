"""Compile the schemas of services: libxml2 decides, xmlschema says what was expected."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lxml import etree

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.schema_kinds import kinds_of
from bus.core.validation import SchemaMistake, line_of
from bus.core.xml import parse_xml

if TYPE_CHECKING:
    from bus.settings.schema_mistakes import PreciseSchema

SCHEMA_BYTES_MAX = 4 * 1024 * 1024
PRECISE_ELEMENTS_MAX = 2000
"""Above this size the precise validator, which is slow, is not asked: libxml2's own words do."""
_XSD = "http://www.w3.org/2001/XMLSchema"
_ELEMENT = f"{{{_XSD}}}element"
_NAMED_TYPES = (f"{{{_XSD}}}simpleType", f"{{{_XSD}}}complexType")
_OTHER_DOCUMENTS = tuple(f"{{{_XSD}}}{name}" for name in ("import", "include", "redefine"))
_QNAME = re.compile(rb"\b(?:QName|NOTATION)\b")
_BUILT_IN = (
    "anyType anySimpleType string normalizedString token language NMTOKEN NMTOKENS Name NCName ID "
    "IDREF IDREFS ENTITY ENTITIES boolean decimal integer nonPositiveInteger negativeInteger long "
    "int short byte nonNegativeInteger unsignedLong unsignedInt unsignedShort unsignedByte "
    "positiveInteger float double duration dateTime time date gYearMonth gYear gMonthDay gDay "
    "gMonth hexBinary base64Binary anyURI"
)
"""Of XML Schema Part 2 §3, without QName and NOTATION: their values use prefixes themselves."""
_BUILT_IN_TYPES = frozenset(_BUILT_IN.split())
_TYPE_WORDS = "its xsi:type names no type that may stand here, or its value does not follow it"
_STEP = re.compile(r"(?:([^/:\[\]]+):)?([^/:\[\]]+)(?:\[(\d+)\])?")
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class CompiledSchema:
    """One XSD: compiled by libxml2 at once, and by xmlschema when a mistake must be told.

    Safe to use from several threads, one after the other.
    """

    def __init__(self, path: Path) -> None:
        """Compile the file; raises ConfigurationError with line and reason."""
        self.path = path
        self.text = _read(path)
        """What was compiled, byte for byte."""
        self.digest = hashlib.sha256(self.text).digest()
        try:
            self.root = parse_xml(self.text, bytes_max=SCHEMA_BYTES_MAX)
            self._fast = etree.XMLSchema(self.root)
        except (BusError, etree.XMLSchemaParseError) as error:
            raise self._refused(str(error)) from error
        self._precise: PreciseSchema | None = None
        self._lock = threading.Lock()
        """Guards both validators: each keeps the mistakes of its last run in itself."""
        self.namespace = self.root.get("targetNamespace", "")
        self.kinds = kinds_of(self.root)
        self.has_qnames = _QNAME.search(self.text) is not None
        """Also where a comment speaks of them: more is then looked at, and nothing taken amiss."""
        self._types = frozenset(
            one.get("name", "") for one in self.root.iterchildren(*_NAMED_TYPES)
        )
        self._is_whole = next(self.root.iterchildren(*_OTHER_DOCUMENTS), None) is None

    def compile_precise(self) -> PreciseSchema:
        """Compile what tells mistakes; raises ConfigurationError. A hub does so when it must."""
        from bus.settings.schema_mistakes import NotPrecise, PreciseSchema

        if self._precise is None:
            try:
                self._precise = PreciseSchema(self.text)
            except NotPrecise as error:
                raise self._refused(str(error)) from error
        return self._precise

    def _refused(self, reason: str) -> ConfigurationError:
        problem = f"not a schema: {reason.splitlines()[0]}"
        return ConfigurationError([Problem(str(self.path), "", problem)])

    def has_element(self, local_name: str) -> bool:
        """Whether a message may start with this element."""
        return any(
            element.get("name") == local_name for element in self.root.iterchildren(_ELEMENT)
        )

    def is_only_type(self, namespace: str, local_name: str) -> bool:
        """Whether this type is known, and no other namespace that is known has one of its name."""
        is_own, is_built_in = local_name in self._types, local_name in _BUILT_IN_TYPES
        if not self._is_whole or is_own == is_built_in:
            return False
        return namespace == (self.namespace if is_own else _XSD)

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`, without its values; None: it is valid."""
        with self._lock:
            try:
                return None if self._fast.validate(element) else self._report(element)
            except etree.LxmlError:  # libxml2 gives up on an element that it cannot take
                return SchemaMistake(line_of(element), _name(element), "cannot be validated")

    def _report(self, element: etree._Element) -> SchemaMistake:
        entries: list[Any] = list(cast(Any, self._fast.error_log))
        try:
            precise = self._precise_mistake(element)
        except Exception:
            # A border: libxml2 has refused it, and whatever another library meets while it looks
            # for words, an xsi:type without a meaning, a depth, is no mistake of ours.
            precise = None
        if not entries:
            return precise or SchemaMistake(line_of(element), _name(element), "breaks the schema")
        fast = _fast_mistake(element, entries[0])
        is_of_type = fast.expected == _TYPE_WORDS and precise is not None and precise.is_vague
        return fast if precise is None or is_of_type else precise

    def _precise_mistake(self, element: etree._Element) -> SchemaMistake | None:
        for number, _ in enumerate(element.iter()):
            if number > PRECISE_ELEMENTS_MAX:
                return None
        return self.compile_precise().first_mistake(element)


def _fast_mistake(element: etree._Element, entry: Any) -> SchemaMistake:
    """What libxml2 says of a mistake: by kind, for its own words repeat what stands there."""
    place, path = element, [_name(element)]
    for prefix, name, number in _STEP.findall(entry.path or "")[1:]:
        tag = "*" if name == "*" else f"{{{place.nsmap.get(prefix or None, '')}}}{name}"
        found = list(place.iterchildren(tag))[int(number or 1) - 1 :]
        if not found:
            break
        place = found[0]
        path.append(_name(place))
    words = f"breaks the schema ({entry.type_name})"
    if place.get(_XSI_TYPE) is not None:
        words = _TYPE_WORDS
    return SchemaMistake(entry.line, "/" + "/".join(path), words)


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname


def read_schema(path: Path) -> etree._Element:
    """The root of a schema that is told to others as it is. Raises ConfigurationError."""
    try:
        return parse_xml(_read(path), bytes_max=SCHEMA_BYTES_MAX)
    except BusError as error:
        raise ConfigurationError([Problem(str(path), "", str(error))]) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = Problem(str(path), "", f"cannot be read: {error.strerror}")
        raise ConfigurationError([problem]) from error
