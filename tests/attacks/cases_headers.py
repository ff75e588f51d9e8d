"""Headers: who is meant, what must be understood, identifiers that say more than they should."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from signing.names import SOAP11, SOAP12
from tests.attacks.cases import NEW, OWN_NUMBER, SAME, Group, Stage, applied
from tests.attacks.source import Source, after, at_end, before, out, with_attribute

SHAPE = Group("shape of the envelope", "SOAP 1.1 §4; X-Road Message Protocol 4.0 §2.2, §2.3")
UNDERSTANDING = Group("mustUnderstand, actor and role", "SOAP 1.1 §4.2.2, §4.2.3")
IDENTIFIERS = Group("identifiers", "X-Road Message Protocol 4.0 §2.1")
INJECTION = Group("injection into logs and consoles", "CWE-117; CWE-150; CWE-93")
CLIENTS = Group("who may do what", "X-Road Message Protocol 4.0 §2.2")

_INVALID = "envelope.header-invalid"
_MISSING = "envelope.header-field-missing"
_DUPLICATE = "envelope.header-duplicate"
_SOAP = SOAP11.encode()


def header_block(text: bytes) -> Callable[[Stage], bytes]:
    """A block more at the end of the Header."""
    return lambda stage: stage.source.edited(at_end(stage.source.header, text))


# --- shape ---------------------------------------------------------------------------------


def envelope_named(old: bytes, new: bytes) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        source = stage.source
        prefix = source.prefix(source.envelope)
        raw = stage.raw.replace(b"<%s%s" % (prefix, old), b"<%s%s" % (prefix, new))
        return raw.replace(b"</%s%s>" % (prefix, old), b"</%s%s>" % (prefix, new))

    return make


for _old, _new, _code in (
    (b"Envelope", b"envelope", "envelope.soap-version"),
    (b"Envelope", b"Letter", "envelope.soap-version"),
    (b"Header", b"header", "envelope.header-missing"),
    (b"Body", b"body", "envelope.body-missing"),
):
    SHAPE.add(
        f"a {_new.decode()} for the {_old.decode()}",
        "An envelope that is nearly one.",
        _code,
        envelope_named(_old, _new),
        every_stack=True,
    )
_edit: Callable[[Source], bytes]
for _name, _edit, _code in (
    ("no Header", lambda s: s.edited(out(s.header)), "envelope.header-missing"),
    ("no Body", lambda s: s.edited(out(s.body)), "envelope.body-missing"),
    ("two Headers", lambda s: s.edited(after(s.header, s.text(s.header))), _DUPLICATE),
    (
        "an empty Header before the signed one",
        lambda s: s.edited(before(s.header, b'<a:Header xmlns:a="%s"/>' % _SOAP)),
        _DUPLICATE,
    ),
    (
        "the Body before the Header",
        lambda s: s.edited(out(s.body), before(s.header, s.text(s.body))),
        "envelope.body-invalid",
    ),
    (
        "an element behind the Body",
        lambda s: s.edited(after(s.body, b"<a/>")),
        "envelope.body-invalid",
    ),
    ("an empty Body", lambda s: s.edited(out(s.payload)), "envelope.body-invalid"),
    (
        "two payloads",
        lambda s: s.edited(after(s.payload, s.text(s.payload))),
        "envelope.body-invalid",
    ),
    (
        "text beside the payload",
        lambda s: s.edited(before(s.payload, b"text")),
        "envelope.body-invalid",
    ),
    (
        "a payload of another name",
        lambda s: s.raw.replace(b"TraCuuThongTinCongDan>", b"XoaCongDan>").replace(
            b"TraCuuThongTinCongDan ", b"XoaCongDan "
        ),
        "envelope.body-inconsistent",
    ),
):
    SHAPE.add(
        f"an envelope with {_name}",
        "An envelope in which two readers find two messages.",
        _code,
        applied(lambda stage, edit: edit(stage.source), _edit),
        every_stack="payload of another" not in _name,
    )
for _block in ("client", "service", "id", "protocolVersion"):
    SHAPE.add(
        f"no {_block} block",
        "A message that leaves out what it is held to.",
        _MISSING,
        applied(lambda stage, name: stage.source.edited(out(stage.source.block(name))), _block),
        every_stack=True,
    )
for _block in ("client", "service", "id", "protocolVersion", "userId", "issue"):
    SHAPE.add(
        f"the {_block} block twice",
        "The same block again, letter by letter.",
        _DUPLICATE,
        applied(
            lambda stage, name: stage.source.edited(
                after(stage.source.block(name), stage.source.text(stage.source.block(name)))
            ),
            _block,
        ),
        every_stack=True,
    )
for _block in ("userId", "issue"):
    SHAPE.add(
        f"the signed {_block} left out",
        "Takes away a block that the sender signed.",
        "signature.coverage",
        applied(lambda stage, name: stage.source.edited(out(stage.source.block(name))), _block),
        every_stack=True,
    )
for _version in (b"3.1", b"5.0", b"", b"4", b"four", b"04.0", b" 4.0"):
    SHAPE.add(
        f"protocol version {_version.decode()!r}",
        "Another protocol than the one that is spoken here.",
        "envelope.protocol-version",
        applied(lambda stage, version: stage.raw.replace(b">4.0<", b">%s<" % version), _version),
        source="X-Road Message Protocol 4.0 §2.2",
    )


# --- mustUnderstand ------------------------------------------------------------------------

for _name, _value in {"1": b"1", "true": b"true"}.items():
    UNDERSTANDING.add(
        f"an unknown block with mustUnderstand={_name}",
        "A condition that nobody here understands, and must.",
        "envelope.header-not-understood",
        header_block(
            b'<x:Condition xmlns:x="urn:x" xmlns:s="%s" s:mustUnderstand="%s"/>' % (_SOAP, _value)
        ),
        every_stack=True,
    )
for _name, _text in {
    "mustUnderstand=0": b'<x:a xmlns:x="urn:x" xmlns:s="%s" s:mustUnderstand="0"/>' % _SOAP,
    "mustUnderstand for another actor": (
        b'<x:a xmlns:x="urn:x" xmlns:s="%s" s:mustUnderstand="1" s:actor="urn:else"/>' % _SOAP
    ),
    "mustUnderstand of no namespace": b'<x:a xmlns:x="urn:x" mustUnderstand="1"/>',
}.items():
    UNDERSTANDING.add(
        f"an unknown block with {_name}",
        "A block that need not be understood here.",
        SAME,
        header_block(_text),
        every_stack=True,
    )
UNDERSTANDING.add(
    "an unknown block for the next actor that must be understood",
    "What is for the next one is for us.",
    "envelope.header-not-understood",
    header_block(
        b'<x:a xmlns:x="urn:x" xmlns:s="%s" s:mustUnderstand="1" '
        b's:actor="http://schemas.xmlsoap.org/soap/actor/next"/>' % _SOAP
    ),
)
UNDERSTANDING.add(
    "the client block for another actor",
    "Hides the block that says who asks from the hub, and leaves it to the agency.",
    _MISSING,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.block("client"),
            b' xmlns:s="%s" s:actor="urn:else"' % _SOAP,
        )
    ),
    every_stack=True,
)
UNDERSTANDING.add(
    "a second client block, for another actor",
    "One client for the hub, another one for the agency.",
    _DUPLICATE,
    lambda stage: stage.source.edited(
        after(
            stage.source.block("client"),
            stage.source.whole(stage.source.block("client"))
            .replace(b">H41<", b">H26<")
            .replace(b"client ", b'client xmlns:s="%s" s:actor="urn:else" ' % _SOAP, 1),
        )
    ),
    every_stack=True,
)
UNDERSTANDING.add(
    "a role of SOAP 1.2 on the security header",
    "The attribute of the other version: it addresses nobody here.",
    SAME,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.security,
            b' xmlns:s="%s" s:role="urn:else"' % SOAP12.encode(),
        )
    ),
    source="SOAP 1.1 §4.2.2; SOAP 1.2 Part 1 §5.2.2",
)


# --- identifiers ---------------------------------------------------------------------------


def signed_with(old: bytes, new: bytes) -> Callable[[Stage], bytes]:
    """The member signs another text: only what the text says can be wrong."""

    def make(stage: Stage) -> bytes:
        assert old in stage.raw
        return stage.signed(raw=stage.raw.replace(old, new, 1))

    return make


_PARTS: dict[str, bytes] = {
    "a slash": b"H41/x",
    "an escaped slash": b"H41%2Fx",
    "an escaped letter": b"H%341",
    "nothing in it": b"",
    "a space in it": b"H 41",
    "a space before it": b" H41",
    "a line feed behind it": b"H41\n",
    "a backslash": b"H41\\x",
    "two dots and a slash": b"../H41",
    "a colon": b"H41:x",
    "a semicolon": b"H41;x",
    "a percent sign": b"H41%",
    "an asterisk": b"*",
    "an SQL quote and a comment": b"H41' --",
    "a number sign": b"H41#x",
    "an at sign": b"x@H41",
    "65 letters": b"H" * 65,
    "100,000 letters": b"H" * 100_000,
    "a Cyrillic letter": "\u041d41".encode(),
    "letters of full width": "Ｈ４１".encode(),
    "a zero-width space": "H\u200b41".encode(),
    "a mark that turns text round": "\u202e14H".encode(),
    "a Vietnamese letter": "Đ41".encode(),
    "a combining mark": "H\u030141".encode(),
    "a soft hyphen": "H\u00ad41".encode(),
    "a byte order mark": "\ufeffH41".encode(),
    "an element": b"<x/>H41",
    "a child with the text": b"<x>H41</x>",
}
for _name, _text in _PARTS.items():
    IDENTIFIERS.add(
        f"a member code with {_name}",
        "A text that becomes another identifier when parts are joined, unescaped or compared.",
        _INVALID,
        signed_with(b">H41<", b">%s<" % _text),
    )
for _name, _text, _code in (
    ("dots", b"..", "sender.client-unknown"),
    ("small letters", b"h41", "sender.client-unknown"),
    ("nobody's code", b"Z99", "sender.client-unknown"),
    ("another member's code", b"H26", "sender.mismatch"),
):
    IDENTIFIERS.add(
        f"a member code of {_name}",
        "A well-formed identifier that is not the signer's.",
        _code,
        signed_with(b">H41<", b">%s<" % _text),
    )


def changed_block(name: str, old: bytes, new: bytes) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        source = stage.source
        text = source.text(source.block(name))
        assert old in text, (name, old)
        return stage.signed(raw=source.replaced(source.block(name), text.replace(old, new)))

    return make


for _name, _block, _old, _new, _code in (
    ("a client of another kind", "client", b'"SUBSYSTEM"', b'"SERVICE"', _INVALID),
    ("a client that is a member with a subsystem", "client", b'"SUBSYSTEM"', b'"MEMBER"', _INVALID),
    ("a client of no kind", "client", b'objectType="SUBSYSTEM"', b'kind="SUBSYSTEM"', _INVALID),
    ("a client kind in small letters", "client", b'"SUBSYSTEM"', b'"subsystem"', _INVALID),
    ("a client that is a group", "client", b'"SUBSYSTEM"', b'"GLOBALGROUP"', _INVALID),
    ("a service of another kind", "service", b'"SERVICE"', b'"SUBSYSTEM"', _INVALID),
    ("an unknown subsystem", "client", b"motcua", b"khongco", "sender.client-unknown"),
    ("an unknown agency", "service", b">G01<", b">Z99<", "route.recipient-unknown"),
    ("another agency", "service", b">G01<", b">G12<", "route.service-unknown"),
    ("another version", "service", b">v1<", b">v2<", "route.service-unknown"),
    ("another instance", "service", b">VN<", b">EE<", "route.recipient-unknown"),
):
    IDENTIFIERS.add(
        _name,
        "Identifiers that are well-formed and lead elsewhere.",
        _code,
        changed_block(_block, _old, _new),
    )


def doubled_part(name: str, part: bytes) -> Callable[[Stage], bytes]:
    """An identifier part twice, the second one another."""

    def make(stage: Stage) -> bytes:
        source = stage.source
        span = next(
            one for one in source.children(source.block(name)) if one.tag.endswith("}memberCode")
        )
        again = source.text(span).replace(source.inner(span), part)
        return stage.signed(raw=source.edited(after(span, again)))

    return make


IDENTIFIERS.add(
    "a member code twice",
    "The first one is the signer's, the last one is not.",
    _DUPLICATE,
    doubled_part("client", b"H26"),
)
IDENTIFIERS.add(
    "an unknown part in the client",
    "An identifier part that no identifier has.",
    _INVALID,
    lambda stage: stage.signed(
        raw=stage.source.edited(
            at_end(
                stage.source.block("client"),
                b'<n:serverCode xmlns:n="http://x-road.eu/xsd/identifiers">x</n:serverCode>',
            )
        )
    ),
)
for _part in ("xRoadInstance", "memberClass", "memberCode", "subsystemCode"):
    IDENTIFIERS.add(
        f"a client without {_part}",
        "An identifier of fewer parts: a rule for the whole member may fit.",
        _MISSING,
        applied(
            lambda stage, part: stage.signed(
                raw=stage.source.edited(
                    out(
                        next(
                            one
                            for one in stage.source.children(stage.source.block("client"))
                            if one.tag.endswith("}" + part)
                        )
                    )
                )
            ),
            _part,
        ),
    )


# --- injection -----------------------------------------------------------------------------

_TEXTS: dict[str, bytes] = {
    "a line feed": b"a&#10;2026-03-01 message.received client=VN/GOV/G01",
    "a carriage return": b"a&#13;b",
    "a tab": b"a&#9;b",
    "a next-line character": "a\u0085b".encode(),
    "a line separator": "a\u2028b".encode(),
    "a paragraph separator": "a\u2029b".encode(),
    "a control sequence of one byte": "a\u009b31mb".encode(),
    "a mark that turns text round": "a\u202eb".encode(),
    "an isolate": "a\u2066b".encode(),
    "a zero-width joiner": "a\u200db".encode(),
    "a tag character": "a\U000e0041b".encode(),
    "a private character": "a\ue000b".encode(),
    "a noncharacter": "a\ufdd0b".encode(),
    "a byte order mark": "a\ufeffb".encode(),
    "300 letters": b"a" * 300,
    "1,025 letters": b"a" * 1025,
    "an element": b"a<b/>c",
}
_REFUSED_IN_FREE_TEXTS = {"1,025 letters", "an element"}
"""userId and issue are any text up to a bound (MESS §2.2: xs:string): carried and repeated as sent,
shown nowhere. tests/hub/test_words_stay_out_of_diagnostics.py holds the latter."""
for _name, _text in _TEXTS.items():
    for _block in ("id", "userId", "issue"):

        def _injected(stage: Stage, name: str = _block, text: bytes = _text) -> bytes:
            source = stage.source
            span = source.block(name)
            edits = [(span.inner_start, span.inner_end, text)]
            if name != "id":  # a message of its own, if it passes
                own = source.block("id")
                unused = sha256(name.encode() + text).hexdigest().encode()
                edits.append((own.inner_start, own.inner_end, unused))
            return stage.signed(raw=source.edited(*edits))

        INJECTION.add(
            f"{_name} in {_block}",
            "Writes lines of its own into logs, or colours and orders into a console.",
            _INVALID if _block == "id" or _name in _REFUSED_IN_FREE_TEXTS else NEW,
            _injected,
        )
for _name, _text in {
    "quotes and braces": b'a"}, {"verdict": "accepted"',
    "markup": b"&lt;script&gt;alert(1)&lt;/script&gt;",
    "a lookup": b"${jndi:ldap://127.0.0.1:9/a}",
    "a format": b"%s%n{0}{detail!r}",
    "SQL": b"x'); DROP TABLE leaf; --",
    "a path": b"../../etc/passwd",
    "a console link of Rich": b"[link=http://127.0.0.1]x[/link]",
}.items():

    def _harmless(stage: Stage, text: bytes = _text) -> bytes:
        source = stage.source
        return stage.signed(
            raw=source.edited((source.block("id").inner_start, source.block("id").inner_end, text))
        )

    INJECTION.add(
        f"a message id that is {_name}",
        "Letters that another program could take for orders: here they are letters.",
        NEW,
        _harmless,
    )


# --- who may -------------------------------------------------------------------------------

CLIENTS.add(
    "a service without grant",
    "A registered member asks what it has no right to.",
    "access.denied",
    lambda stage: stage.signed(
        raw=stage.raw.replace(b">H41<", b">G03<").replace(b"motcua", b"tuyensinh"),
        hand=stage.issued(stage.hand("h41-p256").key, identifier="VN/GOV/G03"),
    ),
)
CLIENTS.add(
    "a payload that breaks its schema",
    "A right message about somebody who cannot be.",
    "payload.schema",
    lambda stage: stage.signed(raw=stage.raw.replace(OWN_NUMBER, b"12")),
)
CLIENTS.add(
    "a payload with an element more",
    "A field that the schema does not have.",
    "payload.schema",
    lambda stage: stage.signed(
        raw=stage.source.edited(at_end(stage.source.payload, b'<x xmlns="urn:x"/>'))
    ),
)
CLIENTS.add(
    "a payload of another namespace",
    "The right name in the wrong vocabulary.",
    "payload.schema",
    lambda stage: stage.signed(raw=stage.raw.replace(b"http://dancuquocgia.bca", b"urn:other")),
)
