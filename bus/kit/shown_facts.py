"""Pick from an answer the few facts that a demonstration shows of it, as its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lxml import etree


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact: where it stands in an answer, and how people read it."""

    label: str
    path: str
    """Local names with `/` between them, anywhere below the answer's element."""
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the agency's codes mean."""
    is_date: bool = False
    """Whether it stands as yyyyMMdd."""
    expected: str = ""
    """What it must be in a sandbox, with placeholders for names; empty: anything."""

    def text(self, answer: etree._Element) -> str:
        """As it is shown; empty: it does not stand there."""
        raw = self.raw(answer)
        if self.is_date and len(raw) == len("yyyyMMdd"):
            return f"{raw[6:8]}/{raw[4:6]}/{raw[:4]}"
        return self.values.get(raw, raw)

    def raw(self, answer: etree._Element) -> str:
        """The texts of the first element of that path, with a blank between them."""
        steps = "/".join(f"{{*}}{step}" for step in self.path.split("/"))
        found = answer.find(f".//{steps}")
        texts = () if found is None else found.itertext()
        return " ".join(filter(None, (str(text).strip() for text in texts)))
