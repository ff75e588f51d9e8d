"""Signatures that are missing, doubled, somebody else's, or whose key is told in a trick."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signing import names
from signing.names import DS, SOAP11, WSSE
from tests.attacks.cases import EVIL_NUMBER, OWN_NUMBER, SAME, Group, Make, Stage, applied
from tests.attacks.forge import Hand, timestamp, token, token_reference
from tests.attacks.source import (
    Source,
    Span,
    after,
    at_end,
    before,
    identifier_of,
    out,
    with_attribute,
)
from tests.certificates import Issuer

STRIPPED = Group("missing, doubled and foreign signatures", "WSS 1.1.1 §6, §8")
TOKENS = Group("key confusion", "WSS X.509 Token Profile 1.1.1 §3; XML Signature 1.1 §4.5")
VALUES = Group("base64 and values", "XML Signature 1.1 §4.3; RFC 4648 §3.5")

_OTHER_ACTOR = b' xmlns:asoap="%s" asoap:actor="urn:someone-else"' % SOAP11.encode()
_WRAPPER = b'<w:w xmlns:w="urn:w">%s</w:w>'


def without(*find: Callable[[Source], Span]) -> Callable[[Stage], bytes]:
    """The message without these elements."""

    def make(stage: Stage) -> bytes:
        return stage.source.edited(*(out(one(stage.source)) for one in find))

    return make


def emptied(find: Callable[[Source], Span]) -> Callable[[Stage], bytes]:
    """The message with nothing in this element."""

    def make(stage: Stage) -> bytes:
        span = find(stage.source)
        return stage.source.edited((span.inner_start, span.inner_end, b""))

    return make


def doubled(find: Callable[[Source], Span]) -> Callable[[Stage], bytes]:
    """The message with this element twice."""

    def make(stage: Stage) -> bytes:
        span = find(stage.source)
        return stage.source.edited(after(span, stage.source.text(span)))

    return make


def ds(name: str) -> Callable[[Source], Span]:
    return lambda source: source.one(f"{{{DS}}}{name}")


for _name, _find, _code in (
    ("the Security header", lambda s: s.security, "signature.missing"),
    ("the Signature", lambda s: s.signature, "signature.missing"),
    ("SignedInfo", lambda s: s.signed_info, "signature.malformed"),
    ("SignatureValue", ds("SignatureValue"), "signature.malformed"),
    ("KeyInfo", lambda s: s.key_info, "signature.malformed"),
    ("the token", lambda s: s.token, "signature.malformed"),
    ("the Timestamp", lambda s: s.timestamp, "signature.malformed"),
    ("the first Reference", ds("Reference"), "signature.value-invalid"),
    ("DigestValue", ds("DigestValue"), "signature.malformed"),
    ("DigestMethod", ds("DigestMethod"), "signature.malformed"),
    ("CanonicalizationMethod", ds("CanonicalizationMethod"), "signature.malformed"),
    ("SignatureMethod", ds("SignatureMethod"), "signature.malformed"),
):
    STRIPPED.add(
        f"{_name} left out",
        f"Takes {_name} away, for a verifier that is content with what is there.",
        _code,
        without(_find),
        every_stack=True,
        needs_token=_name == "the token",
    )

for _name, _find, _code in (
    ("the Security header", lambda s: s.security, "signature.malformed"),
    ("the Signature", lambda s: s.signature, "signature.malformed"),
    ("SignedInfo", lambda s: s.signed_info, "signature.malformed"),
    ("SignatureValue", ds("SignatureValue"), "signature.value-invalid"),
    ("KeyInfo", lambda s: s.key_info, "signature.malformed"),
    ("the token", lambda s: s.token, "certificate.rejected"),
    ("DigestValue", ds("DigestValue"), "signature.value-invalid"),
):
    STRIPPED.add(
        f"{_name} emptied",
        f"Leaves {_name} in its place with nothing in it.",
        _code,
        emptied(_find),
        every_stack=True,
        needs_token=_name == "the token",
    )

for _name, _find, _code in (
    ("the Security header", lambda s: s.security, "envelope.header-duplicate"),
    ("the Signature", lambda s: s.signature, "signature.malformed"),
    ("SignedInfo", lambda s: s.signed_info, "signature.malformed"),
    ("SignatureValue", ds("SignatureValue"), "signature.malformed"),
    ("KeyInfo", lambda s: s.key_info, "signature.malformed"),
    ("the token", lambda s: s.token, "signature.malformed"),
    ("the Timestamp", lambda s: s.timestamp, "signature.malformed"),
    ("the first Reference", ds("Reference"), "signature.value-invalid"),
    ("DigestValue", ds("DigestValue"), "signature.malformed"),
    ("the token reference", lambda s: s.one(names.SECURITY_TOKEN_REFERENCE), "signature.malformed"),
):
    STRIPPED.add(
        f"{_name} twice",
        f"Doubles {_name}, for a verifier that checks one and uses the other.",
        _code,
        doubled(_find),
        every_stack=True,
        needs_token=_name == "the token",
    )


# --- moved signatures ----------------------------------------------------------------------


def moved(
    find: Callable[[Source], Span], place: Callable[[Source, bytes], tuple[int, int, bytes]]
) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        span = find(stage.source)
        return stage.source.edited(out(span), place(stage.source, stage.source.whole(span)))

    return make


STRIPPED.add(
    "the Security header within a foreign header block",
    "A signature that a search by name still finds.",
    "signature.missing",
    moved(lambda s: s.security, lambda s, part: at_end(s.header, _WRAPPER % part)),
    every_stack=True,
)
STRIPPED.add(
    "the Signature beside the Security header",
    "A signature directly in the Header.",
    "signature.missing",
    moved(lambda s: s.signature, lambda s, part: at_end(s.header, part)),
    every_stack=True,
)
STRIPPED.add(
    "the Signature in a wrapper of the Security header",
    "A signature one element too deep.",
    "signature.missing",
    moved(lambda s: s.signature, lambda s, part: at_end(s.security, _WRAPPER % part)),
    every_stack=True,
)
STRIPPED.add(
    "the Signature in the Body",
    "An enveloped signature where a detached one must stand.",
    "signature.missing",
    moved(lambda s: s.signature, lambda s, part: at_end(s.payload, part)),
    every_stack=True,
)
STRIPPED.add(
    "the Security header behind the Body",
    "A security header outside the Header.",
    "envelope.body-invalid",
    moved(lambda s: s.security, lambda s, part: after(s.body, part)),
    every_stack=True,
)
STRIPPED.add(
    "the Security header addressed to somebody else",
    "A header for another actor is not ours to verify, so nothing is.",
    "signature.missing",
    lambda stage: stage.source.edited(
        with_attribute(stage.source, stage.source.security, _OTHER_ACTOR)
    ),
    source="SOAP 1.1 §4.2.2; WSS 1.1.1 §6",
    every_stack=True,
)
STRIPPED.add(
    "an empty Security header before the signed one",
    "Two headers for one actor: the first says nothing, the second is signed.",
    "envelope.header-duplicate",
    lambda stage: stage.source.edited(
        before(stage.source.security, b'<awsse:Security xmlns:awsse="%s"/>' % WSSE.encode())
    ),
    source="WSS 1.1.1 §6",
    every_stack=True,
)
STRIPPED.add(
    "an empty Security header for us, the signed one for somebody else",
    "What is verified must stand in the header that is ours.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        before(stage.source.security, b'<awsse:Security xmlns:awsse="%s"/>' % WSSE.encode()),
        with_attribute(stage.source, stage.source.security, _OTHER_ACTOR),
    ),
    source="WSS 1.1.1 §6",
    every_stack=True,
)
STRIPPED.add(
    "a Security header of another namespace",
    "The namespace is one letter off, and the block must be understood.",
    "envelope.header-not-understood",
    lambda stage: stage.raw.replace(WSSE.encode(), WSSE.encode() + b"x"),
    every_stack=True,
)
STRIPPED.add(
    "a Signature of another namespace",
    "The namespace of XML Signature is one letter off.",
    "signature.missing",
    lambda stage: stage.raw.replace(b'"%s"' % DS.encode(), b'"%sx"' % DS.encode()),
    every_stack=True,
)
STRIPPED.add(
    "a header addressed to the next actor",
    "What is for the next node is for us: the same header, said otherwise.",
    SAME,
    lambda stage: stage.source.edited(
        with_attribute(
            stage.source,
            stage.source.security,
            b' xmlns:asoap="%s" asoap:actor="http://schemas.xmlsoap.org/soap/actor/next"'
            % SOAP11.encode(),
        )
    ),
    source="SOAP 1.1 §4.2.2",
    every_stack=True,
)


# --- somebody else's -----------------------------------------------------------------------


def with_security_of_other(stage: Stage) -> bytes:
    other = Source(stage.other.raw)
    return stage.source.replaced(stage.source.security, other.whole(other.security))


def body_of_other(stage: Stage) -> bytes:
    """Two messages of one sender, signed the same way: the Body of one in the other."""
    mine = stage.signed()
    theirs = Source(stage.signed(raw=stage.raw.replace(OWN_NUMBER, EVIL_NUMBER)))
    source = Source(mine)
    return source.replaced(source.body, theirs.text(theirs.body))


def block_of_other(name: str, old: bytes, new: bytes) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        mine = Source(stage.signed())
        changed = stage.raw.replace(old, new)
        assert changed != stage.raw
        theirs = Source(stage.signed(raw=changed))
        return mine.replaced(mine.block(name), theirs.text(theirs.block(name)))

    return make


STRIPPED.add(
    "the Security header of another message",
    "A valid signature over something else.",
    "signature.coverage",
    with_security_of_other,
    every_stack=True,
)
STRIPPED.add(
    "the Body of another message of the same sender",
    "Both are signed by the sender, each in its own message.",
    "signature.digest-mismatch",
    body_of_other,
)
for _block, _old, _new in (
    ("id", b"-1<", b"-2<"),
    ("issue", b"H41-2026-1", b"H41-2026-2"),
    ("userId", b"VN0117", b"VN0118"),
):
    STRIPPED.add(
        f"the {_block} of another message of the same sender",
        "Takes a header that the sender signed in another message.",
        "signature.digest-mismatch",
        block_of_other(_block, _old, _new),
    )
STRIPPED.add(
    "the Timestamp of a later message of the same sender",
    "Makes an old message young with a timestamp that the sender really signed.",
    "signature.digest-mismatch",
    lambda stage: Source(stage.signed()).replaced(
        Source(stage.signed()).timestamp,
        timestamp("2026-03-01T08:00:30Z", "2026-03-01T09:00:00Z").encode(),
    ),
)
STRIPPED.add(
    "another member's message under my client header",
    "A registered member signs as somebody else.",
    "sender.mismatch",
    lambda stage: stage.signed(hand=stage.hand("h26-rsa")),
    source="X-Road Message Protocol 4.0 §2.2",
)
STRIPPED.add(
    "signed by a second signature of another member",
    "Adds a valid signature of its own beside the sender's.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        at_end(
            stage.source.security,
            Source(theirs := stage.signed(hand=stage.hand("h26-rsa"))).whole(
                Source(theirs).signature
            ),
        )
    ),
)
STRIPPED.add(
    "a UsernameToken instead of a signature",
    "A password where a signature is asked for.",
    "signature.missing",
    lambda stage: stage.source.replaced(
        stage.source.signature,
        b'<awsse:UsernameToken xmlns:awsse="%s"><awsse:Username>VN/GOV/H41</awsse:Username>'
        b"<awsse:Password>x</awsse:Password></awsse:UsernameToken>" % WSSE.encode(),
    ),
    source="WSS UsernameToken Profile 1.1.1",
    every_stack=True,
)
STRIPPED.add(
    "a SAML assertion instead of a signature",
    "An assertion of nobody in particular.",
    "signature.missing",
    lambda stage: stage.source.replaced(
        stage.source.signature,
        b'<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" ID="a"/>',
    ),
    every_stack=True,
)


def _unsigned(stage: Stage, value: bytes) -> bytes:
    security = (
        b'<awsse:Security xmlns:awsse="%s" xmlns:asoap="%s" asoap:mustUnderstand="%s">%s'
        b"</awsse:Security>"
        % (
            WSSE.encode(),
            SOAP11.encode(),
            value,
            stage.source.whole(stage.source.timestamp),
        )
    )
    return stage.source.replaced(stage.source.security, security)


for _value in (b"0", b"1"):
    STRIPPED.add(
        f"an unsigned message that sets mustUnderstand={_value.decode()} on Security",
        "Whether it must be understood does not decide whether it must be signed.",
        "signature.missing",
        partial(_unsigned, value=_value),
        every_stack=True,
    )


# --- the key -------------------------------------------------------------------------------


def with_tokens(stage: Stage, *, refers_to: str, signs: str) -> bytes:
    """Two tokens in the header; KeyInfo refers to one, another key signs."""
    mine, theirs = stage.hand("h41-rsa"), stage.hand("h26-rsa")
    hands = {"mine": mine, "theirs": theirs}
    return stage.signed(
        hand=hands[signs],
        token=token(mine.certificate, "t-mine") + token(theirs.certificate, "t-theirs"),
        key_info=token_reference(f"t-{refers_to}"),
    )


TOKENS.add(
    "two tokens, signed by the one that KeyInfo refers to, which is not the client's",
    "Puts the client's certificate first and signs with its own.",
    "sender.mismatch",
    partial(with_tokens, refers_to="theirs", signs="theirs"),
)
TOKENS.add(
    "two tokens, KeyInfo refers to the client's, another key signs",
    "Sends the client's certificate along and hopes that the first token verifies.",
    "signature.value-invalid",
    partial(with_tokens, refers_to="mine", signs="theirs"),
)
TOKENS.add(
    "two tokens, signed by the one that KeyInfo refers to",
    "A token too much is nobody's; what is referred to decides.",
    SAME,
    partial(with_tokens, refers_to="mine", signs="mine"),
)
for _name, _content in {
    "no token reference": "<ads:KeyName>VN/GOV/H41</ads:KeyName>",
    "an empty reference": (
        "<awsse:SecurityTokenReference><awsse:Reference/></awsse:SecurityTokenReference>"
    ),
    "an external reference": (
        "<awsse:SecurityTokenReference><awsse:Reference "
        'URI="http://127.0.0.1:9/certificate"/></awsse:SecurityTokenReference>'
    ),
    "a reference to a file": (
        "<awsse:SecurityTokenReference><awsse:Reference "
        'URI="file:///etc/passwd"/></awsse:SecurityTokenReference>'
    ),
    "a reference to an XPointer": (
        "<awsse:SecurityTokenReference><awsse:Reference "
        "URI=\"#xpointer(id('f-token'))\"/></awsse:SecurityTokenReference>"
    ),
    "a reference without #": (
        '<awsse:SecurityTokenReference><awsse:Reference URI="f-token"/>'
        "</awsse:SecurityTokenReference>"
    ),
    "two references": (
        '<awsse:SecurityTokenReference><awsse:Reference URI="#f-token"/>'
        '<awsse:Reference URI="#f-token"/></awsse:SecurityTokenReference>'
    ),
    "two token references": token_reference() * 2,
    "a reference to the Timestamp": token_reference("f-timestamp"),
    "a RetrievalMethod": (
        '<ads:RetrievalMethod URI="http://127.0.0.1:9/" '
        'Type="http://www.w3.org/2000/09/xmldsig#X509Data"/>'
    ),
    "a reference through another reference": (
        '<awsse:SecurityTokenReference awsu:Id="f-again"><awsse:Reference URI="#f-again"/>'
        "</awsse:SecurityTokenReference>"
    ),
}.items():
    TOKENS.add(
        f"KeyInfo with {_name}",
        "KeyInfo must lead to one token of this header, in one way.",
        "signature.malformed",
        applied(lambda stage, content: stage.signed(key_info=content), _content),
    )


def key_value(stage: Stage) -> str:
    numbers = stage.hand().key.public_key().public_numbers()
    return (
        "<ads:KeyValue><ads:RSAKeyValue>"
        f"<ads:Modulus>{_number(numbers.n)}</ads:Modulus>"
        f"<ads:Exponent>{_number(numbers.e)}</ads:Exponent>"
        "</ads:RSAKeyValue></ads:KeyValue>"
    )


def _number(value: int) -> str:
    return base64.b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


TOKENS.add(
    "a KeyValue instead of a certificate",
    "A key without a certificate: a verifier that takes it trusts everybody.",
    "signature.malformed",
    lambda stage: stage.signed(key_info=key_value(stage), token=""),
)
TOKENS.add(
    "an attacker's KeyValue before the reference to the client's token",
    "Signs with a key of its own, tells it in KeyValue, and refers to the client's token besides.",
    "signature.value-invalid",
    lambda stage: stage.signed(
        hand=Hand(stage.hand("h26-rsa").key, stage.hand().certificate),
        key_info=key_value(stage) + token_reference(),
    ),
)


def self_made(stage: Stage) -> Hand:
    """A certificate that says what the member's says, signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = stage.issued(key)
    return stage.issued_by(Issuer(key, x509.load_der_x509_certificate(own.certificate)), key)


