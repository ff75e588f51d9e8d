"""Read a schema with every file that it includes or imports, from one folder and from nowhere else.

What a message is judged by must be packaged, recorded and brought back whole. So:

(1) Nothing is fetched: a location names a file, relative to the file that names it.
(2) No location leads out of the folder, nor does a link in the place of a file.
(3) Each file is read once, however the files name each other; circles end. Depth, number and bytes
    of files are bounded.
(4) What redefines or overrides is refused: two texts would then say what one name means.

XML Schema Part 1 §4.2: an included file without a namespace of its own is of that of the file that
includes it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lxml import etree

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.schema_kinds import SchemaPart
from bus.core.validation import line_of
from bus.core.xml import parse_xml

SCHEMA_BYTES_MAX = 4 * 1024 * 1024
"""Of one file."""
SET_BYTES_MAX = 16 * 1024 * 1024
"""Of all files of one schema."""
FILES_MAX = 64
DEPTH_MAX = 16
"""Files that include files that include files."""
_XSD = "http://www.w3.org/2001/XMLSchema"
INCLUDE, IMPORT = f"{{{_XSD}}}include", f"{{{_XSD}}}import"
_REFUSED = (f"{{{_XSD}}}redefine", f"{{{_XSD}}}override")
_LOCATION = re.compile(r"[A-Za-z0-9._~\-]+(?:/[A-Za-z0-9._~\-]+)*\Z")

ReadText = Callable[[str], bytes]
"""The text of a file by its name below the folder. Raises OSError, FileNotFoundError."""


@dataclass(frozen=True, slots=True)
class SchemaSet:
    """A schema and all files that it is made of."""

    name: str
    """Of the file to start with, below the folder."""
    texts: Mapping[str, bytes]
    """Every file by its name, the one to start with first."""
    parts: tuple[SchemaPart, ...]
    """Every document with the namespace of what it declares, the one to start with first."""
    is_whole: bool
    """Whether every namespace that is imported is in it."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is to be read, and who names it."""

    name: str
    namespace: str | None
    """Of an included file, that of the file that includes it; None: its own counts."""
    must_be: str | None
    """The namespace that it must have, as its importer says."""
    depth: int
    by: str
    line: int


def read_schema_set(
    name: str, read: ReadText, *, place: str = "", is_alone: bool = False
) -> SchemaSet:
    """Read the schema that starts with the file `name`.

    `place` is what stands before names where they are told. `is_alone` takes the one file without
    what it imports, as programs did that kept no other. Raises ConfigurationError: file and line.
    """
    return _Reading(name, read, place, is_alone=is_alone).run()


def folder_reader(folder: Path) -> ReadText:
    """Reads files of a folder. Raises what `open` raises, and FileNotFoundError for links out."""

    def read(name: str) -> bytes:
        path = folder / name
        # (2) A link may lead to another file of the folder, as those of mounted settings do.
        if not path.resolve().is_relative_to(folder.resolve()):
            raise FileNotFoundError(2, "it lies outside the folder of schemas", str(path))
        with path.open("rb") as file:
            return file.read(SCHEMA_BYTES_MAX + 1)

    return read


class _Reading:
    def __init__(self, name: str, read: ReadText, place: str, *, is_alone: bool) -> None:
        self._name = name
        self._read = read
        self._place = place
        self._is_alone = is_alone
        self._texts: dict[str, bytes] = {}
        self._roots: dict[str, etree._Element] = {}
        self._parts: dict[tuple[str, str], SchemaPart] = {}
        self._imported: set[str] = set()

    def run(self) -> SchemaSet:
        waiting = [_Wanted(self._name, None, None, 0, "", 0)]
        while waiting:
            waiting += self._take(waiting.pop(0))
        namespaces = {part.namespace for part in self._parts.values()}
        return SchemaSet(
            self._name,
            self._texts,
            tuple(self._parts.values()),
            is_whole=self._imported <= namespaces,
        )

    def _take(self, wanted: _Wanted) -> Iterator[_Wanted]:
        """Read one file, if it was not read; give those that it names."""
        root = self._root(wanted)
        own = root.get("targetNamespace", "")
        if wanted.namespace is not None and own not in ("", wanted.namespace):
            self._refuse(wanted, f"{wanted.name} has another targetNamespace than who includes it")
        if wanted.must_be is not None and own != wanted.must_be:
            self._refuse(wanted, f"{wanted.name} does not have the namespace that is imported")
        namespace = wanted.namespace or own
        if (wanted.name, namespace) in self._parts:
            return  # (3)
        self._parts[wanted.name, namespace] = SchemaPart(root, namespace)
        for one in root.iterchildren(*_REFUSED):
            what = f"xs:{etree.QName(one).localname} is not taken"  # (4)
            raise self._problem(wanted.name, one, f"{what}: write out what it means")
        for one in root.iterchildren(INCLUDE, IMPORT):
            yield from self._named(one, namespace, wanted)

    def _named(self, one: etree._Element, namespace: str, by: _Wanted) -> Iterator[_Wanted]:
        is_import = one.tag == IMPORT
        if is_import:
            self._imported.add(one.get("namespace", ""))
        location = one.get("schemaLocation")
        if is_import and (location is None or self._is_alone):
            return
        name = resolve_location(location or "", by.name)
        if name is None:
            what = "expected the path of a packaged file, from this file on"
            raise self._problem(by.name, one, what)
        if by.depth >= DEPTH_MAX:
            what = f"files include each other more than {DEPTH_MAX} deep"
            raise self._problem(by.name, one, what)
        yield _Wanted(
            name,
            None if is_import else namespace,
            one.get("namespace", "") if is_import else None,
            by.depth + 1,
            by.name,
            line_of(one),
        )

    def _root(self, wanted: _Wanted) -> etree._Element:
        if wanted.name in self._roots:
            return self._roots[wanted.name]
        if len(self._texts) >= FILES_MAX:
            self._refuse(wanted, f"it is made of more than {FILES_MAX} files")
        try:
            text = self._read(wanted.name)
        except OSError as error:
            self._refuse(wanted, _cannot_be_read(wanted, error))
        self._texts[wanted.name] = text
        if sum(map(len, self._texts.values())) > SET_BYTES_MAX:
            self._refuse(wanted, f"its files have more than {SET_BYTES_MAX:,} bytes")
        try:
            root = parse_xml(text, bytes_max=SCHEMA_BYTES_MAX)
        except BusError as error:
            problem = Problem(self._place + wanted.name, "", f"not a schema: {error}")
            raise ConfigurationError([problem]) from error
        self._roots[wanted.name] = root
        return root

    def _refuse(self, wanted: _Wanted, what: str) -> NoReturn:
        where = self._place + (wanted.by or wanted.name)
        raise ConfigurationError([Problem(where, "", what, line=wanted.line or None)])

    def _problem(self, name: str, one: etree._Element, what: str) -> ConfigurationError:
        return ConfigurationError([Problem(self._place + name, "", what, line=line_of(one))])


def resolve_location(location: str, by: str) -> str | None:
    """The name below the folder of what `by` calls so; None: it names no file of it. (1) (2)"""
    if not _LOCATION.match(location):
        return None
    name = posixpath.normpath(posixpath.join(posixpath.dirname(by), location))
    return None if name.split("/")[0] == ".." else name


def _cannot_be_read(wanted: _Wanted, error: OSError) -> str:
    if not wanted.by:
        return f"cannot be read: {error.strerror}"
    return f"{wanted.name}, which it needs, cannot be read: {error.strerror}"
