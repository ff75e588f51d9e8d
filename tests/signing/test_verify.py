"""Each numbered step of verification fails with an error of its own, and coverage is by position.

Most defects are put in after signing: the steps before the signature value see them all the same.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from signing import names
from signing import policy as uri
from signing.certificates import TrustStore
from signing.errors import (
    AlgorithmForbidden,
    CertificateRejected,
    CoverageInsufficient,
    DigestMismatch,
    SignatureError,
    SignatureMalformed,
    SignatureMissing,
    SignatureValueInvalid,
)
from signing.policy import SignaturePolicy
from signing.sign import CanonicalPart, security_header
from signing.verify import SignedPart, VerifiedSignature, verify_signature
from tests.certificates import make_certificate, make_root
from tests.nation import NOW, SmallNation, der

MINUTES = timedelta(minutes=5)
BODY = CanonicalPart("body", f'<b xmlns:wsu="{names.WSU}" wsu:Id="body"><x>1</x></b>'.encode())
ROUTE = CanonicalPart("route", f'<r xmlns:wsu="{names.WSU}" wsu:Id="route">2</r>'.encode())
POLICY = SignaturePolicy()

Change = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def message(nation: SmallNation) -> bytes:
    """<e>: a header with ROUTE and the signature over both parts, then BODY."""
    security = security_header([ROUTE, BODY], nation.client_signers["rsa-2048"], NOW, MINUTES)
    return b"<e><h>" + ROUTE.canonical + security + b"</h>" + BODY.canonical + b"</e>"


def verify(raw: bytes, nation: SmallNation, policy: SignaturePolicy = POLICY) -> VerifiedSignature:
    """Require what stands at the positions of Body and route: that they are the last children."""
    root = parse_xml(raw, bytes_max=len(raw))
    security = root.find(f".//{names.SECURITY}")
    assert security is not None
    required = [SignedPart("Body", root[-1]), SignedPart("route", root[0][0])]
    return verify_signature(security, required, policy, TrustStore([nation.anchor]), NOW)


def swap(old: str, new: str, count: int = -1) -> Change:
    def change(raw: bytes) -> bytes:
        assert old.encode() in raw
        return raw.replace(old.encode(), new.encode(), count)

    return change


def cut(start: str, end: str) -> Change:
    """Leave out everything from `start` to the end of `end`."""

    def change(raw: bytes) -> bytes:
        first = raw.index(start.encode())
        return raw[:first] + raw[raw.index(end.encode(), first) + len(end.encode()) :]

    return change


def twice(start: str, end: str) -> Change:
    def change(raw: bytes) -> bytes:
        first = raw.index(start.encode())
        last = raw.index(end.encode(), first) + len(end.encode())
        return raw[:last] + raw[first:last] + raw[last:]

    return change


def test_an_untouched_message_is_verified_over_both_parts(
    message: bytes, nation: SmallNation
) -> None:
    verified = verify(message, nation)

    assert verified.canonical_parts == {"Body": BODY.canonical, "route": ROUTE.canonical}
    assert verified.algorithm == uri.RSA_SHA256
    assert verified.certificate.subject_identifier == "VN/GOV/H41"


SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
C14N10 = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = f"{names.DS}enveloped-signature"
INFO = "<ds:SignedInfo"
INFO_METHOD = f'<ds:CanonicalizationMethod Algorithm="{names.EXCLUSIVE_C14N}">'
TRANSFORM = f'<ds:Transform Algorithm="{names.EXCLUSIVE_C14N}">'
TRANSFORMED = f"{TRANSFORM}</ds:Transform>"
PREFIXES = f'<ec:InclusiveNamespaces xmlns:ec="{names.EXCLUSIVE_C14N}" PrefixList="%s"/>'
TOKEN = "<wsse:BinarySecurityToken"
TOKEN_END = "</wsse:BinarySecurityToken>"
STRANGER = base64.b64encode(b"no certificate").decode()

DEFECTS: dict[str, tuple[Change, type[SignatureError], str]] = {
    "(1) no signature": (
        cut("<ds:Signature ", "</ds:Signature>"),
        SignatureMissing,
        "Signature is missing",
    ),
    "(1) two signatures": (
        twice("<ds:Signature ", "</ds:Signature>"),
        SignatureMalformed,
        "Signature stands 2 times",
    ),
    "(1) no SignedInfo": (
        cut("<ds:SignedInfo", "</ds:SignedInfo>"),
        SignatureMalformed,
        "SignedInfo is missing",
    ),
    "(2) a second wsu:Id": (
        swap("<x>", '<x wsu:Id="route">'),
        SignatureMalformed,
        "two elements carry the same Id",
    ),
    "(2) a second xml:id": (
        swap("<x>", '<x xml:id="body">'),
        SignatureMalformed,
        "two elements carry the same Id",
    ),
    "(2) an Id referred to, also spelled Id": (
        swap("<x>", '<x Id="body">'),
        SignatureMalformed,
        "points to an Id that two elements carry",
    ),
    "(2) an Id referred to, also spelled ID": (
        swap("<x>", '<x ID="route">'),
        SignatureMalformed,
        "points to an Id that two elements carry",
    ),
    "(2) the token's Id, also spelled ID": (
        swap("<x>", '<x ID="x509">'),
        SignatureMalformed,
        "points to an Id that two elements carry",
    ),
    "(3) no canonicalisation": (
        cut("<ds:CanonicalizationMethod", "</ds:CanonicalizationMethod>"),
        SignatureMalformed,
        "CanonicalizationMethod is missing",
    ),
    "(3) another canonicalisation of SignedInfo": (
        swap(INFO_METHOD, f'<ds:CanonicalizationMethod Algorithm="{C14N10}">'),
        AlgorithmForbidden,
        "SignedInfo must be canonicalised",
    ),
    "(3) SHA-1": (
        swap(uri.RSA_SHA256, f"{names.DS}rsa-sha1"),
        AlgorithmForbidden,
        "rsa-sha1' is not allowed",
    ),
    "(3) HMAC under the public key": (
        swap(uri.RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        AlgorithmForbidden,
        "hmac-sha256' is not allowed",
    ),
    "(3) no algorithm": (
        swap(f' Algorithm="{uri.RSA_SHA256}"', ""),
        AlgorithmForbidden,
        "'' is not allowed",
    ),
    "(3) parameters of the method": (
        swap("</ds:SignatureMethod>", "<p/></ds:SignatureMethod>"),
        SignatureMalformed,
        "takes no parameters",
    ),
    "(3) parameters of the canonicalisation": (
        swap(INFO_METHOD, f"{INFO_METHOD}<p/>"),
        SignatureMalformed,
        "InclusiveNamespaces is missing",
    ),
    "(4) nothing referred to": (
        lambda raw: raw[: raw.index(b"<ds:Reference")] + raw[raw.index(b"</ds:SignedInfo>") :],
        SignatureMalformed,
        "refers to nothing",
    ),
    "(4) too many references": (
        lambda raw: raw.replace(
            b"<ds:Reference", b"<ds:Reference/>" * POLICY.references_max + b"<ds:Reference", 1
        ),
        SignatureMalformed,
        "at most 32",
    ),
    "(4) something else in SignedInfo": (
        swap("</ds:SignedInfo>", "<p/></ds:SignedInfo>"),
        SignatureMalformed,
        "not a Reference",
    ),
    "(4) a reference to the whole document": (
        swap('URI="#body"', 'URI=""'),
        SignatureMalformed,
        "must point to an Id",
    ),
    "(4) a reference to nothing in particular": (
        swap('URI="#body"', 'URI="#"'),
        SignatureMalformed,
        "must point to an Id",
    ),
    "(4) a reference to a file": (
        swap('URI="#body"', 'URI="file:///etc/hostname"'),
        SignatureMalformed,
        "must point to an Id",
    ),
    "(4) an XPointer": (
        swap('URI="#body"', 'URI="#xpointer(/)"'),
        SignatureValueInvalid,
        "does not fit",
    ),
    "(4) the enveloped transform": (
        swap(TRANSFORM, f'<ds:Transform Algorithm="{ENVELOPED}">'),
        AlgorithmForbidden,
        "only transform",
    ),
    "(4) a second transform": (
        swap(TRANSFORMED, f'{TRANSFORMED}<ds:Transform Algorithm="urn:x"/>'),
        SignatureMalformed,
        "Transform stands 2 times",
    ),
    "(4) something beside the transform": (
        swap(TRANSFORMED, f"{TRANSFORMED}<p/>"),
        AlgorithmForbidden,
        "only transform",
    ),
    "(4) no transforms": (
        cut("<ds:Transforms>", "</ds:Transforms>"),
        SignatureMalformed,
        "Transforms is missing",
    ),
    "(4) a weak digest": (
        swap(uri.DIGEST_SHA256, SHA1),
        AlgorithmForbidden,
        "sha1' is not allowed",
    ),
    "(4) a digest that is no base64": (
        swap("<ds:DigestValue>", "<ds:DigestValue>§"),
        SignatureMalformed,
        "DigestValue is not base64",
    ),
    "(4) a digest with elements in it": (
        swap("<ds:DigestValue>", "<ds:DigestValue><p/>"),
        SignatureMalformed,
        "must hold text only",
    ),
    "(4) too many prefixes": (
        swap(TRANSFORM, TRANSFORM + PREFIXES % " ".join(f"p{n}" for n in range(33))),
        SignatureMalformed,
        "parameters that are not its own",
    ),
    "(4) parameters beside the prefixes": (
        swap(TRANSFORM, f"{TRANSFORM}{PREFIXES % 'a'}<p/>"),
        SignatureMalformed,
        "parameters that are not its own",
    ),
    "(5) no KeyInfo": (
        cut("<ds:KeyInfo>", "</ds:KeyInfo>"),
        SignatureMalformed,
        "KeyInfo is missing",
    ),
    "(5) KeyInfo holds a key": (
        swap("wsse:SecurityTokenReference>", "wsse:KeyValue>"),
        SignatureMalformed,
        "SecurityTokenReference is missing",
    ),
    "(5) KeyInfo refers elsewhere": (
        swap('URI="#x509"', 'URI="http://example.com/x509"'),
        SignatureMalformed,
        "must refer to a BinarySecurityToken",
    ),
    "(5) KeyInfo refers to nothing": (
        swap('URI="#x509"', 'URI="#x510"'),
        SignatureMalformed,
        "must refer to a BinarySecurityToken",
    ),
    "(5) KeyInfo refers to another element": (
        swap('URI="#x509"', 'URI="#body"'),
        SignatureMalformed,
        "must refer to a BinarySecurityToken",
    ),
    "(5) the token stands outside this header": (
        lambda raw: swap(
            "<h>",
            f"<h><w xmlns:wsse='{names.WSSE}' xmlns:wsu='{names.WSU}'>"
            + raw[raw.index(TOKEN.encode()) : raw.index(TOKEN_END.encode())].decode()
            + TOKEN_END
            + "</w>",
        )(cut(TOKEN, TOKEN_END)(raw)),
        SignatureMalformed,
        "must refer to a BinarySecurityToken",
    ),
    "(5) a chain instead of a certificate": (
        swap(f'ValueType="{names.X509_V3}" wsu:Id', 'ValueType="urn:PKIPathv1" wsu:Id'),
        SignatureMalformed,
        "one X.509 v3 certificate",
    ),
    "(5) another encoding": (
        swap(names.BASE64_BINARY, "urn:HexBinary"),
        SignatureMalformed,
        "encoded as Base64Binary",
    ),
    "(5) a token that is no base64": (
        swap(TOKEN_END, f"${TOKEN_END}"),
        SignatureMalformed,
        "BinarySecurityToken is not base64",
    ),
    "(6) a token that is no certificate": (
        lambda raw: (
            raw[: raw.index(b">", raw.index(TOKEN.encode())) + 1]
            + STRANGER.encode()
            + raw[raw.index(TOKEN_END.encode()) :]
        ),
        CertificateRejected,
        "not an X.509",
    ),
    "(6) an algorithm of another kind of key": (
        swap(uri.RSA_SHA256, uri.ECDSA_SHA256),
        AlgorithmForbidden,
        "not of the kind",
    ),
    "(7) no value": (
        cut("<ds:SignatureValue>", "</ds:SignatureValue>"),
        SignatureMalformed,
        "SignatureValue is missing",
    ),
    "(7) an empty value": (
        lambda raw: cut("<ds:SignatureValue>", "</ds:SignatureValue>")(raw).replace(
            b"</ds:SignedInfo>", b"</ds:SignedInfo><ds:SignatureValue/>"
        ),
        SignatureValueInvalid,
        "does not fit",
    ),
    "(7) another algorithm of the same kind": (
        swap(uri.RSA_SHA256, uri.RSA_SHA512),
        SignatureValueInvalid,
        "does not fit",
    ),
    "(7) a digest was swapped": (
        swap("<ds:DigestValue>", f"<ds:DigestValue>{base64.b64encode(bytes(3)).decode()}"),
        SignatureValueInvalid,
        "does not fit",
    ),
    "(7) prefixes were added": (
        swap(INFO_METHOD, INFO_METHOD + PREFIXES % "wsu"),
        SignatureValueInvalid,
        "does not fit",
    ),
    "(8) a changed Body": (
        swap("<x>1</x>", "<x>2</x>"),
        DigestMismatch,
        "b .line 1. was changed",
    ),
    "(8) a blank more in the Body": (
        swap("<x>1</x>", " <x>1</x>"),
        DigestMismatch,
        "was changed",
    ),
    "(8) a changed route": (
        swap(">2</r>", ">3</r>"),
        DigestMismatch,
        "r .line 1. was changed",
    ),
    "(8) a changed timestamp": (
        swap("T08:05:00", "T09:05:00"),
        DigestMismatch,
        "Timestamp",
    ),
    "(8) the Id is gone": (
        swap(' wsu:Id="body"', ""),
        CoverageInsufficient,
        "no element carries",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_own_error(defect: str, message: bytes, nation: SmallNation) -> None:
    change, error, reason = DEFECTS[defect]

    with pytest.raises(error, match=reason) as caught:
        verify(change(message), nation)

    assert type(caught.value) is error


def test_a_signed_info_without_canonical_form_is_malformed(
    message: bytes, nation: SmallNation
) -> None:
    relative = swap("<ds:SignedInfo ", '<ds:SignedInfo xmlns:p="relative" p:x="" ')(message)

    with pytest.raises(SignatureMalformed, match="no canonical form"):
        verify(relative, nation)


def test_business_data_may_repeat_an_id_that_nothing_refers_to(nation: SmallNation) -> None:
    body = CanonicalPart(
        "body",
        f'<b xmlns:wsu="{names.WSU}" wsu:Id="body"><x Id="a"></x><x Id="a"></x></b>'.encode(),
    )
    security = security_header([ROUTE, body], nation.client_signers["p-256"], NOW, MINUTES)
    raw = b"<e><h>" + ROUTE.canonical + security + b"</h>" + body.canonical + b"</e>"

    assert verify(raw, nation).canonical_parts["Body"] == body.canonical


# --- (6) trust ---------------------------------------------------------------------------------


def test_a_certificate_of_another_authority_is_rejected(nation: SmallNation) -> None:
    signer = nation.client_signers["p-256"]
    stranger = make_root("Lien Thong Sandbox Root", NOW)
    certificate = der(make_certificate(stranger, signer.private_key.public_key(), NOW))
    false_signer = replace(signer, certificate_der=certificate)
    security = security_header([ROUTE, BODY], false_signer, NOW, MINUTES)
    raw = b"<e><h>" + ROUTE.canonical + security + b"</h>" + BODY.canonical + b"</e>"

    with pytest.raises(CertificateRejected):
        verify(raw, nation)


def test_a_certificate_of_somebody_else_does_not_fit_the_value(
    message: bytes, nation: SmallNation
) -> None:
    mine = base64.b64encode(nation.client_signers["rsa-2048"].certificate_der)
    rsa_key = nation.client_signers["rsa-2048"].private_key
    assert rsa_key is not None
    theirs = next(
        base64.b64encode(signer.certificate_der)
        for signer in nation.signers.values()
        if type(signer.private_key) is type(rsa_key)
    )

    with pytest.raises(SignatureValueInvalid):
        verify(message.replace(mine, theirs), nation)


def test_the_policy_is_asked_for_the_key(message: bytes, nation: SmallNation) -> None:
    with pytest.raises(AlgorithmForbidden, match="at least 4096"):
        verify(message, nation, replace(POLICY, rsa_bits_min=4096))


def test_the_policy_bounds_the_references(message: bytes, nation: SmallNation) -> None:
    with pytest.raises(SignatureMalformed, match="3 references; at most 2"):
        verify(message, nation, replace(POLICY, references_max=2))


# --- (9) coverage is by position -----------------------------------------------------------------

EVIL = b"<b><x>9</x></b>"


@pytest.mark.parametrize(
    "evil",
    [EVIL, EVIL.replace(b"<b>", b'<b Id="other">'), EVIL.replace(b"<b>", b'<b xml:id="b2">')],
)
def test_a_signed_body_that_was_moved_does_not_cover_the_one_in_its_place(
    message: bytes, nation: SmallNation, evil: bytes
) -> None:
    # The classic wrapping attack: xmlsec1 and WSS4J say yes to this message.
    wrapped = b'<w xmlns="urn:wrapper">' + BODY.canonical + b"</w>"
    without = message.replace(BODY.canonical, evil)
    moved = without.replace(b"</h>", wrapped.replace(b"<b ", b'<b xmlns="" ') + b"</h>")

    with pytest.raises(CoverageInsufficient, match="Body is not signed where it stands"):
        verify(moved, nation)


def test_a_signed_body_inside_a_stranger_does_not_cover_the_stranger(
    message: bytes, nation: SmallNation
) -> None:
    nested = message.replace(BODY.canonical, b"<b>" + BODY.canonical + b"</b>")

    with pytest.raises(CoverageInsufficient):
        verify(nested, nation)


def test_a_route_that_was_moved_does_not_cover_the_one_in_its_place(
    message: bytes, nation: SmallNation
) -> None:
    moved = message.replace(b"<h>" + ROUTE.canonical, b"<h><r>9</r>").replace(
        b"</h>", b"<w>" + ROUTE.canonical + b"</w></h>"
    )

    with pytest.raises(CoverageInsufficient, match="route is not signed"):
        verify(moved, nation)


@pytest.mark.parametrize(("parts", "name"), [((BODY,), "route"), ((ROUTE,), "Body")])
def test_a_part_that_nobody_signed_is_not_covered(
    parts: tuple[CanonicalPart, ...], name: str, nation: SmallNation
) -> None:
    security = security_header(parts, nation.client_signers["p-256"], NOW, MINUTES)
    raw = b"<e><h>" + ROUTE.canonical + security + b"</h>" + BODY.canonical + b"</e>"

    with pytest.raises(CoverageInsufficient, match=f"{name} is not signed"):
        verify(raw, nation)


def test_a_prefix_list_that_was_added_breaks_the_signature(
    message: bytes, nation: SmallNation
) -> None:
    root = parse_xml(message, bytes_max=len(message))
    transforms = root.findall(f".//{names.TRANSFORM}")
    for transform in transforms:
        etree.SubElement(transform, names.INCLUSIVE_NAMESPACES, {"PrefixList": "xs soap"})
    raw = etree.tostring(root)

    with pytest.raises(SignatureValueInvalid):
        verify(raw, nation)
