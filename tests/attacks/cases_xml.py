"""XML that is a bomb, a trap or another text than it looks; encodings; namespaces."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from signing.names import SOAP11, SOAP12, WSU
from tests.attacks.cases import EVIL_NUMBER, OWN_NUMBER, SAME, Group, Stage, applied
from tests.attacks.shapes import PLACES
from tests.attacks.source import Source, Span, at_end, at_start, with_attribute

ENTITIES = Group("entities and document types", "SOAP 1.1 §3; XML 1.0 §2.8, §4; CWE-611, CWE-776")
SIZES = Group("sizes and depths", "CWE-400; CWE-674")
ENCODINGS = Group("encodings", "XML 1.0 §2.2, §4.3.3; RFC 3629 §3; RFC 7303 §3")
NAMESPACES = Group("namespaces", "Namespaces in XML 1.0 §2, §5")
LEXICAL = Group("comments, CDATA and white space", "Canonical XML 1.0 §2.1, §4.4")

_FORBIDDEN = "envelope.forbidden-xml"
_BROKEN = "envelope.not-well-formed"
_LARGE = "envelope.too-large"
_COMPLEX = "envelope.too-complex"
_MISSING = "envelope.header-field-missing"
_CHANGED = "signature.digest-mismatch"


def declaration_end(raw: bytes) -> int:
    """Where the envelope begins."""
    return raw.index(b"<", 1 + raw.index(b"?>")) if raw.startswith(b"<?xml") else 0


def with_prolog(raw: bytes, text: bytes) -> bytes:
    """The message with something more before its root."""
    place = declaration_end(raw)
    return raw[:place] + text + raw[place:]


def in_payload(raw: bytes, text: bytes) -> bytes:
    """The message with other text in the place of the citizen's number."""
    assert OWN_NUMBER in raw
    return raw.replace(OWN_NUMBER, text, 1)


# --- entities ------------------------------------------------------------------------------

_BOMB = b"<!DOCTYPE e [<!ENTITY a0 'ha'>%s]>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (number + 1, b"&a%d;" % number * 10) for number in range(12)
)
_QUADRATIC = b"<!DOCTYPE e [<!ENTITY a '%s'>]>" % (b"a" * 50_000)
_DOCUMENT_TYPES: dict[str, tuple[bytes, bytes]] = {
    "a document type": (b"<!DOCTYPE e>", OWN_NUMBER),
    "an empty internal subset": (b"<!DOCTYPE e []>", OWN_NUMBER),
    "an entity": (b"<!DOCTYPE e [<!ENTITY n '001185000001'>]>", b"&n;"),
    "an entity that nobody uses": (b"<!DOCTYPE e [<!ENTITY n 'x'>]>", OWN_NUMBER),
    "a billion laughs": (_BOMB, b"&a12;"),
    "a quadratic blow-up": (_QUADRATIC, b"&a;" * 50_000),
    "an entity in itself": (b"<!DOCTYPE e [<!ENTITY a '&b;'><!ENTITY b '&a;'>]>", b"&a;"),
    "an external entity, a file": (
        b"<!DOCTYPE e [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>",
        b"&f;",
    ),
    "an external entity, an address": (
        b"<!DOCTYPE e [<!ENTITY f SYSTEM 'http://127.0.0.1:9/'>]>",
        b"&f;",
    ),
    "an external document type": (b"<!DOCTYPE e SYSTEM 'http://127.0.0.1:9/e.dtd'>", OWN_NUMBER),
    "a public document type": (
        b"<!DOCTYPE e PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'http://127.0.0.1:9/x.dtd'>",
        b"&nbsp;",
    ),
    "a parameter entity": (
        b"<!DOCTYPE e [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>",
        OWN_NUMBER,
    ),
    "a parameter entity that makes another": (
        b"<!DOCTYPE e [<!ENTITY % a \"<!ENTITY &#x25; b SYSTEM 'http://127.0.0.1:9/'>\"> %a; %b;]>",
        OWN_NUMBER,
    ),
    "an attribute of type ID": (
        b"<!DOCTYPE e [<!ATTLIST x y ID #IMPLIED>]>",
        OWN_NUMBER,
    ),
    "a default attribute": (b"<!DOCTYPE e [<!ATTLIST e a CDATA 'x'>]>", OWN_NUMBER),
    "a notation": (b"<!DOCTYPE e [<!NOTATION n SYSTEM 'x'>]>", OWN_NUMBER),
}
for _name, (_type, _number) in _DOCUMENT_TYPES.items():
    ENTITIES.add(
        f"a message with {_name}",
        "What a document type says is not signed, and it can name files and addresses.",
        _FORBIDDEN,
        applied(
            lambda stage, kind, number: with_prolog(in_payload(stage.raw, number), kind),
            _type,
            _number,
        ),
        every_stack=True,
    )
