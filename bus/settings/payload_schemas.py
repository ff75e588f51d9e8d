"""Compile the schemas of services: libxml2 decides, xmlschema says what was expected.

Each is compiled from the texts of all its files, wherever the process runs and whatever lies there.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lxml import etree

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.schema_kinds import kinds_of
from bus.core.validation import SchemaMistake, line_of
from bus.core.xml import parse_with_base, parse_xml
from bus.settings.schema_set import (
    IMPORT,
    SCHEMA_BYTES_MAX,
    ReadText,
    SchemaSet,
    folder_reader,
    read_schema_set,
    resolve_location,
)

if TYPE_CHECKING:
    from bus.settings.schema_mistakes import PreciseSchema

PRECISE_ELEMENTS_MAX = 2000
"""Above this size the precise validator, which is slow, is not asked: libxml2's own words do."""
_XSD = "http://www.w3.org/2001/XMLSchema"
_ELEMENT = f"{{{_XSD}}}element"
_NAMED_TYPES = (f"{{{_XSD}}}simpleType", f"{{{_XSD}}}complexType")
_BASE = "schema-set:///"
"""Where the files of a schema lie for libxml2: no address that anything could be fetched from."""
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
    """One XSD and its files: compiled by libxml2 at once, by xmlschema when a mistake must be told.

    Safe to use from several threads, one after the other.
    """

    def __init__(
        self,
        path: Path,
        *,
        within: Path | None = None,
        read: ReadText | None = None,
        is_alone: bool = False,
    ) -> None:
        """Compile a file and what it includes; raises ConfigurationError with line and reason.

        `within` is the folder that its files may lie in, else the file's own. `read` gives texts by
        their names below that folder, else they are read from the disk. `is_alone`: see
        `read_schema_set`.
        """
        self.path = path
        folder = path.parent if within is None else within
        self.files: SchemaSet = read_schema_set(
            path.relative_to(folder).as_posix(),
            read or folder_reader(folder),
            place="" if folder == Path() else f"{folder}/",
            is_alone=is_alone,
        )
        """What was compiled, byte for byte."""
        self.digest = _digest(self.files)
        main = self.files.parts[0]
        try:
            self._fast = etree.XMLSchema(_with_files(self.files))
        except etree.XMLSchemaParseError as error:
            raise self._refused(str(error).replace(_BASE, "")) from error
        self._precise: PreciseSchema | None = None
        self._lock = threading.Lock()
        """Guards both validators: each keeps the mistakes of its last run in itself."""
        self.namespace = main.namespace
        self.kinds = kinds_of(self.files.parts)
        self.has_qnames = any(_QNAME.search(text) for text in self.files.texts.values())
        """Also where a comment speaks of them: more is then looked at, and nothing taken amiss."""
        self._types = _named_types(self.files)

    def compile_precise(self) -> PreciseSchema:
        """Compile what tells mistakes; raises ConfigurationError. A hub does so when it must."""
        from bus.settings.schema_mistakes import NotPrecise, PreciseSchema

        if self._precise is None:
            try:
                self._precise = PreciseSchema(self.files.name, self.files.texts)
            except NotPrecise as error:
                raise self._refused(str(error)) from error
        return self._precise

    def _refused(self, reason: str) -> ConfigurationError:
        problem = f"not a schema: {reason.splitlines()[0]}"
        return ConfigurationError([Problem(str(self.path), "", problem)])

    def has_element(self, local_name: str) -> bool:
        """Whether a message may start with this element."""
        return any(
            element.get("name") == local_name
            for part in self.files.parts
            if part.namespace == self.namespace
            for element in part.root.iterchildren(_ELEMENT)
        )

    def is_only_type(self, namespace: str, local_name: str) -> bool:
        """Whether this type is known, and no other namespace that is known has one of its name."""
        if not self.files.is_whole:
            return False
        known = set(self._types.get(local_name, ()))
        if local_name in _BUILT_IN_TYPES:
            known.add(_XSD)
        return known == {namespace}

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


class _FilesOfSet(etree.Resolver):
    """Gives libxml2 the files of one schema, and nothing else."""

    def __init__(self, files: SchemaSet) -> None:
        self._texts = files.texts

    def resolve(  # type: ignore[override]
        self, system_url: str, public_id: str, context: Any
    ) -> Any:
        """The text of a file. Raises LookupError: without it, libxml2 would look for one itself."""
        text = self._texts.get(system_url.removeprefix(_BASE))
        if text is None:
            raise LookupError("no file of this schema is called so")
        return self.resolve_string(text, context, base_url=system_url)


def _with_files(files: SchemaSet) -> etree._Element:
    """The document to start with, such that libxml2 finds the others."""
    base_url, resolver = f"{_BASE}{files.name}", _FilesOfSet(files)
    root = parse_with_base(files.texts[files.name], base_url=base_url, resolver=resolver)
    for one in root.iterchildren(IMPORT):
        location = one.get("schemaLocation")
        if location is not None and resolve_location(location, files.name) not in files.texts:
            del one.attrib["schemaLocation"]  # of a schema that is taken alone
    return root


def _digest(files: SchemaSet) -> bytes:
    """Of one file, that of its text; of more, that of their names and digests."""
    digests = {name: hashlib.sha256(text) for name, text in files.texts.items()}
    if len(digests) == 1:
        return digests[files.name].digest()
    listed = "".join(f"{digests[name].hexdigest()} {name}\n" for name in digests)
    return hashlib.sha256(listed.encode()).digest()


def _named_types(files: SchemaSet) -> Mapping[str, set[str]]:
    """The namespaces that have a type of this name."""
    found: dict[str, set[str]] = {}
    for part in files.parts:
        for one in part.root.iterchildren(*_NAMED_TYPES):
            found.setdefault(one.get("name", ""), set()).add(part.namespace)
    return found


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
