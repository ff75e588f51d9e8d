"""Weak algorithms, weak keys, forged values; transforms and references that say something else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signing import policy as uri
from signing.names import DS, EXCLUSIVE_C14N
from tests.attacks.cases import SAME, Group, Stage, applied
from tests.attacks.forge import EXCLUSIVE, Hand, Ref, raw_ecdsa
from tests.attacks.source import identifier_of
from tests.attacks.x509 import altered, edwards_public_key, rsa_public_key, with_public_key

ALGORITHMS = Group("weak algorithms", "XML Signature 1.1 §6; RFC 9231 §2; NIST SP 800-131A")
WEAK_KEYS = Group("weak keys and forged values", "NIST SP 800-57; FIPS 186-5")
TRANSFORMS = Group("transforms", "XML Signature Best Practices §2.1; WSS 1.1.1 §8.1")
REFERENCES = Group("references", "XML Signature 1.1 §4.4.3")

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_FORBIDDEN = "signature.algorithm-forbidden"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _sign_with(hash_algorithm: hashes.HashAlgorithm) -> Callable[[Hand, str, bytes], bytes]:
    def sign(hand: Hand, _: str, data: bytes) -> bytes:
        if isinstance(hand.key, rsa.RSAPrivateKey):
            return hand.key.sign(data, padding.PKCS1v15(), hash_algorithm)
        return raw_ecdsa(hand.key.sign(data, ec.ECDSA(hash_algorithm)), 32)

    return sign


for _name, _uri, _hash, _key in (
    ("RSA with SHA-1", f"{DS}rsa-sha1", hashes.SHA1(), "h41-rsa"),
    ("RSA with MD5", f"{_MORE}rsa-md5", hashes.MD5(), "h41-rsa"),
    ("RSA with SHA-224", f"{_MORE}rsa-sha224", hashes.SHA224(), "h41-rsa"),
    ("RSA with RIPEMD-160", f"{_MORE}rsa-ripemd160", hashes.SHA1(), "h41-rsa"),
    ("ECDSA with SHA-1", f"{_MORE}ecdsa-sha1", hashes.SHA1(), "h41-p256"),
    ("ECDSA with SHA-224", f"{_MORE}ecdsa-sha224", hashes.SHA224(), "h41-p256"),
    ("DSA with SHA-1", f"{DS}dsa-sha1", hashes.SHA1(), "h41-p256"),
    ("no algorithm at all", "", hashes.SHA256(), "h41-rsa"),
    ("an algorithm named none", "none", hashes.SHA256(), "h41-rsa"),
    ("a digest named as signature", uri.DIGEST_SHA256, hashes.SHA256(), "h41-rsa"),
    ("RSA-SHA256 in capitals", uri.RSA_SHA256.upper(), hashes.SHA256(), "h41-rsa"),
    ("RSA-SHA256 and a space", f"{uri.RSA_SHA256} ", hashes.SHA256(), "h41-rsa"),
    ("RSA-SHA256 over https", uri.RSA_SHA256.replace("http", "https"), hashes.SHA256(), "h41-rsa"),
    (
        "RSA-SHA256 escaped",
        uri.RSA_SHA256.replace("rsa-sha", "rsa%2dsha"),
        hashes.SHA256(),
        "h41-rsa",
    ),
):
    ALGORITHMS.add(
        f"a signature by {_name}",
        "Signs by what can be forged, or by what a careless table takes for something else.",
        _FORBIDDEN,
        applied(
            lambda stage, how, hash_algorithm, key: stage.signed(
                hand=stage.hand(key), algorithm=how, signer=_sign_with(hash_algorithm)
            ),
            _uri,
            _hash,
            _key,
        ),
    )

for _name, _uri in (
    ("SHA-1", f"{DS}sha1"),
    ("MD5", f"{_MORE}md5"),
    ("SHA-224", f"{_MORE}sha224"),
    ("RIPEMD-160", "http://www.w3.org/2001/04/xmlenc#ripemd160"),
    ("nothing", ""),
    ("a signature algorithm", uri.RSA_SHA256),
    ("SHA-256 in capitals", uri.DIGEST_SHA256.upper()),
):
    ALGORITHMS.add(
        f"digests by {_name}",
        "A digest under which another Body can be found.",
        _FORBIDDEN,
        applied(
            lambda stage, how: stage.signed(
                reference=lambda ref: replace(ref, digest_algorithm=how)
            ),
            _uri,
        ),
    )
    ALGORITHMS.add(
        f"one digest of many by {_name}",
        "One weak reference is enough, if it is the Body's.",
        _FORBIDDEN,
        applied(
            lambda stage, how: stage.signed(
                reference=lambda ref: (
                    replace(ref, digest_algorithm=how) if ref.uri == "#f-timestamp" else ref
                )
            ),
            _uri,
        ),
    )

ALGORITHMS.add(
    "the algorithm exchanged in a signed message",
    "Changes only the name of the algorithm.",
    "signature.value-invalid",
    lambda stage: stage.raw.replace(b"#rsa-sha256", b"#rsa-sha512"),
)
for _claimed in (uri.ECDSA_SHA256, uri.ED25519):
    ALGORITHMS.add(
        f"an RSA signature named {_claimed.rpartition('#')[2]}",
        "The algorithm is of another kind than the certificate's key.",
        _FORBIDDEN,
        applied(
            lambda stage, claimed: stage.signed(
                algorithm=claimed, signer=_sign_with(hashes.SHA256())
            ),
            _claimed,
        ),
    )
ALGORITHMS.add(
    "an ECDSA signature named rsa-sha256",
    "The algorithm is of another kind than the certificate's key.",
    _FORBIDDEN,
    lambda stage: stage.signed(
        hand=stage.hand("h41-p256"),
        algorithm=uri.RSA_SHA256,
        signer=_sign_with(hashes.SHA256()),
    ),
)


# --- PSS -----------------------------------------------------------------------------------


def _pss(mask: hashes.HashAlgorithm, salt_bytes: int) -> Callable[[Hand, str, bytes], bytes]:
    return lambda hand, _, data: hand.key.sign(
        data, padding.PSS(padding.MGF1(mask), salt_bytes), hashes.SHA256()
    )


for _name, _mask, _salt in (
    ("no salt", hashes.SHA256(), 0),
    ("a salt of 20 bytes", hashes.SHA256(), 20),
    ("the longest salt", hashes.SHA256(), 222),
    ("a mask by SHA-1", hashes.SHA1(), 32),
    ("a mask by SHA-512", hashes.SHA512(), 32),
):
    ALGORITHMS.add(
        f"RSA-PSS with {_name}",
        "Parameters other than the ones that the identifier fixes.",
        "signature.value-invalid",
        applied(
            lambda stage, mask, salt: stage.signed(
                algorithm=uri.RSA_PSS_SHA256, signer=_pss(mask, salt)
            ),
            _mask,
            _salt,
        ),
        source="RFC 9231 §2.3.10",
    )
ALGORITHMS.add(
    "RSA-PSS with parameters of its own",
    "The identifier whose parameters the sender chooses.",
    _FORBIDDEN,
    lambda stage: stage.signed(
        algorithm="http://www.w3.org/2007/05/xmldsig-more#rsa-pss",
        method_content=(
            '<p:RSAPSSParams xmlns:p="http://www.w3.org/2007/05/xmldsig-more#">'
            "<p:SaltLength>0</p:SaltLength></p:RSAPSSParams>"
        ),
        signer=_pss(hashes.SHA256(), 0),
    ),
    source="RFC 9231 §2.3.9",
)
ALGORITHMS.add(
    "a signature method with parameters",
    "Something within SignatureMethod that the identifier does not have.",
    "signature.malformed",
    lambda stage: stage.signed(method_content="<ads:HMACOutputLength>8</ads:HMACOutputLength>"),
    source="XML Signature 1.1 §4.4.2",
)


# --- canonicalisation ------------------------------------------------------------------------

_FORMS = {
    "inclusive C14N": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "inclusive C14N with comments": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "C14N 1.1": "http://www.w3.org/2006/12/xml-c14n11",
    "C14N 2.0": "http://www.w3.org/2010/xml-c14n2",
    "exclusive C14N with comments": f"{EXCLUSIVE_C14N}WithComments",
    "minimal canonicalisation": f"{DS}minimal",
    "no form": "",
}
for _name, _uri in _FORMS.items():
    TRANSFORMS.add(
        f"SignedInfo in {_name}",
        "A form under which two documents sign alike, or comments count.",
        _FORBIDDEN,
        applied(lambda stage, form: stage.signed(canonicalisation=form), _uri),
        source="XML Signature 1.1 §6.5; Exclusive XML Canonicalization 1.0",
    )

_EVERYTHING = "<ads:XPath>true()</ads:XPath>"
_XSLT = (
    '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">'
    '<x:template match="/"><x:value-of select="document(\'file:///etc/passwd\')"/></x:template>'
    "</x:stylesheet>"
)
_LOOPING_XSLT = (
    '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">'
    '<x:template match="/"><x:for-each select="//. | //@*"><x:for-each select="//. | //@*">'
    '<x:for-each select="//. | //@*"><x/></x:for-each></x:for-each></x:for-each></x:template>'
    "</x:stylesheet>"
)
_FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"


def _transform(algorithm: str, content: str = "") -> str:
    return f'<ads:Transform Algorithm="{algorithm}">{content}</ads:Transform>'


_TRANSFORMS = {
    "XSLT that reads a file": _transform("http://www.w3.org/TR/1999/REC-xslt-19991116", _XSLT),
    "XSLT that never ends": _transform(
        "http://www.w3.org/TR/1999/REC-xslt-19991116", _LOOPING_XSLT
    ),
    "XPath": _transform("http://www.w3.org/TR/1999/REC-xpath-19991116", _EVERYTHING),
    "XPath that chooses nothing": _transform(
        "http://www.w3.org/TR/1999/REC-xpath-19991116", "<ads:XPath>false()</ads:XPath>"
    ),
    "XPath that counts everything against everything": _transform(
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "<ads:XPath>count(//. | //@* | //namespace::*) > count(//.//.//.)</ads:XPath>",
    ),
    "XPath Filter 2.0": _transform(
        _FILTER2, f'<f:XPath xmlns:f="{_FILTER2}" Filter="intersect">//*</f:XPath>'
    ),
    "XPointer": _transform("http://www.w3.org/TR/2001/WD-xptr-20010108"),
    "base64": _transform(f"{DS}base64"),
    "decryption": _transform("http://www.w3.org/2002/07/decrypt#XML"),
    "inclusive C14N": _transform(_FORMS["inclusive C14N"]),
    "inclusive C14N with comments": _transform(_FORMS["inclusive C14N with comments"]),
    "exclusive C14N with comments": _transform(_FORMS["exclusive C14N with comments"]),
    "C14N 1.1": _transform(_FORMS["C14N 1.1"]),
    "an unknown transform": _transform("urn:unknown"),
    "a transform without name": _transform(""),
    "exclusive C14N twice": EXCLUSIVE * 2,
    "exclusive C14N, then XPath": EXCLUSIVE
    + _transform("http://www.w3.org/TR/1999/REC-xpath-19991116", _EVERYTHING),
    "XSLT, then exclusive C14N": _transform("http://www.w3.org/TR/1999/REC-xslt-19991116", _XSLT)
    + EXCLUSIVE,
    "a hundred transforms": EXCLUSIVE * 100,
}
for _name, _content in _TRANSFORMS.items():
    TRANSFORMS.add(
        f"a reference through {_name}",
        "What is signed is what a transform makes of the element, not the element.",
        _FORBIDDEN if _content.count("<ads:Transform ") == 1 else "signature.malformed",
        applied(
            lambda stage, content: stage.signed(
                reference=lambda ref: replace(ref, transforms=content)
            ),
            _content,
        ),
    )
TRANSFORMS.add(
    "the Body alone through XPath",
    "One transform among many plain references.",
    _FORBIDDEN,
    lambda stage: stage.signed(
        reference=lambda ref: (
            replace(ref, transforms=_TRANSFORMS["XPath"])
            if ref.uri[1:] == identifier_of(stage.source, stage.source.body)
            else ref
        )
    ),
)
TRANSFORMS.add(
    "a reference with an empty list of transforms",
    "Without a transform an element is canonicalised inclusively.",
    "signature.malformed",
    lambda stage: stage.signed(reference=lambda ref: replace(ref, transforms=" ")),
    source="XML Signature 1.1 §4.4.3.2",
)
TRANSFORMS.add(
    "a reference without transforms",
    "Without a transform an element is canonicalised inclusively.",
    "signature.malformed",
    lambda stage: stage.signed(reference=lambda ref: replace(ref, transforms="")),
    source="XML Signature 1.1 §4.4.3.2",
)
_INCLUSIVE = '<ec:InclusiveNamespaces xmlns:ec="{}" PrefixList="{}"/>'
for _name, _prefixes in {
    "10,000 prefixes": " ".join(f"p{number}" for number in range(10_000)),
    "a prefix of 100,000 letters 40 times": " ".join("p" * 100_000 for _ in range(40)),
}.items():
    TRANSFORMS.add(
        f"a canonicalisation with {_name}",
        "Makes canonicalisation slow.",
        "signature.malformed",
        applied(
            lambda stage, prefixes: stage.signed(
                canonicalisation_content=_INCLUSIVE.format(EXCLUSIVE_C14N, prefixes)
            ),
            _prefixes,
        ),
        source="Exclusive XML Canonicalization 1.0 §4",
    )
TRANSFORMS.add(
    "a canonicalisation with two lists of prefixes",
    "Two lists: a verifier takes the first, another one the last.",
    "signature.malformed",
    lambda stage: stage.signed(
        canonicalisation_content=_INCLUSIVE.format(EXCLUSIVE_C14N, "a")
        + _INCLUSIVE.format(EXCLUSIVE_C14N, "b")
    ),
    source="Exclusive XML Canonicalization 1.0 §4",
)
TRANSFORMS.add(
    "a canonicalisation with a foreign element",
    "Parameters that the form does not have.",
    "signature.malformed",
    lambda stage: stage.signed(canonicalisation_content="<x xmlns='urn:x'/>"),
)


# --- references ------------------------------------------------------------------------------

for _name, _uri, _code in (
    ("the whole document", "", "signature.malformed"),
    ("nothing", "#", "signature.malformed"),
    ("the root by XPointer", "#xpointer(/)", "signature.coverage"),
    ("an Id by XPointer", "#xpointer(id('BODY'))", "signature.coverage"),
    ("an element by path", "#element(/1/2)", "signature.coverage"),
    ("a web address", "http://127.0.0.1:9/body.xml", "signature.malformed"),
    ("a web address with an Id", "http://127.0.0.1:9/#BODY", "signature.malformed"),
    ("a file", "file:///etc/passwd", "signature.malformed"),
    ("a mounted share", "//127.0.0.1/share/body.xml", "signature.malformed"),
    ("an LDAP entry", "ldap://127.0.0.1:9/x", "signature.malformed"),
    ("data", "data:text/xml,x", "signature.malformed"),
    ("an Id without #", "BODY", "signature.malformed"),
    ("an Id behind a relative path", "./#BODY", "signature.malformed"),
    ("an Id escaped", "#%42ODY", "signature.coverage"),
    ("an Id with something behind", "#BODY#x", "signature.coverage"),
    ("an Id with a query", "#BODY?x", "signature.coverage"),
    ("an Id that nobody carries", "#nobody", "signature.coverage"),
):

    def _pointing(stage: Stage, text: str = _uri) -> bytes:
        identifier = identifier_of(stage.source, stage.source.body)
        if "%42" in text:
            text = f"#%{ord(identifier[0]):02x}{identifier[1:]}"
        return stage.signed(
            reference=lambda ref: (
                replace(ref, uri=text.replace("BODY", identifier), of=identifier)
                if ref.uri[1:] == identifier
                else ref
            )
        )

    REFERENCES.add(
        f"a reference to {_name}",
        "The Body's reference points elsewhere; its digest is that of the Body.",
        _code,
        _pointing,
        source="XML Signature 1.1 §4.4.3.1; WSS 1.1.1 §8.1",
    )


def _identifier(stage: Stage, name: str) -> str:
    source = stage.source
    return identifier_of(source, source.body if name == "body" else source.block(name))


for _part in ("body", "timestamp", "client", "service", "userId", "id", "issue", "protocolVersion"):
    REFERENCES.add(
        f"the {_part} not signed",
        f"A signature over everything but the {_part}, which then says what the attacker wants.",
        "signature.coverage",
        applied(lambda stage, part: stage.signed(leaves_out=frozenset({part})), _part),
        source="WSS 1.1.1 §8; X-Road Message Protocol 4.0 §2.2",
    )
for _name, _namespace, _block in (
    ("a represented party", "http://x-road.eu/xsd/representation.xsd", "representedParty"),
    ("a security token", "http://x-road.eu/xsd/security-token.xsd", "securityToken"),
    ("a block unknown to X-Road", "http://x-road.eu/xsd/xroad.xsd", "somethingNew"),
):
    REFERENCES.add(
        f"{_name} added to a signed message",
        "Adds a routing header that nobody signed.",
        "signature.coverage",
        applied(
            lambda stage, namespace, block: stage.source.edited(
                (
                    stage.source.header.inner_end,
                    stage.source.header.inner_end,
                    f'<a:{block} xmlns:a="{namespace}"/>'.encode(),
                )
            ),
            _namespace,
            _block,
        ),
        source="X-Road Message Protocol 4.0 §2.2",
        every_stack=True,
    )


def payload_signed(stage: Stage) -> bytes:
    """A signature over the payload, not over the Body that holds it."""
    source = stage.source
    name = source.text(source.payload)
    at = source.payload.start + name.index(b">")
    attribute = (
        b' xmlns:awsu="%s" awsu:Id="f-payload"'
        % b"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    )
    raw = source.edited((at, at, attribute))
    return stage.signed(
        raw=raw, leaves_out=frozenset({"body"}), more_references=[Ref("#f-payload")]
    )


REFERENCES.add(
    "the payload signed, not the Body",
    "A Body could then hold something else beside it.",
    "signature.coverage",
    payload_signed,
    source="WSS 1.1.1 §8",
)


def through_manifest(stage: Stage) -> bytes:
    """The Body is referred to by a Manifest only, whose references nobody must check."""
    body = (
        f'<ads:Reference URI="#{_identifier(stage, "body")}">'
        f'<ads:Transforms>{EXCLUSIVE}</ads:Transforms><ads:DigestMethod Algorithm="'
        f'{uri.DIGEST_SHA256}"/><ads:DigestValue>AAAA</ads:DigestValue></ads:Reference>'
    )
    manifest = f'<ads:Object><ads:Manifest Id="f-manifest">{body}</ads:Manifest></ads:Object>'
    kind = ' Type="http://www.w3.org/2000/09/xmldsig#Manifest"'
    return stage.signed(
        leaves_out=frozenset({"body"}),
        more_references=[Ref("#f-manifest", attributes=kind)],
        in_signature=manifest,
    )


REFERENCES.add(
    "the Body signed through a Manifest",
    "Core validation does not check what a Manifest refers to.",
    "signature.coverage",
    through_manifest,
    source="XML Signature 1.1 §5.1; XML Signature Best Practices §2.1.4",
)
REFERENCES.add(
    "a Manifest inside SignedInfo",
    "References a level deeper.",
    "signature.malformed",
    lambda stage: stage.signed(in_signed_info="<ads:Manifest/>"),
    source="XML Signature 1.1 §4.4",
)
for _count in (33, 1_000, 20_000):
    REFERENCES.add(
        f"{_count:,} references",
        "Every reference costs a canonicalisation.",
        "signature.malformed",
        applied(
            lambda stage, count: stage.signed(
                more_references=[
                    Ref(f"#{_identifier(stage, 'body')}", digest=b"") for _ in range(count)
                ]
            ),
            _count,
        ),
        source="XML Signature Best Practices §2.1.1",
    )
REFERENCES.add(
    "the same part signed twice",
    "Two references to one element, both right.",
    SAME,
    lambda stage: stage.signed(more_references=[Ref(f"#{_identifier(stage, 'id')}")]),
)
REFERENCES.add(
    "the same part signed twice, once wrongly",
    "A verifier that keeps the last result forgets the first.",
    "signature.digest-mismatch",
    lambda stage: stage.signed(
        more_references=[Ref(f"#{_identifier(stage, 'id')}", digest=bytes(32))]
    ),
)
REFERENCES.add(
    "no reference at all",
    "A signature over nothing.",
    "signature.malformed",
    lambda stage: stage.signed(references=[]),
)
REFERENCES.add(
    "a signature over its own SignedInfo",
    "A reference that goes round in a circle.",
    "signature.digest-mismatch",
    lambda stage: stage.signed(
        more_references=[Ref("#f-own", digest=bytes(32))], signed_info_attributes=' Id="f-own"'
    ),
)


# --- weak keys -------------------------------------------------------------------------------


@cache
def _rsa(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def _with_key(
    key: Callable[[], Any], algorithm: str, sign: Callable[[Any, bytes], bytes]
) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        return stage.signed(
            hand=stage.issued(key()),
            algorithm=algorithm,
            signer=lambda hand, _, data: sign(hand.key, data),
        )

    return make


def _sign_rsa(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


for _bits in (1024, 1536, 2040):
    WEAK_KEYS.add(
        f"an RSA key of {_bits} bits",
        "A certified key that can be factored, or nearly.",
        _FORBIDDEN,
        _with_key(partial(_rsa, _bits), uri.RSA_SHA256, _sign_rsa),
    )
for _name, _curve in (
    ("P-192", ec.SECP192R1),
    ("P-224", ec.SECP224R1),
    ("secp256k1", ec.SECP256K1),
    ("brainpoolP256r1", ec.BrainpoolP256R1),
    ("P-521", ec.SECP521R1),
):

    def _sign_curve(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
        return raw_ecdsa(key.sign(data, ec.ECDSA(hashes.SHA256())), (key.curve.key_size + 7) // 8)

    WEAK_KEYS.add(
        f"a key on {_name}",
        "A certified key on a curve that the policy does not name.",
        _FORBIDDEN,
        _with_key(partial(ec.generate_private_key, _curve()), uri.ECDSA_SHA256, _sign_curve),
    )
WEAK_KEYS.add(
    "a DSA key",
    "A certified key of a kind that is no longer used.",
    "certificate.rejected",
    _with_key(
        cache(partial(dsa.generate_private_key, 2048)),
        uri.ECDSA_SHA256,
        lambda key, data: raw_ecdsa(key.sign(data, hashes.SHA256()), 32),
    ),
)
WEAK_KEYS.add(
    "an Ed448 key",
    "A certified key of a kind that the policy does not name.",
    "certificate.rejected",
    _with_key(ed448.Ed448PrivateKey.generate, uri.ED25519, lambda key, data: key.sign(data)),
)


def _padded(data: bytes, width: int, *, garbage: bool = False, null: bool = True) -> bytes:
    """PKCS #1 v1.5 of the SHA-256 of data, right or nearly so. RFC 8017 §9.2."""
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    if not null:
        prefix = bytes.fromhex("302f300b0609608648016503040201 0420".replace(" ", ""))
    info = prefix + hashlib.sha256(data).digest()
    if garbage:
        return b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + bytes(width - 11 - len(info))
    return b"\x00\x01" + b"\xff" * (width - 3 - len(info)) + b"\x00" + info


