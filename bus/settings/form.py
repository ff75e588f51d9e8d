"""Check a YAML document against a form; say every mistake with its path, line and expectation.

Messages name types and keys, never values: a settings file may hold a secret.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from bus.core.errors import Problem
from bus.core.identifiers import IDENTIFIER_PART
from bus.settings.yaml_document import KeyPath, Value, YamlDocument

AnyForm = TypeVar("AnyForm", bound="SettingsForm")


class SettingsForm(BaseModel):
    """Base of every form: strict types, unknown keys refused, docstrings become descriptions."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


def _composed(text: str) -> str:
    # Two spellings of one Vietnamese letter look alike and compare unequal.
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("expected text in Unicode form NFC")
    if text != text.strip() or not text:
        raise ValueError("expected text without blanks around it, not empty")
    if not text.isprintable():
        raise ValueError("expected one line of printable text")
    return text


SettingText = Annotated[str, AfterValidator(_composed)]
"""One line of text, NFC, not empty."""


def parsed_by(parse: Callable[[str], object]) -> PlainValidator:
    """Take a text through `parse`, whose ValueError is told as it stands."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"expected text, found {_type_name(value)}")
        return parse(value)

    return PlainValidator(read)


def matching(pattern: re.Pattern[str], expected: str) -> PlainValidator:
    """Take a text that the pattern matches from its start; `expected` says so in words."""

    def check(text: str) -> str:
        if not pattern.match(text):
            raise ValueError(f"expected {expected}")
        return text

    return parsed_by(check)


def pattern_schema(pattern: re.Pattern[str]) -> WithJsonSchema:
    """The same pattern as an editor reads it."""
    text = "^" + pattern.pattern.removesuffix(r"\Z") + "$"
    return WithJsonSchema({"type": "string", "pattern": text})


IdentifierPartText = Annotated[
    str,
    matching(IDENTIFIER_PART, "1 to 64 characters of A-Z a-z 0-9 '()+,-.=?"),
    pattern_schema(IDENTIFIER_PART),
]
"""One part of an identifier: a member, subsystem or service code, or a version."""


def check_form(document: YamlDocument, form: type[AnyForm]) -> tuple[AnyForm | None, list[Problem]]:
    """The document as `form`, or None with every problem; duplicate keys are problems too."""
    problems = list(document.duplicates)
    checked: AnyForm | None = None
    try:
        checked = form.model_validate(document.values)
    except ValidationError as error:
        problems += [_problem(document, form, details) for details in error.errors()]
    return checked, in_order(problems)


def section_items(document: YamlDocument, section: str) -> list[Value]:
    """What stands in a list of the document, whether sound or not."""
    values = document.values
    items = values.get(section) if isinstance(values, dict) else None
    return items if isinstance(items, list) else []


def in_order(problems: list[Problem]) -> list[Problem]:
    """Problems as they stand in the file."""
    return sorted(problems, key=lambda problem: problem.line or 0)


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


# --- from pydantic's error to our sentence -------------------------------------------------

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
}
_TYPE_NAMES: dict[type, str] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a whole number (quotes make it text)",
    float: "a number (quotes make it text)",
    str: "text",
    list: "a list",
    dict: "keys with values",
}
_BOUNDS = {
    "greater_than_equal": "a number of at least {ge}",
    "greater_than": "a number greater than {gt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "finite_number": "a finite number",
}


def _problem(document: YamlDocument, form: type[SettingsForm], details: ErrorDetails) -> Problem:
    path: KeyPath = tuple(step for step in details["loc"] if step != "[key]")
    return document.problem(path, _sentence(form, path, details))


def _sentence(form: type[SettingsForm], path: KeyPath, details: ErrorDetails) -> str:
    kind = details["type"]
    facts: dict[str, Any] = details.get("ctx", {})
    if kind == "missing":
        field = _form_at(form, path[:-1]).model_fields.get(str(path[-1]))
        meaning = field.description if field else None
        return f"missing; expected: {meaning}" if meaning else "missing"
    if kind == "extra_forbidden":
        known = _form_at(form, path[:-1]).model_fields
        names = [field.alias or name for name, field in known.items()]
        return f"this key is not known.{did_you_mean(str(path[-1]), names)}"
    if kind == "value_error":
        return str(facts["error"])
    if kind in _BOUNDS:
        return "expected " + _BOUNDS[kind].format(**facts)
    return f"expected {_EXPECTED.get(kind, details['msg'])}, found {_type_name(details['input'])}"


def _type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), "something else")


def _form_at(form: type[SettingsForm], path: KeyPath) -> type[SettingsForm]:
    """The form that stands at `path`."""
    kind: Any = form
    for step in path:
        kind = _inner(kind, step)
    kind = _bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, SettingsForm) else SettingsForm


def _inner(kind: Any, step: str | int) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, SettingsForm):
        by_key: dict[str | int, Any] = {
            field.alias or name: field.annotation for name, field in kind.model_fields.items()
        }
        return by_key.get(step)
    return typing.get_args(kind)[-1] if typing.get_args(kind) else None


def _bare(kind: Any) -> Any:
    """Without Annotated and without `| None`."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _bare(typing.get_args(kind)[0])
    if origin in (types.UnionType, typing.Union):
        return _bare(next(part for part in typing.get_args(kind) if part is not type(None)))
    return kind
