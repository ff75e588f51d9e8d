"""Signature wrapping: what was signed is kept somewhere, something else stands in its place.

The XSW variants of Somorovsky et al., "On Breaking SAML" (USENIX Security 2012), and McIntosh and
Austel, "XML Signature Element Wrapping Attacks" (2005), as they look in WS-Security.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from signing.names import DS, SOAP11, SOAP12, WSSE, WSU
from tests.attacks.cases import EVIL_NUMBER, OWN_NUMBER, SAME, Group, Stage, applied
from tests.attacks.source import (
    Edit,
    Source,
    Span,
    after,
    at_end,
    at_start,
    before,
    identifier_of,
    instead,
    without_identifiers,
)

WRAPPING = Group("signature wrapping", "McIntosh and Austel 2005; WSS 1.1.1 §8")
IDS = Group("Id confusion", "XML Signature 1.1 §4.4.3.3; WSS 1.1.1 §4.2")

Place = Callable[[Source, bytes], Edit]
"""Where the signed part goes."""

_NONCE = b'<w:w xmlns:w="urn:w">%s</w:w>'
_OBJECT = b'<ads:Object xmlns:ads="%s">%%s</ads:Object>' % DS.encode()
_PROPERTIES = (
    b'<ads:Object xmlns:ads="%s"><ads:SignatureProperties><ads:SignatureProperty Target="">%%s'
    b"</ads:SignatureProperty></ads:SignatureProperties></ads:Object>" % DS.encode()
)
_MANIFEST = (
    b'<ads:Object xmlns:ads="%s"><ads:Manifest>%%s</ads:Manifest></ads:Object>' % DS.encode()
)
_ENVELOPE = (
    b'<asoap:Envelope xmlns:asoap="%s"><asoap:Header/>%%s</asoap:Envelope>' % SOAP11.encode()
)
_ENVELOPE_12 = _ENVELOPE.replace(SOAP11.encode(), SOAP12.encode())
_SECURITY = b'<awsse:Security xmlns:awsse="%s" asoap:actor="urn:someone-else" ' % WSSE.encode()
_SECURITY_OTHER = _SECURITY + b'xmlns:asoap="%s">%%s</awsse:Security>' % SOAP11.encode()
_TOKEN = b'<awsse:Embedded xmlns:awsse="%s">%%s</awsse:Embedded>' % WSSE.encode()

PLACES: dict[str, Place] = {
    "a foreign header block": lambda s, part: at_end(s.header, _NONCE % part),
    "a foreign header block before all others": lambda s, part: at_start(s.header, _NONCE % part),
    "a header block, three elements deep": lambda s, part: at_end(
        s.header, _NONCE % (_NONCE % (_NONCE % part))
    ),
    "a nested Envelope in the Header": lambda s, part: at_end(s.header, _ENVELOPE % part),
    "a nested SOAP 1.2 Envelope in the Header": lambda s, part: at_end(
        s.header, _ENVELOPE_12 % part
    ),
    "a Security header for another actor": lambda s, part: at_end(s.header, _SECURITY_OTHER % part),
    "the Security header": lambda s, part: at_end(s.security, part),
    "the start of the Security header": lambda s, part: at_start(s.security, part),
    "a foreign element of the Security header": lambda s, part: at_end(s.security, _NONCE % part),
    "a ds:Object of the Signature": lambda s, part: at_end(s.signature, _OBJECT % part),
    "a ds:SignatureProperty": lambda s, part: at_end(s.signature, _PROPERTIES % part),
    "a ds:Manifest": lambda s, part: at_end(s.signature, _MANIFEST % part),
    "the Signature itself": lambda s, part: at_end(s.signature, part),
    "the KeyInfo": lambda s, part: at_end(s.key_info, _NONCE % part),
}

IN_PLACE: dict[str, Place] = {
    "the new Body, before its element": lambda s, part: at_start(s.body, part),
    "the new Body, behind its element": lambda s, part: at_end(s.body, part),
    "a sibling before the Header": lambda s, part: before(s.header, part),
    "a sibling between Header and Body": lambda s, part: after(s.header, part),
    "a sibling behind the Body": lambda s, part: after(s.body, part),
    "a wrapper behind the Body": lambda s, part: after(s.body, _NONCE % part),
    "a wrapper before the Body": lambda s, part: before(s.body, _NONCE % part),
    "a nested Envelope behind the Body": lambda s, part: after(s.body, _ENVELOPE % part),
}

SPELLINGS: dict[str, tuple[Callable[[str], bytes], str]] = {
    "no Id": (lambda _: b"", "signature.coverage"),
    "another wsu:Id": (lambda _: _wsu("evil-1"), "signature.coverage"),
    "the same wsu:Id": (lambda one: _wsu(one), "signature.malformed"),
    "the same Id without namespace": (
        lambda one: b' Id="%s"' % one.encode(),
        "signature.malformed",
    ),
    "the same ID in capitals": (lambda one: b' ID="%s"' % one.encode(), "signature.malformed"),
    "the same xml:id": (lambda one: b' xml:id="%s"' % one.encode(), "signature.malformed"),
    "the same id in small letters": (lambda one: b' id="%s"' % one.encode(), "signature.coverage"),
    "the same Id of a foreign namespace": (
        lambda one: b' xmlns:f="urn:f" f:Id="%s"' % one.encode(),
        "signature.coverage",
    ),
    "the same AssertionID": (
        lambda one: b' AssertionID="%s"' % one.encode(),
        "signature.coverage",
    ),
    "the same wsu:Id of an older WS-Security": (
        lambda one: (
            b' xmlns:f="http://schemas.xmlsoap.org/ws/2003/06/utility" f:Id="%s"' % one.encode()
        ),
        "signature.coverage",
    ),
}


def _wsu(identifier: str) -> bytes:
    return b' xmlns:awsu="%s" awsu:Id="%s"' % (WSU.encode(), identifier.encode())


def evil_body(source: Source, attribute: bytes, inside: bytes = b"") -> bytes:
    """A Body that asks about somebody else."""
    text = without_identifiers(source.text(source.body)).replace(OWN_NUMBER, EVIL_NUMBER)
    end = text.index(b">") if b" " not in text[: text.index(b">")] else text.index(b" ")
    return text[:end] + attribute + inside + text[end:]


def moved_body(stage: Stage, place: Place, spelling: Callable[[str], bytes]) -> bytes:
    source = stage.source
    signed = source.whole(source.body)
    evil = evil_body(source, spelling(identifier_of(source, source.body)))
    start, end, part = place(source, signed)
    if source.body.start < start <= source.body.end - 1 and start < source.body.end:
        # Inside the new Body: put it there, at the same distance from its ends.
        is_first = start == source.body.inner_start
        opening, closing = evil.index(b">") + 1, evil.rindex(b"</")
        at = opening if is_first else closing
        return source.edited(instead(source.body, evil[:at] + part + evil[at:]))
    return source.edited(instead(source.body, evil), (start, end, part))


for _place_name, _place in PLACES.items():
    for _spelling_name, (_spelling, _code) in SPELLINGS.items():
        WRAPPING.add(
            f"Body moved into {_place_name}; the new one has {_spelling_name}",
            "Keeps the signed Body where no stage looks, and asks about somebody else.",
            "signature.malformed"
            if _place_name == "the Signature itself" and _code == "signature.malformed"
            else _code,
            partial(moved_body, place=_place, spelling=_spelling),
            every_stack=True,
        )

for _place_name, _place in IN_PLACE.items():
    WRAPPING.add(
        f"Body moved into {_place_name}",
        "Puts a second Body beside or inside the new one, for stages that take the first or last.",
        "envelope.body-invalid",
        partial(moved_body, place=_place, spelling=SPELLINGS["no Id"][0]),
        source="SOAP 1.1 §4.1.2, §4.3",
        every_stack=True,
    )


# --- the new one inside the old one, and elements beside ---------------------------------------


def payload_in_payload(stage: Stage) -> bytes:
    """The signed payload inside a new one, in a Body that keeps its Id."""
    source = stage.source
    signed = source.text(source.payload)
    evil = signed.replace(OWN_NUMBER, EVIL_NUMBER)
    at = evil.rindex(b"</")
    return source.edited(instead(source.payload, evil[:at] + signed + evil[at:]))


def second_payload(stage: Stage) -> bytes:
    source = stage.source
    evil = source.text(source.payload).replace(OWN_NUMBER, EVIL_NUMBER)
    return source.edited(before(source.payload, evil))


def body_identifier_on_payload(stage: Stage) -> bytes:
    """The payload claims to be the signed Body; the Body carries no Id."""
    source = stage.source
    attribute = _wsu(identifier_of(source, source.body))
    body = without_identifiers(source.text(source.body))
    payload = source.text(source.payload)
    at = payload.index(b">") if b" " not in payload[: payload.index(b">")] else payload.index(b" ")
    return source.edited(
        instead(source.body, body.replace(payload, payload[:at] + attribute + payload[at:]))
    )


def renamed_body(stage: Stage) -> bytes:
    """The signed Body stays where it is, under another name; a new one follows."""
    source = stage.source
    text = source.text(source.body)
    prefix = source.prefix(source.body)
    other = text.replace(b"<%sBody" % prefix, b"<%sLetter" % prefix)
    other = other.replace(b"</%sBody" % prefix, b"</%sLetter" % prefix)
    return source.edited(instead(source.body, other + evil_body(source, b"")))


WRAPPING.add(
    "the signed payload inside a new one",
    "Wraps below the Body, where the Id does not reach.",
    "signature.digest-mismatch",
    payload_in_payload,
    every_stack=True,
)
WRAPPING.add(
    "a second payload before the signed one",
    "Hopes that the first child of the Body is used and the signature checked over the last.",
    "envelope.body-invalid",
    second_payload,
    source="X-Road Message Protocol 4.0 §2.3",
    every_stack=True,
)
WRAPPING.add(
    "the Body's Id on the payload",
    "Gives the Id of the signed Body to its child.",
    "signature.digest-mismatch",
    body_identifier_on_payload,
    every_stack=True,
)
WRAPPING.add(
    "the signed Body renamed, a new one behind it",
    "Leaves the signed element in its place and takes its name away.",
    "envelope.body-invalid",
    renamed_body,
    source="SOAP 1.1 §4.1.2",
    every_stack=True,
)
WRAPPING.add(
    "two Bodies, the signed one first",
    "For a hub that verifies the first and reads the last.",
    "envelope.body-invalid",
    lambda stage: stage.source.edited(after(stage.source.body, evil_body(stage.source, b""))),
    source="SOAP 1.1 §4.3",
    every_stack=True,
)
WRAPPING.add(
    "two Bodies, the signed one last",
    "For a hub that verifies the last and reads the first.",
    "envelope.body-invalid",
    lambda stage: stage.source.edited(before(stage.source.body, evil_body(stage.source, b""))),
    source="SOAP 1.1 §4.3",
    every_stack=True,
)
WRAPPING.add(
    "a Body of SOAP 1.2 behind the signed one",
    "A Body by name, of another namespace.",
    "envelope.body-invalid",
    lambda stage: stage.source.edited(
        after(
            stage.source.body,
            b'<s:Body xmlns:s="%s"><x xmlns=""/></s:Body>' % SOAP12.encode(),
        )
    ),
    source="SOAP 1.1 §4.1.2",
    every_stack=True,
)


# --- whole envelopes ---------------------------------------


def envelope_in_header(stage: Stage) -> bytes:
    """The whole signed envelope in the Header of an unsigned one."""
    source = stage.source
    blocks = b"".join(
        without_identifiers(source.whole(one))
        for one in source.children(source.header)
        if one.tag.startswith("{http://x-road.eu/")
    )
    return (
        b'<asoap:Envelope xmlns:asoap="%s"><asoap:Header>%s%s</asoap:Header>%s</asoap:Envelope>'
        % (
            SOAP11.encode(),
            blocks,
            _NONCE % source.text(source.envelope),
            without_identifiers(source.whole(source.body)).replace(OWN_NUMBER, EVIL_NUMBER),
        )
    )


def envelope_in_body(stage: Stage) -> bytes:
    source = stage.source
    inner = source.text(source.envelope)
    header = b"".join(
        without_identifiers(source.whole(one))
        for one in source.children(source.header)
        if one.tag.startswith("{http://x-road.eu/")
    )
    return (
        b'<asoap:Envelope xmlns:asoap="%s"><asoap:Header>%s</asoap:Header><asoap:Body>'
        b'<TraCuuThongTinCongDan xmlns="urn:w">%s</TraCuuThongTinCongDan></asoap:Body>'
        b"</asoap:Envelope>" % (SOAP11.encode(), header, inner)
    )


def security_outside(stage: Stage) -> bytes:
    """The security header outside, all that it signs in an inner envelope's Header and Body."""
    source = stage.source
    security = source.whole(source.security)
    inner = source.edited((source.security.start, source.security.end, b""))
    inner = inner[Source(inner).envelope.start :]
    blocks = b"".join(
        without_identifiers(source.whole(one))
        for one in source.children(source.header)
        if one.tag.startswith("{http://x-road.eu/")
    )
    return (
        b'<asoap:Envelope xmlns:asoap="%s"><asoap:Header>%s%s%s</asoap:Header>%s</asoap:Envelope>'
        % (
            SOAP11.encode(),
            blocks,
            security,
            _NONCE % inner,
            without_identifiers(source.whole(source.body)).replace(OWN_NUMBER, EVIL_NUMBER),
        )
    )


