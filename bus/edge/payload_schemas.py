"""Compile the schemas of services: libxml2 decides, xmlschema says what was expected."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lxml import etree

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.validation import SchemaMistake
from bus.core.xml import parse_xml

if TYPE_CHECKING:
    from bus.edge.schema_mistakes import PreciseSchema

SCHEMA_BYTES_MAX = 4 * 1024 * 1024
PRECISE_ELEMENTS_MAX = 2000
"""Above this size the precise validator, which is slow, is not asked: libxml2's own words do."""
_ELEMENT = "{http://www.w3.org/2001/XMLSchema}element"


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

    def compile_precise(self) -> PreciseSchema:
        """Compile what tells mistakes; raises ConfigurationError. A hub does so when it must."""
        from bus.edge.schema_mistakes import NotPrecise, PreciseSchema

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

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`, without its values; None: it is valid."""
        with self._lock:
            return None if self._fast.validate(element) else self._tell(element)

    def _tell(self, element: etree._Element) -> SchemaMistake:
        precise = self._precise_mistake(element)
        if precise is not None:
            return precise
        entry: Any = next(iter(cast(Any, self._fast.error_log)))
        return SchemaMistake(entry.line, entry.path or "", f"breaks the schema ({entry.type_name})")

    def _precise_mistake(self, element: etree._Element) -> SchemaMistake | None:
        for number, _ in enumerate(element.iter()):
            if number > PRECISE_ELEMENTS_MAX:
                return None
        try:
            return self.compile_precise().first_mistake(element)
        except ConfigurationError:
            return None  # `lienthong check` says so; libxml2's own words do


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
