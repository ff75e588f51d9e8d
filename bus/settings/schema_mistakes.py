"""Say where a message breaks its schema and what was expected, without telling its values.

Loaded when the first mistake is met: most messages follow their schema, and the precise validator
takes more memory than the fast one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import xmlschema
from lxml import etree
from xmlschema.validators import XsdAttributeGroup, XsdFacet
from xmlschema.validators.exceptions import (
    XMLSchemaChildrenValidationError,
    XMLSchemaValidationError,
)

from bus.core.validation import SchemaMistake, line_of

_PATTERN_CHARACTERS_MAX = 200
_VAGUE = "does not have the form that the schema gives it"
_NAMESPACE = re.compile(r"\{[^{}]*\}")
_XSD = "{http://www.w3.org/2001/XMLSchema}"


class NotPrecise(ValueError):
    """The precise validator does not understand this schema."""


class PreciseSchema:
    """One XSD and its files, compiled by xmlschema. Safe to use from one thread."""

    def __init__(self, name: str, texts: Mapping[str, bytes]) -> None:
        """Compile the schema that starts with the text `name`; raises NotPrecise."""
        try:
            if len(texts) == 1:
                text = texts[name].decode()
                self._schema = xmlschema.XMLSchema(text, allow="none", defuse="always")
            else:
                self._schema = _compiled_from_files(name, texts)
        except (xmlschema.XMLSchemaException, UnicodeDecodeError, OSError) as error:
            raise NotPrecise(str(error).splitlines()[0]) from error

    def first_mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`; None: there is none."""
        # Of a copy: what the library keeps of it, and of where it found the mistake, is not the
        # whole message.
        alone = deepcopy(element)
        bindings = {prefix or "": namespace for prefix, namespace in element.nsmap.items()}
        for error in self._schema.iter_errors(alone, namespaces=bindings):
            mistake = _mistake_of(error, alone)
            error.__traceback__ = None
            return mistake
        return None


def _compiled_from_files(name: str, texts: Mapping[str, bytes]) -> xmlschema.XMLSchema:
    """The same of several files: xmlschema reads them from a folder that holds nothing else.

    Whoever gathered the texts proved that each location names one of them: none leads elsewhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        for one, text in texts.items():
            path = Path(folder) / one
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        return xmlschema.XMLSchema(str(Path(folder) / name), allow="local", defuse="always")


def _mistake_of(error: XMLSchemaValidationError, root: etree._Element) -> SchemaMistake:
    place: Any = getattr(error, "invalid_child", None)
    if place is None:
        place = error.elem if error.elem is not None else root
    path = error.path or etree.QName(root).localname
    expected = _expectation(error)
    return SchemaMistake(
        line_of(place), _without_prefixes(path), expected, is_vague=expected == _VAGUE
    )


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
    return _VAGUE


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
    steps = _NAMESPACE.sub("", path).split("/")
    return "/".join(step.rpartition(":")[2] for step in steps)
