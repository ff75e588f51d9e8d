"""XML that is small for its sender and might be large for its reader: kinds, places and sizes.

Each kind gives markup of about as many bytes as are asked for, as the content of an element or as
what stands in its start tag. Each place is one in a valid message.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, product

from signing.names import WSU
from tests.attacks.source import Edit, Source, Span, at_end, with_attribute


def names() -> Iterator[bytes]:
    """Names as short as they come, none of them twice, and none that XML keeps for itself."""
    for length in count(2):
        for letters in product(string.ascii_lowercase, repeat=length):
            yield b"z" + "".join(letters).encode()


def repeated(*units: bytes) -> Callable[[int], bytes]:
    """The same again and again."""
    unit = b"".join(units)
    return lambda size: unit * (size // len(unit))


def named(form: bytes) -> Callable[[int], bytes]:
    """The same with another name each time, which stands once or more in it."""
    places = form.count(b"%s")

    def make(size: int) -> bytes:
        made, length = [], 0
        for name in names():
            made.append(form % ((name,) * places))
            length += len(made[-1])
            if length >= size:
                return b"".join(made[:-1])
        raise AssertionError("there is always another name")

    return make


def numbered(form: bytes) -> Callable[[int], bytes]:
    """The same with another name for each `#`, or just the same."""
    if b"#" not in form:
        return repeated(form)
    return named(form.replace(b"%", b"%%").replace(b"#", b"%s"))


def deep(form: bytes, depth: int) -> Callable[[int], bytes]:
    """As deep as a parser goes, again and again."""
    name = form[1:].split(b" ")[0].split(b">")[0]
    unit = form * depth + b"</%s>" % name * depth
    return lambda size: unit * (size // len(unit))


CONTENTS: dict[str, Callable[[int], bytes]] = {
    "elements": repeated(b"<a/>"),
    "elements with text": repeated(b"<a>b</a>"),
    "elements between texts": repeated(b"<a/>b"),
    "elements of ever new names": named(b"<%s/>"),
    "elements with an attribute": repeated(b"<a b=''/>"),
    "elements with five attributes": repeated(b"<a b='' c='' d='' e='' f=''/>"),
    "attributes of ever new names": named(b"<a %s=''/>"),
    "elements of 250 attributes": lambda size: (
        (
            b"<a %s/>"
            % b" ".join(b"%s=''" % name for _, name in zip(range(250), names(), strict=False))
        )
        * (size // 1_750)
    ),
    "a namespace on each element": repeated(b"<a xmlns='b'/>"),
    "a prefix on each element": repeated(b"<b:a xmlns:b='b'/>"),
    "prefixes of ever new names": named(b"<%s:a xmlns:%s='b'/>"),
    "namespaces of ever new names": named(b"<a xmlns='%s'/>"),
    "depths": deep(b"<a>", 200),
    "depths with a namespace each": deep(b"<a xmlns='b'>", 200),
    "Ids": named(b"<a Id='%s'/>"),
    "Ids in three spellings": named(b"<a Id='%s' ID='b%s' xml:id='c%s'/>"),
    "Ids of WS-Security": lambda size: (
        b"<a xmlns:u='%s'>%s</a>" % (WSU.encode(), named(b"<a u:Id='%s'/>")(size))
    ),
    "one Id": repeated(b"<a Id='b'/>"),
    "comments": repeated(b"<!---->"),
    "comments between letters": repeated(b"<!---->b"),
    "pieces of CDATA": repeated(b"<![CDATA[b]]>"),
    "pieces of CDATA between letters": repeated(b"<![CDATA[b]]>c"),
    "instructions": repeated(b"<?a?>"),
    "entities": repeated(b"&lt;"),
    "numbers of characters": repeated(b"&#9;"),
    "letters": repeated(b"QUJD"),
    "carriage returns": repeated(b"\r"),
    "spaces": repeated(b" "),
    "base64 in short lines": repeated(b"QUJD\n"),
    "an attribute of many letters": lambda size: b"<a b='%s'/>" % (b"c" * size),
    "an attribute of many entities": lambda size: b"<a b='%s'/>" % (b"&lt;" * (size // 4)),
    "a namespace of many letters": lambda size: b"<a xmlns='b:%s'/>" % (b"c" * size),
    "commas and quotes": repeated(b'a="b",'),
}
"""What can stand in an element."""

ATTRIBUTES: dict[str, Callable[[int], bytes]] = {
    "attributes": named(b" %s=''"),
    "attributes with a prefix": named(b" xml:%s=''"),
    "prefixes": named(b" xmlns:%s='b'"),
    "prefixes of namespaces of their own": named(b" xmlns:%s='b:%s'"),
}
"""What can stand in a start tag."""

PLACES: dict[str, Callable[[Source], Span]] = {
    "the Envelope": lambda source: source.envelope,
    "the Header": lambda source: source.header,
    "an identifier": lambda source: source.block("client"),
    "the message id": lambda source: source.block("id"),
    "the security header": lambda source: source.security,
    "the timestamp": lambda source: source.timestamp,
    "the token": lambda source: source.token,
    "the signature": lambda source: source.signature,
    "SignedInfo": lambda source: source.signed_info,
    "CanonicalizationMethod": lambda source: source.children(source.signed_info)[0],
    "a reference": lambda source: source.children(source.signed_info)[2],
    "the signature value": lambda source: source.children(source.signature)[1],
    "KeyInfo": lambda source: source.key_info,
    "a reference to the token": lambda source: source.children(source.key_info)[0],
    "the Body": lambda source: source.body,
    "the payload": lambda source: source.payload,
}


source_of = cache(Source)


@cache
def _made(kind: str, size: int) -> bytes:
    return (ATTRIBUTES.get(kind) or CONTENTS[kind])(size)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind at a place."""

    kind: str
    place: str

    def edit(self, source: Source, size: int) -> Edit:
        span = PLACES[self.place](source)
        content = _made(self.kind, size)
        if self.kind in ATTRIBUTES:
            return with_attribute(source, span, content)
        # Header and Body hold few children: many stand within one.
        if self.place in {"the Header", "the Envelope", "the Body"}:
            content = b"<a>%s</a>" % content
        return at_end(span, content)

    def edit_of(self, raw: bytes, size: int) -> Edit:
        """What makes of a valid message one with so many bytes of this kind at this place."""
        return self.edit(source_of(raw), size)

    def message(self, raw: bytes, size: int) -> bytes:
        """The message itself."""
        return source_of(raw).edited(self.edit_of(raw, size))


def shapes() -> Iterator[Shape]:
    for place in PLACES:
        for kind in (*CONTENTS, *ATTRIBUTES):
            yield Shape(kind, place)
