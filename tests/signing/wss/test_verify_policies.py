"""Whoever has the certificate decides which policy holds; exceptions open what they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from lxml import etree

from signing import names
from signing import policy as uri
from signing.errors import (
    AlgorithmForbiddenError,
    CertificateRejectedError,
    SignatureMalformedError,
    SignatureValueInvalidError,
)
from tests.nation import SmallNation
from tests.signing.wss.handmade import (
    TO_TOKEN,
    Handmade,
    Ref,
    binary_token,
    by_id,
    canonical,
    part,
    token_reference,
)
from tests.signing.wss.signed_parts import POLICY, verify


@pytest.fixture(scope="module")
def plain(nation: SmallNation) -> Handmade:
    """A message with a token; the tests change it."""
    signer = nation.client_signers["rsa-2048"]
    return Handmade(
        signer, token_reference(TO_TOKEN, 'wsu:Id="str"'), binary_token(signer.certificate_der)
    )


def test_the_certificate_decides_which_policy_holds(plain: Handmade, nation: SmallNation) -> None:
    asked = []

    def policy_of(certificate: object) -> uri.SignaturePolicy:
        asked.append(certificate)
        return replace(POLICY, signature_algorithms=frozenset({uri.ED25519}))

    with pytest.raises(AlgorithmForbiddenError, match="rsa-sha256"):
        verify(plain.raw(), nation, policy_of)
    assert [one.subject_identifier for one in asked] == ["VN/GOV/H41"]  # type: ignore[attr-defined]


def test_a_certificate_that_is_not_trusted_has_no_policy(
    plain: Handmade, nation: SmallNation
) -> None:
    def policy_of(certificate: object) -> uri.SignaturePolicy:
        raise AssertionError("asked")

    stranger = binary_token(b"0\x03\x02\x01\x01")
    with pytest.raises(CertificateRejectedError):
        verify(replace(plain, tokens=stranger).raw(), nation, policy_of)


SHA1 = replace(
    POLICY,
    signature_algorithms=POLICY.signature_algorithms | {uri.RSA_SHA1, uri.ECDSA_SHA1},
    digest_algorithms=POLICY.digest_algorithms | {uri.DIGEST_SHA1},
)


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("rsa-2048", uri.RSA_SHA1), ("p-256", uri.ECDSA_SHA1)]
)
def test_sha1_is_read_by_exception_only(kind: str, algorithm: str, nation: SmallNation) -> None:
    signer = nation.client_signers[kind]
    raw = Handmade(
        signer,
        token_reference(TO_TOKEN),
        binary_token(signer.certificate_der),
        algorithm=algorithm,
        hash=hashes.SHA1(),
        parts=[part("body", digest=uri.DIGEST_SHA1), part("route")],
    ).raw()

    assert algorithm == verify(raw, nation, SHA1).algorithm
    with pytest.raises(AlgorithmForbiddenError):
        verify(raw, nation)
    with pytest.raises(AlgorithmForbiddenError, match="sha1' is not allowed"):
        verify(raw, nation, replace(SHA1, digest_algorithms=POLICY.digest_algorithms))


INCLUSIVE = f'Algorithm="{names.INCLUSIVE_C14N}"'
LOOSE = replace(POLICY, canonicalisations=POLICY.canonicalisations | {names.INCLUSIVE_C14N})


def inclusively(plain: Handmade, octets: Callable[[etree._Element], bytes]) -> Handmade:
    body = Ref("#body", octets, f"<ds:Transform {INCLUSIVE}/>")
    return replace(
        plain,
        method=f"<ds:CanonicalizationMethod {INCLUSIVE}/>",
        canonical_info=lambda info: canonical(info, exclusive=False),
        around=' xmlns:a="urn:a" xmlns="urn:d"',
        parts=[body, part("route")],
    )


def test_canonical_xml_1_0_is_read_by_exception_only(plain: Handmade, nation: SmallNation) -> None:
    raw = inclusively(plain, lambda root: canonical(by_id(root, "body"), exclusive=False)).raw()

    verified = verify(raw, nation, LOOSE)

    assert b'xmlns:a="urn:a"' in verified.canonical_parts["Body"]
    with pytest.raises(AlgorithmForbiddenError, match="must be canonicalised by exclusive"):
        verify(raw, nation)


def test_canonical_xml_1_0_takes_no_parameters(plain: Handmade, nation: SmallNation) -> None:
    message = replace(
        plain, method=f"<ds:CanonicalizationMethod {INCLUSIVE}><a/></ds:CanonicalizationMethod>"
    )

    with pytest.raises(SignatureMalformedError, match="takes no parameters"):
        verify(message.raw(), nation, LOOSE)


def test_an_exception_for_others_does_not_let_a_value_through(
    plain: Handmade, nation: SmallNation
) -> None:
    with pytest.raises(SignatureValueInvalidError):
        verify(plain.raw().replace(b"rsa-sha256", b"rsa-sha384"), nation, SHA1)
