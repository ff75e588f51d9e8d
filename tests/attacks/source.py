"""Find the elements of a valid message in its bytes, to cut, copy and move them as they stand.

A tree would write a moved element anew, with other prefixes, and break the digest that the attack
wants to keep. Spans of bytes keep every letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from signing import names
from signing.names import SOAP11, WSU

XRD = "http://x-road.eu/xsd/xroad.xsd"

_TAG = re.compile(
    rb"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>"
    rb"|<(?P<close>/?)(?P<name>[^\s/>]+)(?P<attributes>(?:[^\"'>]|\"[^\"]*\"|'[^']*')*?)"
    rb"(?P<empty>/?)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(frozen=True, slots=True)
class Span:
    """One element: where it begins and ends, where its content does."""

    tag: str
    start: int
    inner_start: int
    inner_end: int
    end: int
    attributes: Mapping[str, str] = field(repr=False)
    """As written, prefixes included."""
    namespaces: Mapping[str, str] = field(repr=False)
    """In scope, by prefix."""
    parent: int
    """Place of the parent in the list of elements; -1 for the root."""


Edit = tuple[int, int, bytes]
"""Put these bytes where the ones from start to end stand."""


class Source:
    """The bytes of a well-formed message with the spans of its elements."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.elements = _read(raw)

    # --- finding -----------------------------------------------------------------------------

    def all(self, tag: str) -> list[Span]:
        return [one for one in self.elements if one.tag == tag]

    def one(self, tag: str) -> Span:
        """The first element with this tag in document order."""
        return self.all(tag)[0]

    @property
    def envelope(self) -> Span:
        return self.elements[0]

    @property
    def header(self) -> Span:
        return self.one(f"{{{SOAP11}}}Header")

    @property
    def body(self) -> Span:
        return self.one(f"{{{SOAP11}}}Body")

    @property
    def payload(self) -> Span:
        return self.children(self.body)[0]

    @property
    def security(self) -> Span:
        return self.one(names.SECURITY)

    @property
    def signature(self) -> Span:
        return self.one(names.SIGNATURE)

    @property
    def signed_info(self) -> Span:
        return self.one(names.SIGNED_INFO)

    @property
    def key_info(self) -> Span:
        return self.one(names.KEY_INFO)

    @property
    def timestamp(self) -> Span:
        return self.one(names.TIMESTAMP)

    @property
    def token(self) -> Span:
        return self.one(names.BINARY_SECURITY_TOKEN)

    def block(self, name: str) -> Span:
        """A header block of the X-Road namespace."""
        return self.one(f"{{{XRD}}}{name}")

    def children(self, span: Span) -> list[Span]:
        place = self.elements.index(span)
        return [one for one in self.elements if one.parent == place]

    def text(self, span: Span) -> bytes:
        """The element as it stands."""
        return self.raw[span.start : span.end]

    def inner(self, span: Span) -> bytes:
        return self.raw[span.inner_start : span.inner_end]

    def prefix(self, span: Span) -> bytes:
        """The prefix with its colon; empty for a default namespace."""
        name = re.match(rb"<([^\s/>]+)", self.raw[span.start :])
        assert name is not None
        before, colon, _ = name[1].rpartition(b":")
        return before + colon

    def whole(self, span: Span) -> bytes:
        """The element with every namespace of its scope declared on it: it can stand anywhere."""
        text = self.text(span)
        tag = re.match(rb"<[^\s/>]+", text)
        assert tag is not None
        own = set(re.findall(rb"\sxmlns(?::([^\s=]+))?=", self.raw[span.start : span.inner_start]))
        declared = b"".join(
            b' xmlns%s="%s"' % (b":" + prefix.encode() if prefix else b"", namespace.encode())
            for prefix, namespace in sorted(span.namespaces.items())
            if prefix.encode() not in own and prefix != "xml"
        )
        return text[: tag.end()] + declared + text[tag.end() :]

    # --- changing ----------------------------------------------------------------------------

    def edited(self, *edits: Edit) -> bytes:
        """The bytes with these edits made, none of which may overlap."""
        raw = self.raw
        for start, end, new in sorted(edits, reverse=True):
            raw = raw[:start] + new + raw[end:]
        return raw

    def replaced(self, span: Span, new: bytes) -> bytes:
        return self.edited((span.start, span.end, new))


def out(span: Span) -> Edit:
    """Leave the element out."""
    return span.start, span.end, b""


def instead(span: Span, new: bytes) -> Edit:
    return span.start, span.end, new


def before(span: Span, new: bytes) -> Edit:
    return span.start, span.start, new


def after(span: Span, new: bytes) -> Edit:
    return span.end, span.end, new


def at_start(span: Span, new: bytes) -> Edit:
    """As the first child."""
    return span.inner_start, span.inner_start, new


def at_end(span: Span, new: bytes) -> Edit:
    """As the last child."""
    return span.inner_end, span.inner_end, new


def with_attribute(source: Source, span: Span, attribute: bytes) -> Edit:
    """Something more in the start tag, such as ` a="b"`."""
    name = re.match(rb"<[^\s/>]+", source.raw[span.start :])
    assert name is not None
    place = span.start + name.end()
    return place, place, attribute


def identifier_of(source: Source, span: Span) -> str:
    """The wsu:Id that an element carries."""
    for name, value in span.attributes.items():
        prefix, _, local = name.rpartition(":")
        if local == "Id" and span.namespaces.get(prefix) == WSU:
            return value
    raise LookupError(f"no wsu:Id on {span.tag}")


def without_identifiers(text: bytes) -> bytes:
    """The element's text with no wsu:Id on its start tag, whatever the prefix."""
    end = text.index(b">")
    return re.sub(rb"\s[A-Za-z0-9]+:Id=(?:\"[^\"]*\"|'[^']*')", b"", text[:end]) + text[end:]


def _read(raw: bytes) -> list[Span]:
    spans: list[Span] = []
    open_elements: list[int] = []
    for found in _TAG.finditer(raw):
        if found["name"] is None:
            continue
        if found["close"]:
            place = open_elements.pop()
            spans[place] = replace(spans[place], inner_end=found.start(), end=found.end())
            continue
        parent = open_elements[-1] if open_elements else -1
        spans.append(_opened(found, spans[parent].namespaces if spans else {}, parent))
        if not found["empty"]:
            open_elements.append(len(spans) - 1)
    return spans


def _opened(found: re.Match[bytes], outer: Mapping[str, str], parent: int) -> Span:
    attributes = dict(_attributes(found["attributes"]))
    namespaces = dict(outer)
    for name, value in attributes.items():
        if name == "xmlns" or name.startswith("xmlns:"):
            namespaces[name.partition(":")[2]] = value
    prefix, _, local = found["name"].decode().rpartition(":")
    namespace = namespaces.get(prefix, "")
    tag = f"{{{namespace}}}{local}" if namespace else local
    here = found.end()
    return Span(tag, found.start(), here, here, here, attributes, namespaces, parent)


def _attributes(text: bytes) -> Iterator[tuple[str, str]]:
    for name, double, single in _ATTRIBUTE.findall(text):
        yield name.decode(), (double or single).decode()