for _name, _text, _code in (
    ("an undeclared entity", b"&secret;", _BROKEN),
    ("an entity of HTML", b"&nbsp;", _BROKEN),
    ("a character of no code", b"&#0;", _BROKEN),
    ("half of a pair", b"&#xD800;", _BROKEN),
    ("a character beyond Unicode", b"&#x110000;", _BROKEN),
    ("a number that runs over", b"&#4294967344;", _BROKEN),
    ("a noncharacter", b"&#xFFFF;", _BROKEN),
    ("a control character", b"&#8;", _BROKEN),
):
    ENTITIES.add(
        f"a reference to {_name}",
        "A reference that XML does not know.",
        _code,
        applied(lambda stage, text: in_payload(stage.raw, text), _text),
        source="XML 1.0 §2.2, §4.1",
    )
ENTITIES.add(
    "a number written in references",
    "The same letters, as numbers of characters.",
    SAME,
    lambda stage: in_payload(stage.raw, b"".join(b"&#x%x;" % one for one in OWN_NUMBER)),
    source="XML 1.0 §4.1",
    every_stack=True,
)
for _name, _text in {
    "before the root": b'<?xml-stylesheet href="file:///etc/passwd"?>',
    "that says nothing": b"<?x?>",
}.items():
    ENTITIES.add(
        f"a processing instruction {_name}",
        "An instruction to whoever reads it; SOAP forbids them.",
        _FORBIDDEN,
        applied(lambda stage, text: with_prolog(stage.raw, text), _text),
        source="SOAP 1.1 §3",
    )
ENTITIES.add(
    "a processing instruction in the Header",
    "An instruction outside every signed part.",
    _FORBIDDEN,
    lambda stage: stage.source.edited(at_start(stage.source.header, b"<?php phpinfo(); ?>")),
    source="SOAP 1.1 §3",
)
ENTITIES.add(
    "a processing instruction behind the envelope",
    "Behind the end of what is signed.",
    _FORBIDDEN,
    lambda stage: stage.raw.rstrip() + b"<?x y?>",
    source="SOAP 1.1 §3",
)
ENTITIES.add(
    "XInclude of a file",
    "An element that a reader may replace by a file.",
    _CHANGED,
    lambda stage: in_payload(
        stage.raw,
        b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" '
        b'parse="text"/>',
    ),
    source="XInclude 1.0 §3",
    every_stack=True,
)
ENTITIES.add(
    "XInclude in the Header",
    "The same outside every signed part: nobody follows it.",
    SAME,
    lambda stage: stage.source.edited(
        at_end(
            stage.source.header,
            b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>',
        )
    ),
    source="XInclude 1.0 §3",
)
ENTITIES.add(
    "a schema location",
    "An address that a validator may fetch a schema from.",
    SAME,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.envelope,
            b' xmlns:asi="http://www.w3.org/2001/XMLSchema-instance" '
            b'asi:schemaLocation="http://dancuquocgia.bca http://127.0.0.1:9/x.xsd"',
        )
    ),
)


