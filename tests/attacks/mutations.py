"""Change a valid message at random, knowing what it is made of."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from signing.names import DS, SOAP11, SOAP12, WSSE, WSU
from tests.attacks.source import Edit, Source, Span, instead, out

Mutation = Callable[[random.Random, Source, bytes], bytes]
"""Makes another message of a message, with a second one at hand."""

_NAMES = (b"Body", b"Header", b"Security", b"Signature", b"Timestamp", b"client", b"id", b"a")
_NAMESPACES = (SOAP11, SOAP12, WSSE, WSU, DS, "http://x-road.eu/xsd/xroad.xsd", "urn:w")
_TEXTS = (
    b"",
    b" ",
    b"x",
    b"H26",
    b"001185000001",
    b"&#10;",
    b"<!---->",
    b"<a/>",
    b"<![CDATA[x]]>",
    b"\xff",
    b"\0",
    b"&x;",
    b"AAAA",
    b"#",
    b"http://www.w3.org/2000/09/xmldsig#sha1",
    "\u202e".encode(),
    b"9" * 70,
)
_IDENTIFIERS = (b"Id", b"ID", b"id", b"xml:id")


def mutated(raw: bytes, other: bytes, seed: int) -> bytes:
    """The message after one to four mutations; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        mutation = chance.choice(MUTATIONS)
        try:
            raw = mutation(chance, Source(raw), other)
        except (LookupError, ValueError):
            raw = flipped(chance, raw)  # it is no XML any more: only its bytes can be changed
    return raw


def flipped(chance: random.Random, raw: bytes) -> bytes:
    place = chance.randrange(len(raw) + 1)
    return raw[:place] + chance.choice((b"", b"<", b">", b"&", b"\0", b'"')) + raw[place + 1 :]


def _any(chance: random.Random, source: Source) -> Span:
    return chance.choice(source.elements[1:])


def _place(chance: random.Random, source: Source) -> int:
    span = chance.choice(source.elements)
    return chance.choice((span.start, span.inner_start, span.inner_end, span.end))


def _insertion(place: int, text: bytes) -> Edit:
    return place, place, text


def move(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    place = _place(chance, source)
    if span.start < place < span.end:
        return source.edited(out(span))
    return source.edited(out(span), _insertion(place, source.whole(span)))


def double(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    return source.edited(_insertion(_place(chance, source), source.whole(span)))


def delete(chance: random.Random, source: Source, _: bytes) -> bytes:
    return source.edited(out(_any(chance, source)))


def empty(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    return source.edited((span.inner_start, span.inner_end, chance.choice(_TEXTS)))


def swap(chance: random.Random, source: Source, _: bytes) -> bytes:
    one, two = _any(chance, source), _any(chance, source)
    if one.start < two.end and two.start < one.end:
        return source.edited(out(one))
    return source.edited(instead(one, source.whole(two)), instead(two, source.whole(one)))


def wrap(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    name, namespace = chance.choice(_NAMES), chance.choice(_NAMESPACES).encode()
    text = b'<z:%s xmlns:z="%s">%s</z:%s>' % (name, namespace, source.text(span), name)
    return source.edited(instead(span, text))


def rename(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    text = source.text(span)
    old = re.match(rb"<([^\s/>]+)", text)
    assert old is not None
    new = old[1].rpartition(b":")[0] + (b":" if b":" in old[1] else b"") + chance.choice(_NAMES)
    text = b"<" + new + text[old.end() :]
    closing = b"</" + old[1]
    if closing in text:
        before, _, after = text.rpartition(closing)
        text = before + b"</" + new + after
    return source.edited(instead(span, text))


def change_attribute(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    tag = source.raw[span.start : span.inner_start]
    found = list(re.finditer(rb"([^\s=<]+)=(\"[^\"]*\"|'[^']*')", tag))
    if not found:
        return add_attribute(chance, source, b"")
    one = chance.choice(found)
    value = chance.choice((one[2][1:-1], chance.choice(_TEXTS), _some_identifier(chance, source)))
    name = chance.choice((one[1], chance.choice(_IDENTIFIERS)))
    new = b'%s="%s"' % (name, value)
    start = span.start + one.start()
    return source.edited((start, span.start + one.end(), new))


def add_attribute(chance: random.Random, source: Source, _: bytes) -> bytes:
    span = _any(chance, source)
    name = re.match(rb"<[^\s/>]+", source.raw[span.start :])
    assert name is not None
    attribute = chance.choice(
        (
            b' %s="%s"' % (chance.choice(_IDENTIFIERS), _some_identifier(chance, source)),
            b' xmlns:z="%s" z:Id="%s"' % (WSU.encode(), _some_identifier(chance, source)),
            b' xmlns:z="%s" z:mustUnderstand="1"' % SOAP11.encode(),
            b' xmlns:z="%s" z:actor="urn:else"' % SOAP11.encode(),
            b' xmlns="urn:z"',
            b' xmlns:z="urn:z"',
            b' xml:space="preserve"',
        )
    )
    return source.edited(_insertion(span.start + name.end(), attribute))


def splice(chance: random.Random, source: Source, other: bytes) -> bytes:
    """Something of the other message: in the place of the same element, or anywhere."""
    theirs = Source(other)
    span = _any(chance, theirs)
    same = [one for one in source.elements if one.tag == span.tag]
    if same and chance.random() < 0.7:
        return source.edited(instead(chance.choice(same), theirs.whole(span)))
    return source.edited(_insertion(_place(chance, source), theirs.whole(span)))


def insert(chance: random.Random, source: Source, _: bytes) -> bytes:
    place = chance.choice((_place(chance, source), chance.randrange(len(source.raw))))
    return source.edited(_insertion(place, chance.choice(_TEXTS)))


def flip(chance: random.Random, source: Source, _: bytes) -> bytes:
    place = chance.randrange(len(source.raw))
    return source.edited((place, place + 1, bytes([chance.randrange(256)])))


def cut(chance: random.Random, source: Source, _: bytes) -> bytes:
    start, end = sorted(chance.randrange(len(source.raw)) for _ in range(2))
    return source.edited((start, min(end, start + chance.randrange(1, 400)), b""))


def _some_identifier(chance: random.Random, source: Source) -> bytes:
    found = re.findall(rb"Id=[\"']([^\"']*)[\"']", source.raw)
    return chance.choice(found) if found else b"x"


MUTATIONS: tuple[Mutation, ...] = (
    move,
    move,
    double,
    double,
    delete,
    empty,
    swap,
    wrap,
    rename,
    change_attribute,
    change_attribute,
    add_attribute,
    add_attribute,
    splice,
    splice,
    splice,
    insert,
    flip,
    cut,
)
