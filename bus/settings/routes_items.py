"""Items of routes.yaml as they stand in the file, sound or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bus.core.errors import Problem
from bus.settings.form import section_items
from bus.settings.yaml_document import KeyPath, YamlDocument


@dataclass(frozen=True, slots=True)
class TextInFile:
    """A text and where it stands."""

    path: KeyPath
    text: str


@dataclass(frozen=True, slots=True)
class ItemInFile:
    """A member, service or grant as it stands in the file, sound or not."""

    path: KeyPath
    values: Mapping[str, object]

    def texts(self, key: str) -> list[TextInFile]:
        """The text under a key, or each text of the list under it."""
        value = self.values.get(key)
        if isinstance(value, str):
            return [TextInFile((*self.path, key), value)]
        items = value if isinstance(value, list) else []
        return [
            TextInFile((*self.path, key, place), item)
            for place, item in enumerate(items)
            if isinstance(item, str)
        ]


def items_in(document: YamlDocument, section: str) -> list[ItemInFile]:
    """The items of a top-level section."""
    return [
        ItemInFile((section, place), values)
        for place, values in enumerate(section_items(document, section))
        if isinstance(values, dict)
    ]


def twice(document: YamlDocument, texts: Iterable[TextInFile]) -> Iterator[Problem]:
    """Each text that stands there again."""
    first: dict[str, TextInFile] = {}
    for text in texts:
        if text.text in first:
            there = document.problem(first[text.text].path, "")
            message = f"{text.text} stands twice, first at {there.path} (line {there.line})"
            yield document.problem(text.path, message)
        first.setdefault(text.text, text)
