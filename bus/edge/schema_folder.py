"""Read and compile the schemas that services name, from one folder and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lxml import etree

from bus.core.errors import BusError, ConfigurationError, Problem
from bus.core.xml import parse_xml

SCHEMA_BYTES_MAX = 8 * 1024 * 1024
SCHEMA_FILES_MAX = 256
"""Most files that one schema may include or import."""

_XSD = "{http://www.w3.org/2001/XMLSchema}"
_REFERENCES = (f"{_XSD}include", f"{_XSD}import", f"{_XSD}redefine")


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema, ready to validate; made by `read_schema` only."""

    path: str
    """As routes.yaml names it."""
    target_namespace: str
    elements: frozenset[str]
    """Names of the global elements of the target namespace."""
    validator: etree.XMLSchema = field(repr=False, compare=False)


def read_schema(folder: Path, path: str) -> CompiledSchema:
    """Compile the schema at `path` below `folder`.

    Raises ConfigurationError: a file is missing or not well-formed, refers to something outside
    the folder, or is no schema.
    """
    roots = dict(_roots(folder.resolve(), folder / path))
    root = next(iter(roots.values()))
    try:
        validator = etree.XMLSchema(root)
    except etree.XMLSchemaParseError as error:
        raise ConfigurationError([_problem(folder / path, f"no schema: {error}")]) from error
    namespace = root.get("targetNamespace", "")
    elements = {
        element.get("name", "")
        for other in roots.values()
        if other.get("targetNamespace", namespace) == namespace
        for element in other.findall(f"{_XSD}element")
    }
    return CompiledSchema(path, namespace, frozenset(elements), validator)


def _roots(folder: Path, start: Path) -> Iterator[tuple[Path, etree._Element]]:
    """The schema and everything that it includes or imports, each once, the schema first."""
    waiting, seen = [start.resolve()], set[Path]()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > SCHEMA_FILES_MAX:
            raise ConfigurationError([_problem(start, f"more than {SCHEMA_FILES_MAX} files")])
        root = _root(folder, path)
        yield path, root
        waiting += [_referred(path, element) for element in root.iterchildren(*_REFERENCES)]


def _root(folder: Path, path: Path) -> etree._Element:
    # Checked here because the compiler follows references by itself.
    if not path.is_relative_to(folder):
        raise ConfigurationError([_problem(path, f"lies outside the folder {folder}")])
    try:
        root = parse_xml(path.read_bytes(), bytes_max=SCHEMA_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError([_problem(path, f"cannot be read: {error.strerror}")]) from error
    except BusError as error:
        raise ConfigurationError([_problem(path, f"no schema: {error}")]) from error
    if root.tag != f"{_XSD}schema":
        raise ConfigurationError([_problem(path, "no schema: expected the element xs:schema")])
    root.getroottree().docinfo.URL = str(path)  # where relative references start
    return root


def _referred(path: Path, reference: etree._Element) -> Path:
    location = reference.get("schemaLocation")
    if not location or "://" in location:
        message = "expected a schemaLocation that is a path below the schemas' folder"
        raise ConfigurationError([_problem(path, message, line=cast(int, reference.sourceline))])
    return (path.parent / location).resolve()


def _problem(path: Path, message: str, *, line: int | None = None) -> Problem:
    return Problem(str(path), "", message, line=line)