TOKENS.add(
    "a self-made certificate with the member's subject",
    "Everything that the member's certificate says, signed by nobody.",
    "certificate.rejected",
    lambda stage: stage.signed(hand=self_made(stage)),
    source="RFC 5280 §6.1",
)
TOKENS.add(
    "the client's token in KeyInfo, an attacker's key in X509Data",
    "Two ways to a key in one KeyInfo.",
    "signature.malformed",
    lambda stage: stage.signed(
        hand=Hand(stage.hand("h26-rsa").key, stage.hand().certificate),
        key_info=token_reference()
        + "<ads:X509Data><ads:X509Certificate>"
        + base64.b64encode(self_made(stage).certificate).decode()
        + "</ads:X509Certificate></ads:X509Data>",
    ),
)


def token_elsewhere(place: Callable[[Source, bytes], tuple[int, int, bytes]]) -> Make:
    return moved(lambda s: s.token, place)


for _name, _place in {
    "a foreign header block": lambda s, part: at_end(s.header, _WRAPPER % part),
    "the Header": lambda s, part: at_end(s.header, part),
    "a wrapper in the Security header": lambda s, part: at_end(s.security, _WRAPPER % part),
    "the Signature": lambda s, part: at_end(s.signature, part),
    "a Security header for another actor": lambda s, part: at_end(
        s.header,
        b'<awsse:Security xmlns:awsse="%s"%s>%s</awsse:Security>'
        % (WSSE.encode(), _OTHER_ACTOR, part),
    ),
}.items():
    TOKENS.add(
        f"the token in {_name}",
        "A token that is not in the header that it serves.",
        "signature.malformed",
        token_elsewhere(_place),
        source="WSS X.509 Token Profile 1.1.1 §3.2",
        every_stack=True,
        needs_token=True,
    )