WRAPPING.add(
    "the whole envelope in the Header of another",
    "XSW with the root itself: a search by name finds the inner signature.",
    "signature.missing",
    envelope_in_header,
    every_stack=True,
)
WRAPPING.add(
    "the whole envelope in the Body of another",
    "An unsigned envelope whose Body holds a signed one.",
    "signature.missing",
    envelope_in_body,
    every_stack=True,
)
WRAPPING.add(
    "the signature outside, everything signed in an inner envelope",
    "Every digest holds; nothing that is used is signed.",
    "signature.coverage",
    security_outside,
    every_stack=True,
)


# --- header blocks and the timestamp ---------------------------------------

BLOCK_CHANGES: dict[str, tuple[bytes, bytes]] = {
    "client": (b">H41<", b">H26<"),
    "service": (b"TraCuuThongTinCongDan", b"XacThucThongTinCongDan"),
    "id": (b"-1<", b"-2<"),
    "userId": (b"VN0117", b"VN0001"),
    "issue": (b"H41-2026-1", b"H41-2026-2"),
    "protocolVersion": (b"4.0", b"4.1"),
}
BLOCK_PLACES = (
    "a foreign header block",
    "a nested Envelope in the Header",
    "a Security header for another actor",
    "the Security header",
    "a ds:Object of the Signature",
)


