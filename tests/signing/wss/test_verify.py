"""Verification gives what was signed; trust is led to an anchor; coverage is by position."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from signing import names
from signing import policy as uri
from signing.errors import (
    AlgorithmForbiddenError,
    CertificateRejectedError,
    CoverageInsufficientError,
    SignatureMalformedError,
    SignatureValueInvalidError,
)
from signing.wss.sign import CanonicalPart, security_header
from tests.certificates import make_certificate, make_root
from tests.nation import NOW, SmallNation, der
from tests.signing.wss.signed_parts import (
    BODY,
    MINUTES,
    POLICY,
    ROUTE,
    signed_message,
    swap,
    verify,
)


@pytest.fixture(scope="session")
def message(nation: SmallNation) -> bytes:
    return signed_message(nation)


def test_an_untouched_message_is_verified_over_both_parts(
    message: bytes, nation: SmallNation
) -> None:
    verified = verify(message, nation)

    assert verified.canonical_parts == {"Body": BODY.canonical, "route": ROUTE.canonical}
    assert verified.algorithm == uri.RSA_SHA256
    assert verified.certificate.subject_identifier == "VN/GOV/H41"


def test_a_signed_info_without_canonical_form_is_malformed(
    message: bytes, nation: SmallNation
) -> None:
    relative = swap("<ds:SignedInfo ", '<ds:SignedInfo xmlns:p="relative" p:x="" ')(message)

    with pytest.raises(SignatureMalformedError, match="no canonical form"):
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

    with pytest.raises(CertificateRejectedError):
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

    with pytest.raises(SignatureValueInvalidError):
        verify(message.replace(mine, theirs), nation)


def test_the_policy_is_asked_for_the_key(message: bytes, nation: SmallNation) -> None:
    with pytest.raises(AlgorithmForbiddenError, match="at least 4096"):
        verify(message, nation, replace(POLICY, rsa_bits_min=4096))


def test_the_policy_bounds_the_references(message: bytes, nation: SmallNation) -> None:
    with pytest.raises(SignatureMalformedError, match="3 references; at most 2"):
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

    with pytest.raises(CoverageInsufficientError, match="Body is not signed where it stands"):
        verify(moved, nation)


def test_a_signed_body_inside_a_stranger_does_not_cover_the_stranger(
    message: bytes, nation: SmallNation
) -> None:
    nested = message.replace(BODY.canonical, b"<b>" + BODY.canonical + b"</b>")

    with pytest.raises(CoverageInsufficientError):
        verify(nested, nation)


def test_a_route_that_was_moved_does_not_cover_the_one_in_its_place(
    message: bytes, nation: SmallNation
) -> None:
    moved = message.replace(b"<h>" + ROUTE.canonical, b"<h><r>9</r>").replace(
        b"</h>", b"<w>" + ROUTE.canonical + b"</w></h>"
    )

    with pytest.raises(CoverageInsufficientError, match="route is not signed"):
        verify(moved, nation)


@pytest.mark.parametrize(("parts", "name"), [((BODY,), "route"), ((ROUTE,), "Body")])
def test_a_part_that_nobody_signed_is_not_covered(
    parts: tuple[CanonicalPart, ...], name: str, nation: SmallNation
) -> None:
    security = security_header(parts, nation.client_signers["p-256"], NOW, MINUTES)
    raw = b"<e><h>" + ROUTE.canonical + security + b"</h>" + BODY.canonical + b"</e>"

    with pytest.raises(CoverageInsufficientError, match=f"{name} is not signed"):
        verify(raw, nation)


def test_a_prefix_list_that_was_added_breaks_the_signature(
    message: bytes, nation: SmallNation
) -> None:
    root = parse_xml(message, bytes_max=len(message))
    transforms = root.findall(f".//{names.TRANSFORM}")
    for transform in transforms:
        etree.SubElement(transform, names.INCLUSIVE_NAMESPACES, {"PrefixList": "xs soap"})
    raw = etree.tostring(root)

    with pytest.raises(SignatureValueInvalidError):
        verify(raw, nation)


EXTRA = CanonicalPart("extra", f'<q xmlns:wsu="{names.WSU}" wsu:Id="extra">3</q>'.encode())


def with_extra(nation: SmallNation, place: str, extra: CanonicalPart = EXTRA) -> bytes:
    """A message whose signature covers a part more, which nobody requires, at this place."""
    parts = [ROUTE, BODY, extra]
    security = security_header(parts, nation.client_signers["rsa-2048"], NOW, MINUTES).decode()
    pieces = {"header": "", "wrapper": "", "security": "", "behind": ""}
    pieces[place] = extra.canonical.decode()
    security = security.replace("</wsse:Security>", pieces["security"] + "</wsse:Security>")
    wrapper = f"<w>{pieces['wrapper']}</w>"
    header = ROUTE.canonical.decode() + security + pieces["header"] + wrapper
    return f"<e><h>{header}</h>{pieces['behind']}{BODY.canonical.decode()}</e>".encode()


def test_a_signed_block_that_nobody_requires_is_verified_where_it_stands(
    nation: SmallNation,
) -> None:
    assert set(verify(with_extra(nation, "header"), nation).canonical_parts) == {"Body", "route"}


@pytest.mark.parametrize("place", ["wrapper", "security", "behind"])
def test_a_signed_block_that_nobody_requires_cannot_be_hidden(
    place: str, nation: SmallNation
) -> None:
    with pytest.raises(CoverageInsufficientError, match="q is signed and does not stand"):
        verify(with_extra(nation, place), nation)


OWN = [
    f'<o:Nonce xmlns:o="{names.WSSE}"',
    f'<o:SignatureConfirmation xmlns:o="{names.WSSE11}"',
    f'<o:Created xmlns:o="{names.WSU}"',
    f'<o:Object xmlns:o="{names.DS}"',
    f'<o:SignedProperties xmlns:o="{names.XADES}v1.3.2#"',
    f'<o:Assertion xmlns:o="{names.SAML}2.0:assertion"',
]


def own(start: str) -> CanonicalPart:
    """A part that WS-Security and its profiles know, not required by us."""
    declared = "" if names.WSU in start else f' xmlns:wsu="{names.WSU}"'
    prefix = "wsu" if declared else "o"
    end = f"</{start[1:].partition(' ')[0]}>"
    return CanonicalPart("own", f'{start}{declared} {prefix}:Id="own">3{end}'.encode())


@pytest.mark.parametrize("start", OWN)
def test_what_is_of_ws_security_may_be_signed_within_its_header(
    start: str, nation: SmallNation
) -> None:
    raw = with_extra(nation, "security", own(start))

    assert set(verify(raw, nation).canonical_parts) == {"Body", "route"}


@pytest.mark.parametrize("start", OWN)
@pytest.mark.parametrize("place", ["wrapper", "behind"])
def test_what_is_of_ws_security_cannot_be_hidden_elsewhere(
    place: str, start: str, nation: SmallNation
) -> None:
    with pytest.raises(CoverageInsufficientError, match="is signed and does not stand"):
        verify(with_extra(nation, place, own(start)), nation)


def test_what_stands_within_a_signed_part_may_be_signed_besides(nation: SmallNation) -> None:
    inner = CanonicalPart("inner", f'<x xmlns:wsu="{names.WSU}" wsu:Id="inner">1</x>'.encode())
    outer = f'<b xmlns:wsu="{names.WSU}" wsu:Id="body"><x wsu:Id="inner">1</x></b>'.encode()
    parts = [ROUTE, CanonicalPart("body", outer), inner]
    security = security_header(parts, nation.client_signers["rsa-2048"], NOW, MINUTES)

    raw = b"<e><h>" + ROUTE.canonical + security + b"</h>" + outer + b"</e>"

    assert set(verify(raw, nation).canonical_parts) == {"Body", "route"}