for _name, _kind, _other_kind, _code in (
    (
        "a PKCS #7 ValueType",
        names.X509_V3,
        names.X509_V3.replace("X509v3", "PKCS7"),
        "certificate.rejected",
    ),
    (
        "a PKIPath ValueType",
        names.X509_V3,
        names.X509_V3.replace("X509v3", "X509PKIPathv1"),
        "certificate.rejected",
    ),
    (
        "an X.509 v1 ValueType",
        names.X509_V3,
        names.X509_V3.replace("X509v3", "X509v1"),
        "signature.malformed",
    ),
    ("an empty ValueType", names.X509_V3, "", "signature.malformed"),
    (
        "a hexadecimal EncodingType",
        names.BASE64_BINARY,
        names.BASE64_BINARY[:-12] + "HexBinary",
        "signature.malformed",
    ),
):
    TOKENS.add(
        f"a token of {_name}",
        "Says that the certificate is to be read in another way.",
        _code,
        applied(
            lambda stage, old, new: stage.signed(
                token=token(stage.hand().certificate).replace(f'"{old}"', f'"{new}"')
            ),
            _kind,
            _other_kind,
        ),
        source="WSS X.509 Token Profile 1.1.1 §3.1",
    )
for _name, _bytes in {
    "no certificate": b"hello",
    "a certificate cut off": None,
    "a certificate with bytes behind it": None,
    "a PEM text": None,
    "a public key": None,
    "17 KB of zeros": bytes(17 * 1024),
    "a deep nest of sequences": b"\x30\x80" * 4000,
}.items():

    def _odd_token(stage: Stage, name: str = _name, content: bytes | None = _bytes) -> bytes:
        good = stage.hand().certificate
        odd = {
            "a certificate cut off": good[:-20],
            "a certificate with bytes behind it": good + b"\0\0",
            "a PEM text": b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(good),
            "a public key": stage.hand()
            .key.public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        }.get(name, content)
        assert odd is not None
        return stage.signed(token=token(odd))

    TOKENS.add(
        f"a token that holds {_name}",
        "Bytes that are no certificate, or more than one.",
        "certificate.rejected",
        _odd_token,
        source="RFC 5280 §4.1",
    )