def moved_part(stage: Stage, find: Callable[[Source], Span], new: bytes, place: Place) -> bytes:
    source = stage.source
    span = find(source)
    return source.edited(instead(span, new), place(source, source.whole(span)))


def moved_block(stage: Stage, name: str, place: Place) -> bytes:
    source = stage.source
    old, new = BLOCK_CHANGES[name]
    changed = without_identifiers(source.text(source.block(name))).replace(old, new)
    if name == "service":
        # The Body would contradict the header; what is signed of it must not matter first.
        changed = changed.replace(b">v1<", b">v2<").replace(new, old)
    return moved_part(stage, lambda one: one.block(name), changed, place)


for _block in BLOCK_CHANGES:
    for _place_name in BLOCK_PLACES:
        WRAPPING.add(
            f"{_block} moved into {_place_name}",
            f"Keeps the signed {_block} block elsewhere and says another {_block}.",
            "signature.coverage",
            partial(moved_block, name=_block, place=PLACES[_place_name]),
            source="X-Road Message Protocol 4.0 §2.2; WSS 1.1.1 §8",
            every_stack=True,
        )
    WRAPPING.add(
        f"{_block} twice, the signed one last",
        "For a hub that reads the first block and verifies the last.",
        "envelope.header-duplicate",
        applied(
            lambda stage, name: stage.source.edited(
                before(
                    stage.source.block(name),
                    without_identifiers(stage.source.text(stage.source.block(name))).replace(
                        *BLOCK_CHANGES[name]
                    ),
                )
            ),
            _block,
        ),
        source="X-Road Message Protocol 4.0 §2.2",
        every_stack=True,
    )


