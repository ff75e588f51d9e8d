"""Each numbered step of verification fails with an error of its own.

Most defects are put in after signing: the steps before the signature value see them all the same.
"""

from __future__ import annotations

import base64

import pytest

from signing import names
from signing import policy as uri
from signing.errors import (
    AlgorithmForbiddenError,
    CertificateRejectedError,
    CoverageInsufficientError,
    DigestMismatchError,
    SignatureError,
    SignatureMalformedError,
    SignatureMissingError,
    SignatureValueInvalidError,
)
from tests.nation import SmallNation
from tests.signing.wss.signed_parts import POLICY, Change, cut, signed_message, swap, twice, verify


@pytest.fixture(scope="session")
def message(nation: SmallNation) -> bytes:
    return signed_message(nation)


SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
C14N10 = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED = f"{names.DS}enveloped-signature"
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
        SignatureMissingError,
        "Signature is missing",
    ),
    "(1) two signatures": (
        twice("<ds:Signature ", "</ds:Signature>"),
        SignatureMalformedError,
        "Signature stands 2 times",
    ),
    "(1) no SignedInfo": (
        cut("<ds:SignedInfo", "</ds:SignedInfo>"),
        SignatureMalformedError,
        "SignedInfo is missing",
    ),
    "(2) a second wsu:Id": (
        swap("<x>", '<x wsu:Id="route">'),
        SignatureMalformedError,
        "two elements carry the same Id",
    ),
    "(2) a second xml:id": (
        swap("<x>", '<x xml:id="body">'),
        SignatureMalformedError,
        "two elements carry the same Id",
    ),
    "(2) an Id referred to, also spelled Id": (
        swap("<x>", '<x Id="body">'),
        SignatureMalformedError,
        "points to an Id that two elements carry",
    ),
    "(2) an Id referred to, also spelled ID": (
        swap("<x>", '<x ID="route">'),
        SignatureMalformedError,
        "points to an Id that two elements carry",
    ),
    "(2) the token's Id, also spelled ID": (
        swap("<x>", '<x ID="x509">'),
        SignatureMalformedError,
        "points to an Id that two elements carry",
    ),
    "(5) no canonicalisation": (
        cut("<ds:CanonicalizationMethod", "</ds:CanonicalizationMethod>"),
        SignatureMalformedError,
        "must begin with CanonicalizationMethod",
    ),
    "(5) another canonicalisation of SignedInfo": (
        swap(INFO_METHOD, f'<ds:CanonicalizationMethod Algorithm="{C14N10}">'),
        AlgorithmForbiddenError,
        "SignedInfo must be canonicalised",
    ),
    "(5) SHA-1": (
        swap(uri.RSA_SHA256, f"{names.DS}rsa-sha1"),
        AlgorithmForbiddenError,
        "rsa-sha1' is not allowed",
    ),
    "(5) HMAC under the public key": (
        swap(uri.RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        AlgorithmForbiddenError,
        "hmac-sha256' is not allowed",
    ),
    "(5) no algorithm": (
        swap(f' Algorithm="{uri.RSA_SHA256}"', ""),
        AlgorithmForbiddenError,
        "'' is not allowed",
    ),
    "(5) parameters of the method": (
        swap("</ds:SignatureMethod>", "<p/></ds:SignatureMethod>"),
        SignatureMalformedError,
        "takes no parameters",
    ),
    "(5) parameters of the canonicalisation": (
        swap(INFO_METHOD, f"{INFO_METHOD}<p/>"),
        SignatureMalformedError,
        "InclusiveNamespaces is missing",
    ),
    "(5) nothing referred to": (
        lambda raw: raw[: raw.index(b"<ds:Reference")] + raw[raw.index(b"</ds:SignedInfo>") :],
        SignatureMalformedError,
        "refers to nothing",
    ),
    "(5) too many references": (
        lambda raw: raw.replace(
            b"<ds:Reference", b"<ds:Reference/>" * POLICY.references_max + b"<ds:Reference", 1
        ),
        SignatureMalformedError,
        "at most 32",
    ),
    "(5) something else in SignedInfo": (
        swap("</ds:SignedInfo>", "<p/></ds:SignedInfo>"),
        SignatureMalformedError,
        "not a Reference",
    ),
    "(5) a reference to the whole document": (
        swap('URI="#body"', 'URI=""'),
        SignatureMalformedError,
        "must point to an Id",
    ),
    "(5) a reference to nothing in particular": (
        swap('URI="#body"', 'URI="#"'),
        SignatureMalformedError,
        "must point to an Id",
    ),
    "(5) a reference to a file": (
        swap('URI="#body"', 'URI="file:///etc/hostname"'),
        SignatureMalformedError,
        "must point to an Id",
    ),
    "(5) an XPointer": (
        swap('URI="#body"', 'URI="#xpointer(/)"'),
        SignatureValueInvalidError,
        "does not fit",
    ),
    "(5) the enveloped transform": (
        swap(TRANSFORM, f'<ds:Transform Algorithm="{ENVELOPED}">'),
        AlgorithmForbiddenError,
        "exclusive C14N 1.0, not",
    ),
    "(5) a second transform": (
        swap(TRANSFORMED, f'{TRANSFORMED}<ds:Transform Algorithm="urn:x"/>'),
        SignatureMalformedError,
        "Transform stands 2 times",
    ),
    "(5) something beside the transform": (
        swap(TRANSFORMED, f"{TRANSFORMED}<p/>"),
        AlgorithmForbiddenError,
        "one transform, and nothing beside it",
    ),
    "(5) no transforms": (
        cut("<ds:Transforms>", "</ds:Transforms>"),
        SignatureMalformedError,
        "Transforms is missing",
    ),
    "(5) a weak digest": (
        swap(uri.DIGEST_SHA256, SHA1),
        AlgorithmForbiddenError,
        "sha1' is not allowed",
    ),
    "(5) a digest that is no base64": (
        swap("<ds:DigestValue>", "<ds:DigestValue>§"),
        SignatureMalformedError,
        "DigestValue is not base64",
    ),
    "(5) a digest with elements in it": (
        swap("<ds:DigestValue>", "<ds:DigestValue><p/>"),
        SignatureMalformedError,
        "must hold text only",
    ),
    "(5) too many prefixes": (
        swap(TRANSFORM, TRANSFORM + PREFIXES % " ".join(f"p{n}" for n in range(33))),
        SignatureMalformedError,
        "parameters that are not its own",
    ),
    "(5) parameters beside the prefixes": (
        swap(TRANSFORM, f"{TRANSFORM}{PREFIXES % 'a'}<p/>"),
        SignatureMalformedError,
        "parameters that are not its own",
    ),
    "(3) no KeyInfo": (
        cut("<ds:KeyInfo>", "</ds:KeyInfo>"),
        SignatureMalformedError,
        "KeyInfo is missing",
    ),
    "(3) KeyInfo holds a key": (
        swap("wsse:SecurityTokenReference>", "wsse:KeyValue>"),
        SignatureMalformedError,
        "0 references to a certificate",
    ),
    "(3) KeyInfo refers elsewhere": (
        swap('URI="#x509"', 'URI="http://example.com/x509"'),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "(3) KeyInfo refers to nothing": (
        swap('URI="#x509"', 'URI="#x510"'),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "(3) KeyInfo refers to another element": (
        swap('URI="#x509"', 'URI="#body"'),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "(3) the token stands outside this header": (
        lambda raw: swap(
            "<h>",
            f"<h><w xmlns:wsse='{names.WSSE}' xmlns:wsu='{names.WSU}'>"
            + raw[raw.index(TOKEN.encode()) : raw.index(TOKEN_END.encode())].decode()
            + TOKEN_END
            + "</w>",
        )(cut(TOKEN, TOKEN_END)(raw)),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "(3) a token of another kind": (
        swap(f'ValueType="{names.X509_V3}" wsu:Id', 'ValueType="urn:Kerberos" wsu:Id'),
        SignatureMalformedError,
        "must hold X.509 v3 certificates",
    ),
    "(3) another encoding": (
        swap(names.BASE64_BINARY, "urn:HexBinary"),
        SignatureMalformedError,
        "encoded as Base64Binary",
    ),
    "(3) a token that is no base64": (
        swap(TOKEN_END, f"${TOKEN_END}"),
        SignatureMalformedError,
        "BinarySecurityToken is not base64",
    ),
    "(4) a token that is no certificate": (
        lambda raw: (
            raw[: raw.index(b">", raw.index(TOKEN.encode())) + 1]
            + STRANGER.encode()
            + raw[raw.index(TOKEN_END.encode()) :]
        ),
        CertificateRejectedError,
        "not an X.509",
    ),
    "(6) an algorithm of another kind of key": (
        swap(uri.RSA_SHA256, uri.ECDSA_SHA256),
        AlgorithmForbiddenError,
        "not of the kind",
    ),
    "(7) no value": (
        cut("<ds:SignatureValue>", "</ds:SignatureValue>"),
        SignatureMalformedError,
        "SignatureValue is missing",
    ),
    "(7) an empty value": (
        lambda raw: cut("<ds:SignatureValue>", "</ds:SignatureValue>")(raw).replace(
            b"</ds:SignedInfo>", b"</ds:SignedInfo><ds:SignatureValue/>"
        ),
        SignatureValueInvalidError,
        "does not fit",
    ),
    "(7) another algorithm of the same kind": (
        swap(uri.RSA_SHA256, uri.RSA_SHA512),
        SignatureValueInvalidError,
        "does not fit",
    ),
    "(7) a digest was swapped": (
        swap("<ds:DigestValue>", f"<ds:DigestValue>{base64.b64encode(bytes(3)).decode()}"),
        SignatureValueInvalidError,
        "does not fit",
    ),
    "(7) prefixes were added": (
        swap(INFO_METHOD, INFO_METHOD + PREFIXES % "wsu"),
        SignatureValueInvalidError,
        "does not fit",
    ),
    "(8) a changed Body": (
        swap("<x>1</x>", "<x>2</x>"),
        DigestMismatchError,
        "b .line 1. was changed",
    ),
    "(8) a blank more in the Body": (
        swap("<x>1</x>", " <x>1</x>"),
        DigestMismatchError,
        "was changed",
    ),
    "(8) a changed route": (
        swap(">2</r>", ">3</r>"),
        DigestMismatchError,
        "r .line 1. was changed",
    ),
    "(8) a changed timestamp": (
        swap("T08:05:00", "T09:05:00"),
        DigestMismatchError,
        "Timestamp",
    ),
    "(8) the Id is gone": (
        swap(' wsu:Id="body"', ""),
        CoverageInsufficientError,
        "no element carries",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_own_error(defect: str, message: bytes, nation: SmallNation) -> None:
    change, error, reason = DEFECTS[defect]

    with pytest.raises(error, match=reason) as caught:
        verify(change(message), nation)

    assert type(caught.value) is error