_HARD_NAMES = {
    "4,000 spaces": "CN=" + " " * 4_000 + "&quot;",
    "2,000 words": "CN=" + " a" * 2_000 + "&quot;",
    "2,000 escapes": "CN=&quot;" + "\\a" * 2_000,
    "a number of 4,000 parts": "1." * 2_000,
    "5,000 letters": "CN=" + "a" * 5_000,
    "a value in BER that is none": "CN=#3080308030",
    "a deep value in BER": "CN=#" + "3080" * 1_000,
}
for _name, _text in _HARD_NAMES.items():
    TOKENS.add(
        f"a certificate named by a subject of {_name}",
        "A name that takes long to read, before anybody is proved.",
        "signature.malformed",
        applied(
            lambda stage, text: stage.signed(
                token="",
                key_info="<awsse:SecurityTokenReference><ads:X509Data>"
                f"<ads:X509SubjectName>{text}</ads:X509SubjectName></ads:X509Data>"
                "</awsse:SecurityTokenReference>",
            ),
            _text,
        ),
        source="CWE-1333; RFC 4514",
    )


def named_by(content: str) -> Callable[[Stage], bytes]:
    """KeyInfo that only names a certificate."""
    return lambda stage: stage.signed(
        token="",
        key_info=f"<awsse:SecurityTokenReference>{content}</awsse:SecurityTokenReference>",
    )