def hidden_block(stage: Stage, name: str, place: Place) -> bytes:
    source = stage.source
    span = source.block(name)
    return source.edited((span.start, span.end, b""), place(source, source.whole(span)))


for _block in ("userId", "issue"):
    for _place_name in (*BLOCK_PLACES, "the KeyInfo", "a ds:Manifest"):
        WRAPPING.add(
            f"{_block} hidden in {_place_name}",
            f"Keeps the signed {_block} where its digest holds and nobody reads it: the message "
            "then says nothing of it.",
            "signature.coverage",
            partial(hidden_block, name=_block, place=PLACES[_place_name]),
            source="WSS 1.1.1 §8; found by our own mutations",
            every_stack=True,
        )


def new_timestamp(stage: Stage, attribute: bytes = b"") -> bytes:
    return (
        b'<awsu:Timestamp xmlns:awsu="%s"%s><awsu:Created>2026-03-01T09:00:00Z</awsu:Created>'
        b"<awsu:Expires>2026-03-01T09:05:00Z</awsu:Expires></awsu:Timestamp>"
        % (WSU.encode(), attribute)
    )


TIMESTAMP_PLACES: dict[str, tuple[Place, str]] = {
    "a foreign element of the Security header": (
        PLACES["a foreign element of the Security header"],
        "signature.coverage",
    ),
    "a foreign header block": (PLACES["a foreign header block"], "signature.coverage"),
    "a ds:Object of the Signature": (PLACES["a ds:Object of the Signature"], "signature.coverage"),
    "the Security header, beside the new one": (
        PLACES["the Security header"],
        "signature.malformed",
    ),
    "the Header": (lambda s, part: at_end(s.header, part), "signature.coverage"),
}
for _place_name, (_place, _code) in TIMESTAMP_PLACES.items():
    WRAPPING.add(
        f"Timestamp moved into {_place_name}",
        "Makes an old message young: a new unsigned Timestamp where the hub looks.",
        _code,
        applied(
            lambda stage, place: moved_part(
                stage, lambda one: one.timestamp, new_timestamp(stage), place
            ),
            _place,
        ),
        source="WSS 1.1.1 §10",
        every_stack=True,
    )