# --- sizes ---------------------------------------------------------------------------------


def in_header(text: Callable[[], bytes]) -> Callable[[Stage], bytes]:
    return lambda stage: stage.source.edited(at_end(stage.source.header, text()))


def _bearers(attribute: bytes, count: int) -> bytes:
    """Elements that each carry an Id of their own."""
    mark = attribute.replace(b":", b"-")
    return b"".join(b"<b %s='%s%d'/>" % (attribute, mark, number) for number in range(count))


for _name, _write, _code in (
    ("100,000 elements deep", lambda: b"<a>" * 100_000 + b"</a>" * 100_000, _BROKEN),
    ("300 elements deep", lambda: b"<a>" * 300 + b"</a>" * 300, _BROKEN),
    ("with an unclosed depth", lambda: b"<a>" * 100_000, _BROKEN),
    ("with a million unclosed elements", lambda: b"<a>" * 1_000_000, _COMPLEX),
    (
        "with an attribute of 11 MB",
        lambda: b"<a b='%s'/>" % (b"x" * 11_000_000),
        "envelope.too-large",
    ),
    ("with a name of 1 MB", lambda: b"<%s/>" % (b"a" * 1_000_000), _BROKEN),
    ("with an attribute's name of 1 MB", lambda: b"<a %s=''/>" % (b"b" * 1_000_000), _BROKEN),
    ("with a namespace of 1 MB", lambda: b"<a xmlns='urn:%s'/>" % (b"b" * 1_000_000), SAME),
    ("with a text of 9 MB", lambda: b"<a>%s</a>" % (b"x" * 9_000_000), SAME),
    ("33 blocks long", lambda: b"<a/>" * 33, "envelope.header-invalid"),
    ("100,000 blocks long", lambda: b"<a/>" * 100_000, "envelope.header-invalid"),
    (
        "with 20,000 attributes",
        lambda: b"<a%s/>" % b"".join(b" b%d=''" % number for number in range(20_000)),
        _COMPLEX,
    ),
    (
        "with 20,000 namespaces",
        lambda: b"<a%s/>" % b"".join(b" xmlns:b%d='urn:b'" % number for number in range(20_000)),
        _COMPLEX,
    ),
    (
        "with 100 namespaces on each of 100 elements",
        lambda: (
            b"".join(
                b"<a%s>" % b"".join(b" xmlns:b%d='urn:%d'" % (one, depth) for one in range(100))
                for depth in range(100)
            )
            + b"</a>" * 100
        ),
        _COMPLEX,
    ),
    (
        "with 2,000 attributes on each of 100 elements",
        lambda: (b"<a%s/>" % b"".join(b" b%d=''" % number for number in range(2_000))) * 100,
        _COMPLEX,
    ),
    (
        "with 256 attributes on each of 10 elements",
        lambda: (
            (b"<a>%s</a>")
            % ((b"<a%s/>" % b"".join(b" b%d=''" % number for number in range(256))) * 10)
        ),
        SAME,
    ),
    (
        "with a namespace on each of 75,000 rows",
        lambda: b"<a>" + b'<Row xmlns="urn:x"><A>1</A><B>2</B></Row>' * 75_000 + b"</a>",
        SAME,
    ),
    ("with 700,000 elements", lambda: b"<a>" + b"<b/>" * 700_000 + b"</a>", _COMPLEX),
    (
        "with 400,000 elements with an attribute each",
        lambda: b"<a>" + b"<b c=''/>" * 400_000 + b"</a>",
        _COMPLEX,
    ),
    (
        "with 700,000 elements in what looks like CDATA",
        lambda: b"<a b='<![CDATA['>" + b"<b/>" * 700_000 + b"</a>",
        _BROKEN,
    ),
    ("with 200,000 comments", lambda: b"<a>" + b"<!---->" * 200_000 + b"</a>", SAME),
    ("with a comment of 9 MB", lambda: b"<a><!--%s--></a>" % (b"x" * 9_000_000), SAME),
    (
        "with 10,000 Ids",
        lambda: b"<a>%s</a>" % b"".join(b"<b Id='i%d'/>" % number for number in range(10_000)),
        SAME,
    ),
    (
        "with one Id 10,000 times",
        lambda: b"<a>%s</a>" % (b"<b Id='i'/>" * 10_000),
        SAME,
    ),
    (
        "with 40,000 Ids, and 40,000 in capitals",
        lambda: b"<a>%s</a>" % (_bearers(b"Id", 40_000) + _bearers(b"ID", 40_000)),
        SAME,
    ),
    (
        "with 40,000 Ids of WS-Security, and 40,000 of XML",
        lambda: (
            b'<a xmlns:awsu="%s">%s</a>'
            % (WSU.encode(), _bearers(b"awsu:Id", 40_000) + _bearers(b"xml:id", 40_000))
        ),
        SAME,
    ),
    (
        "with 5,000 Ids, each twice",
        lambda: b"<a>%s</a>" % (b"".join(b"<b Id='i%d'/>" % one for one in range(5_000)) * 2),
        SAME,
    ),
):
    SIZES.add(
        f"a Header {_name}",
        "Costs the sender little and the reader much.",
        _code,
        in_header(_write),
    )