_KEY_IDENTIFIER = "oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier"
_THUMBPRINT = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
for _name, _content, _code in (
    (
        "a key identifier that nobody has",
        (
            '<awsse:KeyIdentifier ValueType="http://docs.oasis-open.org/wss/2004/01/'
            f'{_KEY_IDENTIFIER}">AAAA</awsse:KeyIdentifier>'
        ),
        "certificate.rejected",
    ),
    (
        "an empty key identifier",
        (
            '<awsse:KeyIdentifier ValueType="http://docs.oasis-open.org/wss/2004/01/'
            f'{_KEY_IDENTIFIER}"/>'
        ),
        "certificate.rejected",
    ),
    (
        "a key identifier of no kind",
        "<awsse:KeyIdentifier>AAAA</awsse:KeyIdentifier>",
        "signature.malformed",
    ),
    (
        "a thumbprint cut off",
        f'<awsse:KeyIdentifier ValueType="{_THUMBPRINT}">AAAA</awsse:KeyIdentifier>',
        "certificate.rejected",
    ),
    (
        "a serial number of 10,000 digits",
        (
            "<ads:X509Data><ads:X509IssuerSerial><ads:X509IssuerName>CN=a</ads:X509IssuerName>"
            f"<ads:X509SerialNumber>{'9' * 10_000}</ads:X509SerialNumber></ads:X509IssuerSerial>"
            "</ads:X509Data>"
        ),
        "signature.malformed",
    ),
    (
        "a serial number in Arabic digits",
        (
            "<ads:X509Data><ads:X509IssuerSerial><ads:X509IssuerName>CN=a</ads:X509IssuerName>"
            "<ads:X509SerialNumber>\u0661\u0662</ads:X509SerialNumber></ads:X509IssuerSerial>"
            "</ads:X509Data>"
        ),
        "signature.malformed",
    ),
    ("empty X509Data", "<ads:X509Data/>", "signature.malformed"),
    (
        "a revocation list only",
        "<ads:X509Data><ads:X509CRL>AAAA</ads:X509CRL></ads:X509Data>",
        "signature.malformed",
    ),
    (
        "20,000 names",
        "<ads:X509Data>"
        + "<ads:X509SubjectName>CN=a</ads:X509SubjectName>" * 20_000
        + "</ads:X509Data>",
        "signature.malformed",
    ),
    (
        "2,000 certificates",
        "<ads:X509Data>"
        + "<ads:X509Certificate>AAAA</ads:X509Certificate>" * 2_000
        + "</ads:X509Data>",
        "signature.malformed",
    ),
    (
        "a token within a token reference within another",
        (
            "<awsse:SecurityTokenReference><awsse:Reference URI='#f-token'/>"
            "</awsse:SecurityTokenReference>"
        ),
        "signature.malformed",
    ),
    (
        "an embedded text",
        "<awsse:Embedded>MIIB</awsse:Embedded>",
        "signature.malformed",
    ),
):
    TOKENS.add(
        f"a certificate named by {_name}",
        "A name that leads nowhere, or takes long to follow.",
        _code,
        named_by(_content),
        source="WSS X.509 Token Profile 1.1.1 §3.2; WSS 1.1.1 §7",
    )