# --- Ids ---------------------------------------

for _spelling_name, (_spelling, _code) in SPELLINGS.items():
    if not _spelling_name.startswith("the same"):
        continue
    IDS.add(
        f"a header block with {_spelling_name} as the Body",
        "Two elements answer to one Id: which one a verifier takes is chance.",
        _code if _code == "signature.malformed" else SAME,
        applied(
            lambda stage, spelling: stage.source.edited(
                at_end(
                    stage.source.header,
                    b'<w:w xmlns:w="urn:w"%s/>'
                    % spelling(identifier_of(stage.source, stage.source.body)),
                )
            ),
            _spelling,
        ),
        every_stack=True,
    )
    IDS.add(
        f"an element in the Security header with {_spelling_name} as the timestamp",
        "The same for the timestamp, within the header that is searched first.",
        _code if _code == "signature.malformed" else SAME,
        applied(
            lambda stage, spelling: stage.source.edited(
                at_start(
                    stage.source.security,
                    b'<w:w xmlns:w="urn:w"%s/>'
                    % spelling(identifier_of(stage.source, stage.source.timestamp)),
                )
            ),
            _spelling,
        ),
        every_stack=True,
    )

IDS.add(
    "the token's Id on a header block",
    "KeyInfo refers to an Id that two elements carry.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        at_start(
            stage.source.header,
            b'<w:w xmlns:w="urn:w"%s/>' % _wsu(identifier_of(stage.source, stage.source.token)),
        )
    ),
    every_stack=True,
    needs_token=True,
)
IDS.add(
    "an Id in an unsigned block that nobody refers to, twice",
    "Two blocks share a wsu:Id that no reference names.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        at_end(stage.source.header, b'<w:w xmlns:w="urn:w"%s/>' % _wsu("nobody") * 2)
    ),
    every_stack=True,
)
IDS.add(
    "the Body's wsu:Id renamed",
    "Nothing carries the Id that was signed.",
    "signature.coverage",
    lambda stage: stage.raw.replace(
        b'"%s"' % identifier_of(stage.source, stage.source.body).encode(), b'"renamed"', 1
    ),
    every_stack=True,
)
IDS.add(
    "a reference to the Id with a space before it",
    "An Id is compared letter by letter, not after trimming.",
    "signature.coverage",
    lambda stage: stage.signed(
        reference=lambda ref: ref.__class__(ref.uri.replace("#", "# "), of=ref.uri[1:])
    ),
)