for _count in (300, 1_000, 10_000, 100_000):
    for _kind, _form in {
        "attributes": b" a%d=''",
        "namespaces": b" xmlns:a%d='urn:a'",
        "namespaces of their own": b" xmlns:a%d='urn:%d'",
    }.items():
        for _place in ("the Envelope", "the signature", "SignedInfo", "the payload"):
            SIZES.add(
                f"{_count:,} {_kind} on {_place}",
                "Whoever sorts, writes or looks for them takes the square of how many there are.",
                _COMPLEX,
                applied(
                    lambda stage, count, form, place: stage.source.edited(
                        with_attribute(
                            stage.source,
                            PLACES[place](stage.source),
                            b"".join(form % ((one,) * form.count(b"%d")) for one in range(count)),
                        )
                    ),
                    _count,
                    _form,
                    _place,
                ),
            )
for _name, _write in {
    "11 MB of white space": lambda: b" " * 11_000_000,
    "11 MB behind the end": lambda: b"<x/>" * 2_750_000,
}.items():
    SIZES.add(
        f"a message with {_name}",
        "More bytes than the hub takes.",
        "envelope.too-large",
        applied(lambda stage, write: stage.raw + write(), _write),
    )


# --- encodings -----------------------------------------------------------------------------


def _declared(raw: bytes, name: bytes) -> bytes:
    place = declaration_end(raw)
    return b'<?xml version="1.0" encoding="%s"?>' % name + raw[place:]


def recoded(codec: str, declared: bytes, start: bytes = b"") -> Callable[[Stage], bytes]:
    """The whole message in another encoding, which it declares."""
    return lambda stage: start + _declared(stage.raw, declared).decode().encode(codec)


for _name, _codec, _declaration, _start in (
    ("UTF-16 LE with its mark", "utf-16-le", b"UTF-16", codecs.BOM_UTF16_LE),
    ("UTF-16 BE with its mark", "utf-16-be", b"UTF-16", codecs.BOM_UTF16_BE),
    ("UTF-16 LE without mark", "utf-16-le", b"UTF-16LE", b""),
    ("UTF-16 BE without mark", "utf-16-be", b"UTF-16BE", b""),
    ("UTF-16 that says it is UTF-8", "utf-16-le", b"UTF-8", codecs.BOM_UTF16_LE),
    ("UTF-32 LE with its mark", "utf-32-le", b"UTF-32", codecs.BOM_UTF32_LE),
    ("UTF-32 BE with its mark", "utf-32-be", b"UTF-32", codecs.BOM_UTF32_BE),
    ("UTF-32 LE without mark", "utf-32-le", b"UTF-32LE", b""),
    ("UTF-32 BE without mark", "utf-32-be", b"UTF-32BE", b""),
    ("EBCDIC", "cp037", b"IBM037", b""),
    ("UTF-7", "utf-7", b"UTF-7", b""),
):

    def _recoded(
        stage: Stage, codec: str = _codec, declared: bytes = _declaration, start: bytes = _start
    ) -> bytes:
        text = _declared(stage.raw, declared).decode()
        return start + text.encode(codec, errors="xmlcharrefreplace")

    ENCODINGS.add(
        f"a message in {_name}",
        "The same letters in bytes that filters do not read.",
        _BROKEN,
        _recoded,
    )
