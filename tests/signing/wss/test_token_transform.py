"""A token is signed through its reference: the STR Dereference Transform."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from signing import names
from signing.errors import (
    CoverageInsufficientError,
    DigestMismatchError,
    SignatureError,
    SignatureMalformedError,
)
from signing.wss.canonical import EXCLUSIVE
from signing.wss.key_references import Token
from signing.wss.token_transform import token_forms
from tests.nation import SmallNation
from tests.signing.wss.handmade import (
    TO_TOKEN,
    Handmade,
    Ref,
    binary_token,
    by_id,
    canonical,
    issuer_serial,
    key_identifier,
    token_reference,
    token_transform,
    x509_data,
)
from tests.signing.wss.signed_parts import verify


@pytest.fixture(scope="module")
def plain(nation: SmallNation) -> Handmade:
    """A message with a token; the tests change it."""
    signer = nation.client_signers["rsa-2048"]
    return Handmade(
        signer, token_reference(TO_TOKEN, 'wsu:Id="str"'), binary_token(signer.certificate_der)
    )


def test_the_handmade_message_is_sound(plain: Handmade, nation: SmallNation) -> None:
    assert {"Body", "route"} == verify(plain.raw(), nation).canonical_parts.keys()


def dereferenced(octets: Callable[[etree._Element], bytes], prefixes: str = "") -> Ref:
    return Ref("#str", octets, token_transform(prefixes))


def with_default_namespace(octets: bytes) -> bytes:
    return octets.replace(b" ", b' xmlns="" ', 1)


@pytest.mark.parametrize("form", [lambda octets: octets, with_default_namespace])
def test_a_token_is_signed_through_its_reference(
    form: Callable[[bytes], bytes], plain: Handmade, nation: SmallNation
) -> None:
    reference = dereferenced(lambda root: form(canonical(by_id(root, "token"))))

    assert verify(replace(plain, references=[reference]).raw(), nation).value


def test_a_token_with_a_default_namespace_declares_no_other(
    plain: Handmade, nation: SmallNation
) -> None:
    signer = nation.client_signers["rsa-2048"]
    token = binary_token(signer.certificate_der).replace("wsse:", "")
    token = token.replace("<BinarySecurityToken", f'<BinarySecurityToken xmlns="{names.WSSE}"')
    reference = dereferenced(lambda root: canonical(by_id(root, "token")))
    doubled = dereferenced(lambda root: with_default_namespace(canonical(by_id(root, "token"))))

    assert verify(replace(plain, tokens=token, references=[reference]).raw(), nation).value
    with pytest.raises(DigestMismatchError):
        verify(replace(plain, tokens=token, references=[doubled]).raw(), nation)


def implied(der: bytes, attributes: str, prefix: str = "wsse") -> bytes:
    return (
        f'<{prefix}:BinarySecurityToken xmlns:{prefix}="{names.WSSE}" {attributes}>'
        f"{base64.b64encode(der).decode()}</{prefix}:BinarySecurityToken>"
    ).encode()


VALUE_TYPE = f'ValueType="{names.X509_V3}"'
ENCODED = f'EncodingType="{names.BASE64_BINARY}" {VALUE_TYPE}'


@pytest.mark.parametrize("attributes", [VALUE_TYPE, ENCODED])
@pytest.mark.parametrize("form", [lambda octets: octets, with_default_namespace])
def test_a_reference_without_a_token_implies_one(
    attributes: str, form: Callable[[bytes], bytes], plain: Handmade, nation: SmallNation
) -> None:
    der = plain.signer.certificate_der
    thumbprint = key_identifier(hashlib.sha1(der).digest(), names.THUMBPRINT_SHA1)
    message = replace(
        plain,
        key_info=token_reference(thumbprint, 'wsu:Id="str"'),
        tokens="",
        references=[dereferenced(lambda root: form(implied(der, attributes)))],
    )

    assert der == verify(message.raw(), nation, known=[der]).certificate.der


def test_the_implied_token_has_the_prefix_of_its_reference(
    plain: Handmade, nation: SmallNation
) -> None:
    der = plain.signer.certificate_der
    name = plain.signer.certificate.issuer.rfc4514_string()
    inside = x509_data(issuer_serial(name, plain.signer.certificate.serial_number))
    key_info = token_reference(inside, f'xmlns:sec="{names.WSSE}" wsu:Id="str"')
    message = replace(
        plain,
        key_info=key_info.replace("wsse:SecurityToken", "sec:SecurityToken"),
        tokens="",
        references=[dereferenced(lambda root: implied(der, VALUE_TYPE, "sec"))],
    )

    assert verify(message.raw(), nation, known=[der]).value


def test_a_token_is_canonicalised_with_its_prefix_list(
    plain: Handmade, nation: SmallNation
) -> None:
    reference = dereferenced(
        lambda root: etree.tostring(
            by_id(root, "token"),
            method="c14n",
            exclusive=True,
            inclusive_ns_prefixes=["wsu"],
            with_tail=False,
        ),
        "wsu",
    )

    assert verify(replace(plain, references=[reference]).raw(), nation).value


def test_another_implied_token_than_the_signed_one_is_seen(
    plain: Handmade, nation: SmallNation
) -> None:
    der = plain.signer.certificate_der
    thumbprint = key_identifier(hashlib.sha1(der).digest(), names.THUMBPRINT_SHA1)
    message = replace(
        plain,
        key_info=token_reference(thumbprint, 'wsu:Id="str"'),
        tokens="",
        references=[dereferenced(lambda root: implied(der[:-1], VALUE_TYPE))],
    )

    with pytest.raises(DigestMismatchError, match="token behind a SecurityTokenReference"):
        verify(message.raw(), nation, known=[der])


def test_another_token_than_the_signed_one_is_seen(plain: Handmade, nation: SmallNation) -> None:
    other = nation.client_signers["p-256"].certificate_der
    reference = dereferenced(lambda root: implied(other, 'wsu:Id="token"'))

    with pytest.raises(DigestMismatchError, match="token behind a SecurityTokenReference"):
        verify(replace(plain, references=[reference]).raw(), nation)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (("#str", "#body"), SignatureMalformedError, "needs a SecurityTokenReference"),
        (("#str", "#nobody"), CoverageInsufficientError, "no element carries"),
        (("<wsse:TransformationParameters>", "<a/><wsse:TransformationParameters>"), None, ""),
        (("<wsse:TransformationParameters>", "<wsse:TransformationParameters><a/>"), None, ""),
    ],
)
def test_a_token_transform_has_one_form(
    change: tuple[str, str],
    error: type[SignatureError] | None,
    reason: str,
    plain: Handmade,
    nation: SmallNation,
) -> None:
    found = dereferenced(lambda root: canonical(by_id(root, "token")))
    changed = replace(
        found, uri=found.uri.replace(*change), transform=found.transform.replace(*change)
    )

    with pytest.raises(error or SignatureMalformedError, match=reason or "not its own"):
        verify(replace(plain, references=[changed]).raw(), nation)


def test_a_reference_outside_the_security_header_is_not_followed(
    plain: Handmade, nation: SmallNation
) -> None:
    outside = token_reference(TO_TOKEN, f'xmlns:wsse="{names.WSSE}" wsu:Id="far"')
    body = plain.body.replace("<x>", f"{outside}<x>")
    reference = Ref("#far", lambda root: canonical(by_id(root, "token")), token_transform())

    with pytest.raises(SignatureMalformedError, match="of this header"):
        verify(replace(plain, body=body, references=[reference]).raw(), nation)


def test_what_is_no_reference_to_a_token_is_not_dereferenced(
    plain: Handmade, nation: SmallNation
) -> None:
    stranger = f'<wsse:Stranger wsu:Id="other">{TO_TOKEN}</wsse:Stranger>'
    reference = Ref("#other", lambda root: canonical(by_id(root, "token")), token_transform())
    message = replace(plain, tokens=plain.tokens + stranger, references=[reference])

    with pytest.raises(SignatureMalformedError, match="SecurityTokenReference of this header"):
        verify(message.raw(), nation)


def test_a_token_that_is_carried_is_not_signed_as_an_implied_one(
    plain: Handmade, nation: SmallNation
) -> None:
    der = plain.signer.certificate_der
    reference = dereferenced(lambda root: implied(der, VALUE_TYPE))

    with pytest.raises(DigestMismatchError, match="the token behind"):
        verify(replace(plain, references=[reference]).raw(), nation)


def test_only_the_tag_of_a_token_says_that_it_has_a_default_namespace() -> None:
    token = etree.fromstring('<w:T xmlns:w="urn:w" b="2">xmlns=</w:T>')

    forms = list(token_forms(token, Token(b"", token), EXCLUSIVE))

    whole = canonical(token)
    assert forms == [whole, with_default_namespace(whole)]
