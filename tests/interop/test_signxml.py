"""signxml, another implementation in Python, judges our signatures and makes some for us."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.exceptions import InvalidSignature
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from bus.core.envelope import SoapVersion
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.parse import parse
from signing import names
from signing import policy as uri
from signing.pki.keys import Signer
from tests.envelopes import HEADER_BLOCKS, body, security, timestamp
from tests.interop.key_infos import WAYS, named_by
from tests.nation import CLIENT, NOW, SmallNation, request

pytestmark = pytest.mark.interop

ALGORITHMS = [
    ("rsa-2048", uri.RSA_SHA256),
    ("rsa-2048", uri.RSA_SHA384),
    ("rsa-2048", uri.RSA_PSS_SHA256),
    ("rsa-2048", uri.RSA_PSS_SHA512),
    ("p-256", uri.ECDSA_SHA256),
    ("p-384", uri.ECDSA_SHA384),
]
PARTS = (*HEADER_BLOCKS, "body", "timestamp")


def signed_parts(raw: bytes, nation: SmallNation, kind: str) -> list[bytes]:
    """The parts that signxml finds signed under the key of this kind."""
    results = XMLVerifier().verify(
        raw,
        x509_cert=nation.client_signers[kind].certificate,
        expect_config=SignatureConfiguration(expect_references=len(PARTS), verification_time=NOW),
    )
    assert isinstance(results, list)
    return [result.signed_data for result in results]


@pytest.mark.parametrize("version", SoapVersion)
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_signxml_accepts_what_we_sign_and_sees_the_same_parts(
    nation: SmallNation, kind: str, algorithm: str, version: SoapVersion
) -> None:
    signer = nation.client_signers[kind]
    raw = request(nation, signer=signer, algorithm=algorithm, soap_version=version)

    theirs = signed_parts(raw, nation, kind)

    judged = decide(raw, parse, nation.rules, NOW)
    assert isinstance(judged, RoutedMessage)
    ours = judged.valid.authorised.verified.canonical_parts
    assert sorted(theirs) == sorted(ours.values())
    assert {body(raw), timestamp(raw)} <= set(theirs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"040185766517", b"040185766518"),
        (b">VN0117<", b">VN0118<"),
        (b"T08:05:00", b"T09:05:00"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"),
    ],
)
def test_what_was_altered_is_refused_by_both(nation: SmallNation, old: bytes, new: bytes) -> None:
    raw = request(nation, signer=nation.client_signers["rsa-2048"]).replace(old, new)

    with pytest.raises(InvalidSignature):
        signed_parts(raw, nation, "rsa-2048")
    assert isinstance(decide(raw, parse, nation.rules, NOW), Refusal)


@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_we_accept_what_signxml_signs(nation: SmallNation, kind: str, algorithm: str) -> None:
    signer = nation.client_signers[kind]
    template = request(nation, signer=signer, algorithm=algorithm)

    raw = signed_by_signxml(template, signer, algorithm)

    judged = decide(raw, parse, nation.rules, NOW)
    assert isinstance(judged, RoutedMessage), judged


@pytest.mark.parametrize("way", WAYS)
def test_we_find_the_certificate_by_every_reference_in_what_signxml_signs(
    nation: SmallNation, way: str
) -> None:
    signer = nation.signers[CLIENT]
    template = named_by(way, request(nation), signer.certificate_der)

    raw = signed_by_signxml(template, signer, signer.algorithm)

    judged = decide(raw, parse, nation.rules, NOW)
    assert isinstance(judged, RoutedMessage), judged


def signed_by_signxml(template: bytes, signer: Signer, algorithm: str) -> bytes:
    """A message of ours with the signature of signxml in the place of ours."""
    signature = re.search(rb"<ds:Signature .*</ds:Signature>", security(template), re.DOTALL)
    assert signature is not None
    unsigned = template.replace(signature[0], b"")
    ours = parse_xml(template, bytes_max=len(template))

    key = signer.private_key
    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)
    theirs = XMLSigner(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=SignatureMethod(algorithm),
        digest_algorithm=DigestAlgorithm.SHA512,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ).sign(
        parse_xml(unsigned, bytes_max=len(unsigned)),
        key=key,
        reference_uri=[f"#{part}" for part in PARTS],
        key_info=ours.find(f".//{names.KEY_INFO}"),
    )

    text = etree.tostring(theirs)
    return unsigned.replace(b"</wsse:Security>", text + b"</wsse:Security>")