for _declaration in (
    b"ISO-8859-1",
    b"windows-1258",
    b"UTF-7",
    b"UTF-16",
    b"UTF-8x",
    b"EBCDIC-CP-US",
    b"ISO-10646-UCS-4",
    b"Shift_JIS",
    b"x-user-defined",
):
    ENCODINGS.add(
        f"UTF-8 that says it is {_declaration.decode()}",
        "Two readers, two texts: the declaration is not signed.",
        _BROKEN,
        applied(lambda stage, declared: _declared(stage.raw, declared), _declaration),
        every_stack=True,
    )
for _name, _start, _code in (
    ("its mark", codecs.BOM_UTF8, SAME),
    ("its mark twice", codecs.BOM_UTF8 * 2, _BROKEN),
    ("a space before the declaration", b" ", _BROKEN),
    ("a zero byte before the declaration", b"\0", _BROKEN),
    ("a zero-width space before the declaration", "\u200b".encode(), _BROKEN),
    ("the mark of UTF-16 before it", codecs.BOM_UTF16_LE, _BROKEN),
    ("the mark of UTF-7 before it", b"+/v8-", _BROKEN),
):
    ENCODINGS.add(
        f"UTF-8 with {_name}",
        "Something before the first letter.",
        _code,
        applied(lambda stage, start: start + _declared(stage.raw, b"UTF-8"), _start),
    )
for _name, _bytes in {
    "an overlong zero": b"\xc0\xb0",
    "an overlong letter of three bytes": b"\xe0\x80\xb0",
    "an overlong letter of four bytes": b"\xf0\x80\x80\xb0",
    "an overlong less-than sign": b"\xc0\xbc",
    "a byte that never stands": b"\xff",
    "a byte that never begins": b"\x80",
    "a letter cut off": b"\xe1\xba",
    "half of a pair": b"\xed\xa0\x80",
    "a pair of halves": b"\xed\xa0\xbd\xed\xb8\x80",
    "a letter beyond Unicode": b"\xf4\x90\x80\x80",
    "a letter of five bytes": b"\xf8\x88\x80\x80\x80",
    "a zero byte": b"\0",
    "a control character": b"\x08",
    "an escape": b"\x1b[2J",
    "a noncharacter": b"\xef\xbf\xbf",
}.items():
    ENCODINGS.add(
        f"a text with {_name}",
        "Bytes that are no character of XML.",
        _BROKEN,
        applied(lambda stage, text: in_payload(stage.raw, text + OWN_NUMBER[1:]), _bytes),
    )
for _name, _declaration in {
    "XML 1.1": b'<?xml version="1.1" encoding="UTF-8"?>',
    "XML 2.0": b'<?xml version="2.0" encoding="UTF-8"?>',
    "standalone": b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>',
    "two declarations": b'<?xml version="1.0"?><?xml version="1.0"?>',
    "a declaration without version": b'<?xml encoding="UTF-8"?>',
}.items():
    ENCODINGS.add(
        f"a message of {_name}",
        "A declaration that changes which characters there are.",
        {"XML 1.1": SAME, "standalone": SAME}.get(_name, _BROKEN),
        applied(lambda stage, text: text + stage.raw[declaration_end(stage.raw) :], _declaration),
    )