def _cube_root(value: int) -> int:
    low, high = 0, 1 << (value.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def bleichenbacher(stage: Stage) -> bytes:
    """A value whose cube begins as a right padding does; the rest is garbage."""
    key = _rsa(2048, 3)

    def forge(_: Hand, __: str, data: bytes) -> bytes:
        return _cube_root(int.from_bytes(_padded(data, 256, garbage=True), "big")).to_bytes(
            256, "big"
        )

    return stage.signed(hand=stage.issued(key), algorithm=uri.RSA_SHA256, signer=forge)


WEAK_KEYS.add(
    "a forged value under a key with exponent 3",
    "A cube root is enough if the verifier does not look behind the digest.",
    "signature.value-invalid",
    bleichenbacher,
    source="Bleichenbacher 2006; CVE-2006-4339",
)


def exponent_one(stage: Stage) -> bytes:
    """With exponent 1 the padded digest is its own signature: no private key is needed."""
    modulus = _rsa(2048).public_key().public_numbers().n
    hand = altered(stage, with_public_key(rsa_public_key(modulus, 1)))
    return stage.signed(
        hand=hand,
        algorithm=uri.RSA_SHA256,
        signer=lambda _, __, data: _padded(data, 256),
    )


WEAK_KEYS.add(
    "a key with exponent 1",
    "A certified key under which everybody can sign.",
    "certificate.rejected",
    exponent_one,
    source="RFC 8017 §3.1",
)


def odd_rsa(modulus: Callable[[int], int], exponent: int) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        own = _rsa(2048)
        number = modulus(own.public_key().public_numbers().n)
        hand = altered(stage, with_public_key(rsa_public_key(number, exponent)))
        return stage.signed(
            hand=hand,
            algorithm=uri.RSA_SHA256,
            signer=lambda _, __, data: _sign_rsa(own, data),
        )

    return make


for _name, _modulus, _exponent, _code in (
    ("an even exponent", lambda n: n, 65536, "certificate.rejected"),
    ("the exponent 0", lambda n: n, 0, "certificate.rejected"),
    ("an even modulus", lambda n: n - 1, 65537, "signature.value-invalid"),
    ("an exponent of 2048 bits", lambda n: n, (1 << 2047) + 1, "certificate.rejected"),
    ("a modulus of 16,384 bits", lambda n: (1 << 16383) + n, 65537, "certificate.rejected"),
    ("a negative modulus", lambda n: -n, 65537, "certificate.rejected"),
):
    WEAK_KEYS.add(
        f"an RSA key with {_name}",
        "A certified key that is no key, or a burden for whoever verifies.",
        _code,
        odd_rsa(_modulus, _exponent),
        source="RFC 8017 §3.1; NIST SP 800-56B §6.2",
    )

_ORDER_1 = b"\x01" + bytes(31)
_ORDER_2 = bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
_ORDER_4 = bytes(32)
_ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
for _order, _point in ((1, _ORDER_1), (2, _ORDER_2), (4, _ORDER_4), (8, _ORDER_8)):

    def _small_order(stage: Stage, point: bytes = _point) -> bytes:
        hand = altered(stage, with_public_key(edwards_public_key(point)))
        return stage.signed(
            hand=hand,
            algorithm=uri.ED25519,
            signer=lambda _, __, ___: _ORDER_1 + bytes(32),
        )

    WEAK_KEYS.add(
        f"an Ed25519 key of order {_order}",
        "A certified point under which one value fits every message, or every eighth.",
        "certificate.rejected",
        _small_order,
        source="RFC 8032 §8.9; Chalkias et al. 2020",
    )


def ed25519_value(change: Callable[[bytes], bytes]) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        return stage.signed(
            hand=stage.issued(key),
            algorithm=uri.ED25519,
            signer=lambda hand, _, data: change(hand.key.sign(data)),
        )

    return make


_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
for _name, _change in (
    (
        "s and the group's order",
        lambda value: (
            value[:32]
            + (int.from_bytes(value[32:], "little") + _ED25519_ORDER).to_bytes(32, "little")
        ),
    ),
    ("R of order 1", lambda value: _ORDER_1 + value[32:]),
    ("one byte less", lambda value: value[:-1]),
    ("one byte more", lambda value: value + b"\0"),
):
    WEAK_KEYS.add(
        f"an Ed25519 value with {_name}",
        "Another value for the same message.",
        "signature.value-invalid",
        ed25519_value(_change),
        source="RFC 8032 §5.1.7, §8.4",
    )


def ecdsa_value(change: Callable[[bytes], bytes]) -> Callable[[Stage], bytes]:
    return lambda stage: stage.signed(
        hand=stage.hand("h41-p256"),
        signer=lambda hand, _, data: change(hand.sign(data)),
    )


def _two(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _der_of(value: bytes) -> bytes:
    return encode_dss_signature(
        int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
    )


def _mirrored(value: bytes) -> bytes:
    return value[:32] + (_P256_ORDER - int.from_bytes(value[32:], "big")).to_bytes(32, "big")


for _name, _change, _code in (
    ("r and s zero", lambda _: _two(0, 0), "signature.value-invalid"),
    ("r zero", lambda value: bytes(32) + value[32:], "signature.value-invalid"),
    ("s zero", lambda value: value[:32] + bytes(32), "signature.value-invalid"),
    ("r the group's order", lambda v: _two(_P256_ORDER, 1), "signature.value-invalid"),
    ("s the group's order", lambda v: _two(1, _P256_ORDER), "signature.value-invalid"),
    ("r and s one", lambda _: _two(1, 1), "signature.value-invalid"),
    ("all bits set", lambda _: b"\xff" * 64, "signature.value-invalid"),
    ("r and s exchanged", lambda value: value[32:] + value[:32], "signature.value-invalid"),
    ("a zero before r", lambda value: b"\0" + value, "signature.value-invalid"),
    (
        "r and s a byte too wide",
        lambda value: b"\0" + value[:32] + b"\0" + value[32:],
        "signature.value-invalid",
    ),
    ("a value cut off", lambda value: value[:-1], "signature.value-invalid"),
    ("DER", _der_of, "signature.value-invalid"),
    ("10,000 bytes", lambda value: value.ljust(10_000, b"\0"), "signature.value-invalid"),
    ("the mirrored s", _mirrored, SAME),
):
    WEAK_KEYS.add(
        f"an ECDSA value with {_name}",
        "A value that a careless verifier divides by, cuts or reads as zero."
        if _code != SAME
        else "The other value that fits: the same message, signed by the same key.",
        _code,
        ecdsa_value(_change),
        source="XML Signature 1.1 §6.4.3; CVE-2022-21449",
    )


def rsa_value(change: Callable[[int, bytes], bytes]) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        modulus = stage.hand().key.public_key().public_numbers().n
        return stage.signed(signer=lambda hand, _, data: change(modulus, hand.sign(data)))

    return make


def _plus_modulus(modulus: int, value: bytes) -> bytes:
    whole = int.from_bytes(value, "big") + modulus
    return whole.to_bytes((whole.bit_length() + 7) // 8, "big")


def without_null(stage: Stage) -> bytes:
    """A padding whose algorithm has no parameters: BER allows it, the standard does not."""

    def sign(hand: Hand, _: str, data: bytes) -> bytes:
        numbers = hand.key.private_numbers()
        value = int.from_bytes(_padded(data, 256, null=False), "big")
        power: int = pow(value, numbers.d, numbers.public_numbers.n)
        return power.to_bytes(256, "big")

    return stage.signed(signer=sign)


_change_rsa: Callable[[int, bytes], bytes]
for _name, _change_rsa in (
    ("zero", lambda modulus, _: bytes(256)),
    ("one", lambda modulus, _: (1).to_bytes(256, "big")),
    ("the modulus less one", lambda modulus, _: (modulus - 1).to_bytes(256, "big")),
    ("the modulus", lambda modulus, _: modulus.to_bytes(256, "big")),
    ("the right value and the modulus", _plus_modulus),
    ("a zero before the right value", lambda modulus, value: b"\0" + value),
    ("the right value, cut off", lambda modulus, value: value[:-1]),
    ("100,000 bytes", lambda modulus, value: value * 400),
):
    WEAK_KEYS.add(
        f"an RSA value of {_name}",
        "Another number for the same residue, or one that every key maps to itself.",
        "signature.value-invalid",
        rsa_value(_change_rsa),
        source="RFC 8017 §8.2.2",
    )
WEAK_KEYS.add(
    "an RSA value whose digest algorithm has no NULL",
    "A padding that is nearly right: variants of it opened the way to forgeries.",
    "signature.value-invalid",
    without_null,
    source="RFC 8017 §9.2 note 2; Chau et al. 2019",
)


def wrong_digest_named(stage: Stage) -> bytes:
    """RSA-SHA256 by name, SHA-1 in the padding."""

    def sign(hand: Hand, _: str, data: bytes) -> bytes:
        value: bytes = hand.key.sign(data, padding.PKCS1v15(), hashes.SHA1())
        return value

    return stage.signed(algorithm=uri.RSA_SHA256, signer=sign)


WEAK_KEYS.add(
    "an RSA value with SHA-1 in its padding",
    "The name says SHA-256, the padding SHA-1.",
    "signature.value-invalid",
    wrong_digest_named,
    source="RFC 8017 §8.2.2",
)