def other_known_certificate(stage: Stage, *, signs: str, named: str) -> bytes:
    """Names one certificate that the hub knows, and signs by another key."""
    certificate = x509.load_der_x509_certificate(stage.hand(named).certificate)
    identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    text = base64.b64encode(identifier).decode()
    return stage.signed(
        hand=stage.hand(signs),
        token="",
        key_info="<awsse:SecurityTokenReference><awsse:KeyIdentifier "
        f'ValueType="http://docs.oasis-open.org/wss/2004/01/{_KEY_IDENTIFIER}">{text}'
        "</awsse:KeyIdentifier></awsse:SecurityTokenReference>",
    )


TOKENS.add(
    "a key identifier of the client's certificate, another key signs",
    "Names a certificate that the hub knows and does not have its key.",
    "signature.value-invalid",
    partial(other_known_certificate, signs="h26-rsa", named="h41-rsa"),
)
TOKENS.add(
    "a key identifier of another certificate of the same member",
    "Two certificates of one member: the one that is named must be the one that signed.",
    "signature.algorithm-forbidden",
    partial(other_known_certificate, signs="h41-p256", named="h41-rsa"),
)


# --- the value -----------------------------------------------------------------------------


def hmac_with(secret: Callable[[Stage], bytes], hash_name: str) -> Callable[[Stage], bytes]:
    """Signs by a secret that everybody knows, and says that it is an HMAC."""

    def make(stage: Stage) -> bytes:
        return stage.signed(
            algorithm=f"http://www.w3.org/2001/04/xmldsig-more#hmac-{hash_name}",
            signer=lambda _, __, data: hmac.digest(secret(stage), data, hash_name),
        )

    return make