# --- namespaces ----------------------------------------------------------------------------


def renamed(old: str, new: str) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        for quote in (b'"', b"'"):
            was = quote + old.encode() + quote
            if was in stage.raw:
                return stage.raw.replace(was, quote + new.encode() + quote)
        raise LookupError(old)

    return make


_XROAD = "http://x-road.eu/xsd/xroad.xsd"
_IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
for _name, _old, _new, _code in (
    ("X-Road's namespace with a slash", _XROAD, f"{_XROAD}/", _MISSING),
    ("X-Road's namespace in capitals", _XROAD, _XROAD.upper(), _MISSING),
    (
        "X-Road's namespace over https",
        _XROAD,
        _XROAD.replace("http", "https"),
        "envelope.header-field-missing",
    ),
    (
        "X-Road's namespace escaped",
        _XROAD,
        _XROAD.replace("xroad", "xro%61d"),
        "envelope.header-field-missing",
    ),
    ("X-Road's namespace and a space", _XROAD, f"{_XROAD} ", _BROKEN),
    ("identifiers of X-Road's own namespace", _IDENTIFIERS, _XROAD, "envelope.header-invalid"),
    ("identifiers of no namespace that is known", _IDENTIFIERS, "urn:x", "envelope.header-invalid"),
    ("SOAP's namespace one letter off", SOAP11, SOAP11[:-1], "envelope.soap-version"),
    ("an empty payload namespace", "http://dancuquocgia.bca", "urn:x", _CHANGED),
):
    NAMESPACES.add(
        f"{_name}",
        "Names that look alike and are others.",
        _code,
        renamed(_old, _new),
        every_stack=True,
    )
NAMESPACES.add(
    "SOAP 1.2's namespace under a signature of SOAP 1.1",
    "The same message in the other version of SOAP.",
    _CHANGED,
    renamed(SOAP11, SOAP12),
)
NAMESPACES.add(
    "a second client block of another namespace",
    "A block that is called client, for readers that look for local names.",
    SAME,
    in_header(
        lambda: (
            b'<client xmlns="urn:x"><memberCode>H26</memberCode></client>'
            b'<o:client xmlns:o="http://x-road.eu/xsd/x-road.xsd"/>'
        )
    ),
    every_stack=True,
)
NAMESPACES.add(
    "a prefix that nobody declared",
    "A reader without namespaces takes it for a name.",
    _BROKEN,
    in_header(lambda: b"<nobody:client/>"),
)
NAMESPACES.add(
    "the prefix xml taken for something else",
    "A prefix that cannot be declared anew.",
    _BROKEN,
    in_header(lambda: b'<a xmlns:xml="urn:x"/>'),
)
NAMESPACES.add(
    "a prefix declared as nothing",
    "Namespaces 1.1 allows it, 1.0 does not.",
    _BROKEN,
    in_header(lambda: b'<a xmlns:b="http://x"><c xmlns:b=""/></a>'),
)
NAMESPACES.add(
    "one attribute under two prefixes",
    "Twice the same name, spelt in two ways.",
    _BROKEN,
    in_header(lambda: b'<a xmlns:b="urn:x" xmlns:c="urn:x" b:d="1" c:d="2"/>'),
)
NAMESPACES.add(
    "an attribute twice",
    "The first one or the last: readers differ.",
    _BROKEN,
    in_header(lambda: b'<a b="1" b="2"/>'),
)
NAMESPACES.add(
    "a relative namespace",
    "A name without canonical form.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        with_attribute(stage.source, stage.source.security, b' xmlns:rel="../x"')
    ),
    source="Canonical XML 1.0 §1.3",
)
NAMESPACES.add(
    "a prefix bound anew above a signed part",
    "A namespace that no signed part uses: exclusive canonicalisation leaves it out.",
    SAME,
    lambda stage: stage.source.edited(
        with_attribute(stage.source, stage.source.envelope, b' xmlns:unused="urn:unused"')
    ),
    source="Exclusive XML Canonicalization 1.0 §3",
    every_stack=True,
)


