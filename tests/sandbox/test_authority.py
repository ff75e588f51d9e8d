"""The sandbox's certificates are what senders of the real nation would hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from bus.sandbox.authority import Authority, Holder, Issued, KeyKind
from signing.errors import CertificateRejectedError
from signing.pki.certificates import TrustStore
from signing.pki.keys import load_certificate, load_signer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOLDER = Holder("Ủy ban nhân dân tỉnh Nghệ An", "VN/GOV/H41", "VN/GOV/H41/motcua")
AUTHORITY = Authority.create("Test Root", NOW)


def der(issued: Issued) -> bytes:
    return load_certificate(issued.certificate_pem).public_bytes(Encoding.DER)


def trust(authority: Authority) -> TrustStore:
    return TrustStore([authority.certificate.public_bytes(Encoding.DER)])


@pytest.mark.parametrize(
    ("kind", "key_type"),
    [
        (KeyKind.RSA_2048, rsa.RSAPrivateKey),
        (KeyKind.P_256, ec.EllipticCurvePrivateKey),
    ],
)
def test_a_certificate_leads_to_the_anchor_and_names_the_member(
    kind: KeyKind, key_type: type
) -> None:
    issued = AUTHORITY.issue(HOLDER, NOW, key_kind=kind)

    validated = trust(AUTHORITY).validate(der(issued), NOW)
    signer = load_signer(issued.key_pem, issued.certificate_pem)

    assert validated.subject_identifier == "VN/GOV/H41"
    assert isinstance(signer.private_key, key_type)
    subject = signer.certificate.subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == HOLDER.organization


def test_a_second_path_validator_takes_it_too() -> None:
    certificate = load_certificate(AUTHORITY.issue(HOLDER, NOW).certificate_pem)
    store = Store([AUTHORITY.certificate])

    verified = (
        PolicyBuilder().store(store).time(NOW).build_client_verifier().verify(certificate, [])
    )

    assert verified.chain == [certificate, AUTHORITY.certificate]
    assert verified.subjects == [x509.UniformResourceIdentifier("urn:lienthong:VN/GOV/H41/motcua")]


def test_a_certificate_is_valid_for_a_year() -> None:
    issued = AUTHORITY.issue(HOLDER, NOW)

    trust(AUTHORITY).validate(der(issued), NOW + timedelta(days=364))
    with pytest.raises(CertificateRejectedError):
        trust(AUTHORITY).validate(der(issued), NOW + timedelta(days=366))


def test_another_authority_of_the_same_name_proves_nothing() -> None:
    stranger = Authority.create("Test Root", NOW).issue(HOLDER, NOW)

    with pytest.raises(CertificateRejectedError):
        trust(AUTHORITY).validate(der(stranger), NOW)


def test_no_two_keys_are_the_same() -> None:
    first, second = AUTHORITY.issue(HOLDER, NOW), AUTHORITY.issue(HOLDER, NOW)

    assert first.key_pem != second.key_pem
    assert first.key_pem.decode() not in repr(first)


def test_an_authority_goes_on_from_its_files() -> None:
    again = Authority.load(AUTHORITY.key_pem(), AUTHORITY.certificate_pem())

    trust(AUTHORITY).validate(der(again.issue(HOLDER, NOW)), NOW)
