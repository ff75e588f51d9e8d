"""Read and write Content-Type, with quoted parameters. RFC 2045 §5.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.core.errors import ContentTypeInvalid

MULTIPART_RELATED = "multipart/related"
XOP = "application/xop+xml"
CONTENT_TYPE_CHARACTERS_MAX = 1024
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z", re.ASCII)
"""RFC 2046 §5.1.1."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - the grammar of a word
_MEDIA_TYPE = re.compile(rf"[ \t]*({_TOKEN}/{_TOKEN})[ \t]*", re.ASCII)
_PARAMETER = re.compile(
    rf';[ \t]*(?:({_TOKEN})=(?:([^";, \t]+)|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\.)*)"))?'
    r"[ \t]*",
    re.ASCII,
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class ContentType:
    """What a Content-Type says."""

    media_type: str
    """In lower case: `text/xml`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""

    def parameter(self, name: str) -> str:
        """A parameter; empty if there is none."""
        return self.parameters.get(name, "")

    def __str__(self) -> str:
        quoted = (f'; {name}="{_quoted(text)}"' for name, text in self.parameters.items())
        return self.media_type + "".join(quoted)


def parse_content_type(text: str) -> ContentType:
    """Read a Content-Type. Raises ContentTypeInvalid."""
    found = _MEDIA_TYPE.match(text[:CONTENT_TYPE_CHARACTERS_MAX])
    if found is None or len(text) > CONTENT_TYPE_CHARACTERS_MAX:
        raise ContentTypeInvalid("no media type that can be read")
    media_type, position = found[1].lower(), found.end()
    parameters: dict[str, str] = {}
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise ContentTypeInvalid("a Content-Type has a parameter that cannot be read")
        position = found.end()
        name = (found[1] or "").lower()
        if name in parameters:
            raise ContentTypeInvalid("a Content-Type says one parameter twice")
        if name:
            parameters[name] = found[2] or _ESCAPED.sub(r"\1", found[3] or "")
    return ContentType(media_type, parameters)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