def rebound(stage: Stage) -> bytes:
    """A QName in a signed text would now mean another namespace: nothing here reads any."""
    return stage.source.edited(
        with_attribute(stage.source, stage.source.header, b' xmlns:qname="urn:other"')
    )


NAMESPACES.add(
    "a prefix that only a text could use",
    "QNames in texts are not seen by exclusive canonicalisation; nothing here reads any.",
    SAME,
    rebound,
    source="Exclusive XML Canonicalization 1.0 §1.2",
    every_stack=True,
)
_find: Callable[[Source], Span]
for _attribute in (
    b'xml:base="http://127.0.0.1:9/"',
    b'xml:lang="x"',
    b'xml:space="preserve"',
):
    for _place, _find in {
        "the envelope": lambda s: s.envelope,
        "the Header": lambda s: s.header,
    }.items():
        NAMESPACES.add(
            f"{_attribute.partition(b'=')[0].decode()} on {_place}",
            "An inherited attribute: inclusive canonicalisation would take it into signed parts.",
            SAME,
            applied(
                lambda stage, attribute, find: stage.source.edited(
                    with_attribute(stage.source, find(stage.source), b" " + attribute)
                ),
                _attribute,
                _find,
            ),
            source="Exclusive XML Canonicalization 1.0 §1.2",
        )
    NAMESPACES.add(
        f"{_attribute.partition(b'=')[0].decode()} on the Body",
        "An attribute on a signed element.",
        _CHANGED,
        applied(
            lambda stage, attribute: stage.source.edited(
                with_attribute(stage.source, stage.source.body, b" " + attribute)
            ),
            _attribute,
        ),
        every_stack=True,
    )
NAMESPACES.add(
    "encodingStyle on the Envelope",
    "Says that the Body is to be read by SOAP's encoding.",
    SAME,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.envelope,
            b' xmlns:ass="%s" ass:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"'
            % SOAP11.encode(),
        )
    ),
    source="SOAP 1.1 §4.1.1",
)
NAMESPACES.add(
    "xsi:nil on the payload",
    "Says that a signed element is not there.",
    _CHANGED,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.payload,
            b' xmlns:asi="http://www.w3.org/2001/XMLSchema-instance" asi:nil="true"',
        )
    ),
    every_stack=True,
)


# --- comments, CDATA, white space ------------------------------------------------------------


def _splitted(value: bytes, middle: bytes) -> bytes:
    return value[:6] + middle + value[6:]


_FULL_WIDTH = "".join(chr(one + 0xFEE0) for one in OWN_NUMBER).encode()

for _name, _text, _code in (
    ("a comment in the number", _splitted(OWN_NUMBER, b"<!-- x -->"), SAME),
    ("comments between all digits", b"<!---->".join(bytes([one]) for one in OWN_NUMBER), SAME),
    ("a comment that holds another number", OWN_NUMBER + b"<!--%s-->" % EVIL_NUMBER, SAME),
    ("CDATA around the number", b"<![CDATA[%s]]>" % OWN_NUMBER, SAME),
    (
        "CDATA around half of it",
        _splitted(OWN_NUMBER, b"]]>").replace(OWN_NUMBER[:6], b"<![CDATA[" + OWN_NUMBER[:6]),
        SAME,
    ),
    ("empty CDATA in it", _splitted(OWN_NUMBER, b"<![CDATA[]]>"), SAME),
    ("CDATA in CDATA", b"<![CDATA[<![CDATA[%s]]>]]>" % OWN_NUMBER, _BROKEN),
    ("CDATA that does not end", b"<![CDATA[%s" % OWN_NUMBER, _BROKEN),
    ("a comment with two dashes", OWN_NUMBER + b"<!-- -- -->", _BROKEN),
    ("a comment that does not end", OWN_NUMBER + b"<!--", _BROKEN),
    ("a space before it", b" " + OWN_NUMBER, _CHANGED),
    ("a line feed behind it", OWN_NUMBER + b"\n", _CHANGED),
    ("a carriage return in it", _splitted(OWN_NUMBER, b"\r"), _CHANGED),
    ("a reference to a carriage return", OWN_NUMBER + b"&#13;", _CHANGED),
    (
        "a zero-width space in it",
        _splitted(OWN_NUMBER, "\u200b".encode()),
        _CHANGED,
    ),
    ("a joiner in it", _splitted(OWN_NUMBER, "\u200d".encode()), _CHANGED),
    (
        "digits of full width",
        _FULL_WIDTH,
        _CHANGED,
    ),
    ("an element in it", _splitted(OWN_NUMBER, b"<a/>"), _CHANGED),
):
    LEXICAL.add(
        _name,
        "Readers that take the first text node, or the last, would read another number.",
        _code,
        applied(lambda stage, text: in_payload(stage.raw, text), _text),
        every_stack=True,
        source="CVE-2017-11427; Canonical XML 1.0 §2.1" if "comment" in _name else LEXICAL.source,
    )
