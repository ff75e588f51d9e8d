"""Compile the schemas of services: libxml2 decides, xmlschema says what was expected."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import xmlschema
from lxml import etree
from xmlschema.validators import XsdAttributeGroup, XsdFacet
from xmlschema.validators.exceptions import (
    XMLSchemaChildrenValidationError,
    XMLSchemaValidationError,
)

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.validation import SchemaMistake, line_of
from bus.core.xml import parse_xml

SCHEMA_BYTES_MAX = 4 * 1024 * 1024
PRECISE_ELEMENTS_MAX = 2000
"""Above this size the precise validator, which is slow, is not asked: libxml2's own words do."""
_PATTERN_CHARACTERS_MAX = 200
_XSD = "{http://www.w3.org/2001/XMLSchema}"


class CompiledSchema:
    """One XSD, compiled twice. Safe to use from one thread."""

    def __init__(self, path: Path) -> None:
        """Compile the file; raises ConfigurationError with line and reason."""
        self.path = path
        text = _read(path)
        self.digest = hashlib.sha256(text).digest()
        try:
            self.root = parse_xml(text, bytes_max=SCHEMA_BYTES_MAX)
            self._fast = etree.XMLSchema(self.root)
            self._precise = xmlschema.XMLSchema(text.decode(), allow="none", defuse="always")
        except (BusError, etree.XMLSchemaParseError, xmlschema.XMLSchemaException) as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError([Problem(str(path), "", f"not a schema: {reason}")]) from error
        self.namespace = self.root.get("targetNamespace", "")

    def has_element(self, local_name: str) -> bool:
        """Whether a message may start with this element."""
        return local_name in self._precise.elements  # a view of the target namespace

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`, without its values; None: it is valid."""
        if self._fast.validate(element):
            return None
        precise = self._precise_mistake(element)
        if precise is not None:
            return precise
        entry: Any = next(iter(cast(Any, self._fast.error_log)))
        return SchemaMistake(entry.line, entry.path or "", f"breaks the schema ({entry.type_name})")

    def _precise_mistake(self, element: etree._Element) -> SchemaMistake | None:
        for number, _ in enumerate(element.iter()):
            if number > PRECISE_ELEMENTS_MAX:
                return None
        for error in self._precise.iter_errors(element):
            return _mistake_of(error, element)
        return None


def read_schema(path: Path) -> etree._Element:
    """The root of a schema that is told to others as it is. Raises ConfigurationError."""
    try:
        return parse_xml(_read(path), bytes_max=SCHEMA_BYTES_MAX)
    except BusError as error:
        raise ConfigurationError([Problem(str(path), "", str(error))]) from error


def _mistake_of(error: XMLSchemaValidationError, root: etree._Element) -> SchemaMistake:
    place: Any = getattr(error, "invalid_child", None)
    if place is None:
        place = error.elem if error.elem is not None else root
    path = error.path or etree.QName(root).localname
    return SchemaMistake(line_of(place), _without_prefixes(path), _expectation(error))


def _expectation(error: XMLSchemaValidationError) -> str:
    """What was expected, in words without a value of the message."""
    if isinstance(error, XMLSchemaChildrenValidationError):
        return _children_expectation(error)
    validator: Any = error.validator
    if isinstance(validator, XsdAttributeGroup):
        return str(error.reason)  # speaks of attribute names only
    pattern = getattr(validator, "regexps", None)
    if pattern:
        return f"expected a text of the form {' or '.join(pattern)[:_PATTERN_CHARACTERS_MAX]}"
    enumeration = getattr(validator, "enumeration", None)
    if enumeration:
        return f"expected one of {', '.join(str(value) for value in enumeration)}"
    if isinstance(validator, XsdFacet) and validator.elem is not None:
        # The facet as the schema writes it: maxLength 250, minInclusive 0.
        bound = getattr(validator, "value", "")
        return f"expected {str(validator.elem.tag).removeprefix(_XSD)} {bound}"
    type_name = getattr(validator, "prefixed_name", None) or getattr(validator, "local_name", None)
    if type_name:
        return f"expected a value of type {type_name}"
    return "does not have the form that the schema gives it"


def _children_expectation(error: XMLSchemaChildrenValidationError) -> str:
    expected = [
        str(getattr(particle, "local_name", None) or getattr(particle, "name", "") or particle)
        for particle in error.expected or ()
    ]
    wanted = f"; expected {' or '.join(expected)}" if expected else ""
    unexpected = error.invalid_tag
    if unexpected:
        return f"unexpected element {etree.QName(unexpected).localname}{wanted}"
    return f"the content is not complete{wanted}"


def _without_prefixes(path: str) -> str:
    return "/".join(step.rpartition(":")[2] for step in path.split("/"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = Problem(str(path), "", f"cannot be read: {error.strerror}")
        raise ConfigurationError([problem]) from error
