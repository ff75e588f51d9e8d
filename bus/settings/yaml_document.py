"""Read a YAML text into plain values and remember the line of each.

Plain scalars follow the core schema of YAML 1.2 (§10.3.2), with two differences that keep codes
whole: a number with a leading zero stays text (`037`), and nothing becomes a date. Tags are
refused. Every bound below holds before values are built, so that no file can exhaust the hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bus.core.errors import ConfigurationError, Problem

YAML_BYTES_MAX = 8 * 1024 * 1024
YAML_DEPTH_MAX = 24
YAML_NODES_MAX = 500_000
"""Most nodes once every alias is expanded: an alias costs as much as what it stands for."""

PathStep = str | int
KeyPath = tuple[PathStep, ...]
Value = str | int | float | bool | list["Value"] | dict[str, "Value"] | None

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_WHOLE_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The values of a file, and where they stand in it."""

    file: str
    values: Value = field(repr=False)
    lines: dict[KeyPath, int] = field(repr=False)
    duplicates: tuple[Problem, ...]
    """Keys that stand twice; the first one counts in `values`."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Say what is wrong at `path`, with the line of the nearest node that exists."""
        return Problem(self.file, path_text(path), message, line=self._line(path))

    def _line(self, path: KeyPath) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def problem_in_file(file: Path, path: KeyPath, message: str) -> Problem:
    """A problem with what was read from a file before, without lines: it is read again for them."""
    try:
        document = read_yaml(file.read_bytes(), file=str(file))
    except (OSError, ConfigurationError):
        return Problem(str(file), path_text(path), message)
    return document.problem(path, message)


def path_text(path: KeyPath) -> str:
    """Write a path as an operator reads it: `services[3].timeout_seconds`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(steps).removeprefix(".")


def read_settings_file(path: Path) -> bytes:
    """The bytes of a settings file. Raises ConfigurationError: it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigurationError([Problem(str(path), "", message)]) from error


def read_yaml(raw: bytes, *, file: str) -> YamlDocument:
    """Read one YAML document in UTF-8.

    Raises ConfigurationError when the text is no YAML or breaks a bound. Keys that stand twice
    are reported in the document, so that they can be told together with everything else.
    """
    if len(raw) > YAML_BYTES_MAX:
        message = f"{len(raw)} bytes, at most {YAML_BYTES_MAX} are read"
        raise ConfigurationError([Problem(file, "", message)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([Problem(file, "", "expected UTF-8", line=line)]) from error
    builder = _Builder(file, _events(text, file))
    values = builder.document()
    return YamlDocument(file, values, builder.lines, tuple(builder.duplicates))


def _events(text: str, file: str) -> Iterator[yaml.Event]:
    # Events, not yaml.compose: composing recurses in C and deep nesting overflows its stack.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        message = f"not YAML: {error.problem or error.context}"
        raise ConfigurationError([Problem(file, "", message, line=line)]) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        reason = str(error).splitlines()[0]
        raise ConfigurationError([Problem(file, "", f"not YAML: {reason}")]) from error


class _Builder:
    """Turn events into values, counting nodes and depth on the way."""

    def __init__(self, file: str, events: Iterator[yaml.Event]) -> None:
        self.file = file
        self.events = events
        self.lines: dict[KeyPath, int] = {}
        self.duplicates: list[Problem] = []
        self._anchored: dict[str, tuple[Value, int]] = {}
        self._node_count = 0

    def document(self) -> Value:
        values: Value = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(event, (), "expected one YAML document")
                values = self._value(next(self.events), ())
        return values

    def _value(self, event: yaml.Event, path: KeyPath) -> Value:
        self.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._count(event, path, 1)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # YAML's grammar
        if event.tag not in (None, "!"):
            raise self._stop(event, path, f"the tag {event.tag} is not allowed")
        before = self._node_count
        value = self._node(event, path)
        if event.anchor:
            # Known only from here on, so that no value can hold itself.
            self._anchored[event.anchor] = (value, self._node_count - before + 1)
        return value

    def _node(self, event: yaml.Event, path: KeyPath) -> Value:
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style or event.tag else _plain(event.value)
        if len(path) >= YAML_DEPTH_MAX:
            raise self._stop(event, path, f"nested deeper than {YAML_DEPTH_MAX} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: KeyPath) -> list[Value]:
        items: list[Value] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise self._stop(event, path, "expected a plain key")
            key_path = (*path, event.value)
            if event.value in values:
                self._duplicate(event, key_path)
                continue
            self.lines[key_path] = _line(event)
            values[event.value] = self._value(next(self.events), key_path)
        return values

    def _duplicate(self, event: yaml.Event, path: KeyPath) -> None:
        line = _line(event)
        message = f"stands twice, first in line {self.lines[path]}"
        self.duplicates.append(Problem(self.file, path_text(path), message, line=line))
        kept = self.lines
        self.lines = {}
        self._value(next(self.events), path)  # passed over, but counted
        self.lines = kept

    def _alias(self, event: yaml.AliasEvent, path: KeyPath) -> Value:
        if event.anchor not in self._anchored:
            raise self._stop(event, path, f"the alias *{event.anchor} stands for nothing")
        value, node_count = self._anchored[event.anchor]
        self._count(event, path, node_count)
        return value

    def _count(self, event: yaml.Event, path: KeyPath, node_count: int) -> None:
        self._node_count += node_count
        if self._node_count > YAML_NODES_MAX:
            raise self._stop(event, path, f"more than {YAML_NODES_MAX} values")

    def _stop(self, event: yaml.Event, path: KeyPath, message: str) -> ConfigurationError:
        line = _line(event)
        return ConfigurationError([Problem(self.file, path_text(path), message, line=line)])


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _plain(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE_NUMBER.match(text):
        return int(text)
    if _DECIMAL_NUMBER.match(text):
        return float(text)
    return text