for _name, _plain, _split in (
    ("the member", b">H41<", b">H4<!-- -->1<"),
    ("the subsystem", b">motcua<", b">mot<!--x-->cua<"),
    ("the message id", b"-1<", b"<!-- -->-1<"),
    ("the officer", b">VN0117<", b">VN<!---->0117<"),
):
    LEXICAL.add(
        f"a comment in {_name}",
        "The comment that made SAML libraries read half of a name.",
        SAME,
        applied(lambda stage, old, new: stage.raw.replace(old, new, 1), _plain, _split),
        every_stack=True,
        source="CVE-2017-11427",
    )
    LEXICAL.add(
        f"CDATA in {_name}",
        "A second text node within an identifier.",
        SAME,
        applied(
            lambda stage, old: stage.raw.replace(
                old, old[:1] + b"<![CDATA[" + old[1:-1] + b"]]>" + old[-1:], 1
            ),
            _plain,
        ),
        every_stack=True,
    )
LEXICAL.add(
    "single quotes for double ones",
    "The same attributes, quoted otherwise.",
    SAME,
    lambda stage: stage.raw.replace(b'objectType="SUBSYSTEM"', b"objectType='SUBSYSTEM'"),
    source="Canonical XML 1.0 §2.3",
    every_stack=True,
)
LEXICAL.add(
    "white space in a start tag",
    "The same element, with line feeds in its tag.",
    SAME,
    lambda stage: stage.raw.replace(b'objectType="SUBSYSTEM"', b'objectType\t=\n"SUBSYSTEM" '),
    source="Canonical XML 1.0 §2.3",
    every_stack=True,
)
LEXICAL.add(
    "normalised letters in the name",
    "The same name in decomposed letters: it looks alike and is another one.",
    _CHANGED,
    lambda stage: stage.raw.replace("Hương".encode(), "Hu\u031bo\u031bng".encode()),
    source="Unicode Standard Annex #15; XML Signature 1.1 §8.1.3",
    every_stack=True,
)
LEXICAL.add(
    "text between Envelope, Header and Body",
    "Text where none belongs, outside every signed part.",
    SAME,
    lambda stage: stage.source.edited(
        (stage.source.header.start, stage.source.header.start, b"text")
    ),
    source="SOAP 1.1 §4.1.2",
)
LEXICAL.add(
    "something behind the envelope",
    "A second document behind the first one.",
    _BROKEN,
    lambda stage: stage.raw + b"<a/>",
    source="XML 1.0 §2.1",
    every_stack=True,
)
LEXICAL.add(
    "the message twice",
    "Two messages in one request.",
    _BROKEN,
    lambda stage: stage.raw + stage.raw[declaration_end(stage.raw) :],
    source="XML 1.0 §2.1",
)