for _name, _secret in {
    "the certificate": lambda stage: stage.hand().certificate,
    "the public key": lambda stage: (
        stage.hand().key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "nothing": lambda stage: b"",
}.items():
    TOKENS.add(
        f"an HMAC under {_name}",
        "Confuses a verifier that takes the key for a secret.",
        "signature.algorithm-forbidden",
        hmac_with(_secret, "sha256"),
        source="XML Signature Best Practices §2.1; CVE-2009-0217",
    )
TOKENS.add(
    "an HMAC cut to one bit",
    "HMACOutputLength of 1: every second value fits.",
    "signature.algorithm-forbidden",
    lambda stage: stage.signed(
        algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        method_content="<ads:HMACOutputLength>1</ads:HMACOutputLength>",
        signer=lambda _, __, data: hashlib.sha1(data).digest()[:1],
    ),
    source="CVE-2009-0217",
)


def value_replaced(change: Callable[[bytes], bytes]) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        span = stage.source.one(names.SIGNATURE_VALUE)
        value = b"".join(stage.source.inner(span).split()).replace(b"&#13;", b"")
        return stage.source.edited((span.inner_start, span.inner_end, change(value)))

    return make


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _loose_bits(value: bytes) -> bytes:
    """Other letters for the same bytes: the bits behind the last byte are set."""
    last = value.rstrip(b"=")
    place = _ALPHABET.index(last[-1:])
    return last[:-1] + _ALPHABET[place + 1 : place + 2] + value[len(last) :]


for _name, _change, _code in (
    ("white space in it", lambda value: b" \n\t " + value[:9] + b"\n" + value[9:], SAME),
    ("a comment in it", lambda value: value[:9] + b"<!-- -->" + value[9:], SAME),
    ("CDATA around it", lambda value: b"<![CDATA[" + value + b"]]>", SAME),
    ("loose bits behind the last byte", _loose_bits, "signature.malformed"),
    ("no padding", lambda value: value.rstrip(b"="), "signature.malformed"),
    ("padding in the middle", lambda value: value[:8] + b"=" + value[8:], "signature.malformed"),
    ("padding of its own behind", lambda value: value + b"====", "signature.malformed"),
    ("no-break spaces", lambda v: v[:8] + "\u00a0".encode() + v[8:], "signature.malformed"),
    ("an em space", lambda v: v[:8] + "\u2003".encode() + v[8:], "signature.malformed"),
    ("zero-width spaces", lambda v: v[:8] + "\u200b".encode() + v[8:], "signature.malformed"),
    (
        "letters of full width",
        lambda value: "".join(chr(ord(one) + 0xFEE0) for one in value.decode()).encode(),
        "signature.malformed",
    ),
    ("the alphabet of URLs", lambda value: b"-_" + value[2:], "signature.malformed"),
    ("an element in it", lambda value: value[:8] + b"<a/>" + value[8:], "signature.malformed"),
    (
        "hexadecimal",
        lambda value: base64.b64decode(value).hex().encode(),
        "signature.value-invalid",
    ),
    ("4 MB of letters", lambda _: b"QUFB" * 1_000_000, "signature.value-invalid"),
):
    VALUES.add(
        f"a SignatureValue with {_name}",
        "Other letters for a signature: the same bytes and only those may pass.",
        _code,
        value_replaced(_change),
        every_stack="padding" not in _name and "loose" not in _name,
    )
VALUES.add(
    "a token with loose bits behind the last byte",
    "Another spelling of the same certificate.",
    "signature.malformed",
    lambda stage: stage.source.edited(
        (
            stage.source.token.inner_start,
            stage.source.token.inner_end,
            _padded_loosely(stage.source.inner(stage.source.token)),
        )
    ),
)


def _padded_loosely(value: bytes) -> bytes:
    text = b"".join(value.split())
    return _loose_bits(text) if text.endswith(b"=") else text + b"A"


for _name, _digest in {
    "empty": b"",
    "one byte short": bytes(31),
    "one byte long": bytes(33),
    "all zeros": bytes(32),
    "of SHA-1's length": bytes(20),
}.items():
    VALUES.add(
        f"a digest that is {_name}",
        "Signed by the member, wrong all the same: a digest is compared whole.",
        "signature.digest-mismatch",
        applied(
            lambda stage, value: stage.signed(reference=lambda ref: replace(ref, digest=value)),
            _digest,
        ),
        source="XML Signature 1.1 §3.2.1",
    )


def cut_digest(stage: Stage) -> bytes:
    """The digest's first bytes, which are right."""
    whole = Source(stage.signed())
    first = base64.b64decode(whole.inner(whole.one(names.DIGEST_VALUE)))
    identifier = identifier_of(stage.source, stage.source.body)
    return stage.signed(
        reference=lambda ref: replace(ref, digest=first[:16]) if ref.uri[1:] == identifier else ref
    )


VALUES.add(
    "a digest cut to its first half",
    "A comparison that stops at the shorter one would take it.",
    "signature.digest-mismatch",
    cut_digest,
    source="XML Signature 1.1 §3.2.1",
)
