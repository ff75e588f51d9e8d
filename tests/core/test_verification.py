"""Who sent an envelope: signature, freshness, member, client."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bus.core import errors
from bus.core.identifiers import MemberId, SubsystemId
from bus.core.verification import VerifiedEnvelope, verify
from bus.protocols.soap_xroad.parse import parse
from signing.pki.keys import make_signer
from signing.policy import ED25519, SignaturePolicy
from tests.certificates import make_certificate
from tests.envelopes import HEADER_BLOCKS, body, security, signed_again, timestamp, with_part
from tests.nation import CLIENT, NOW, OTHER_CLIENT, SmallNation, request


def verified(raw: bytes, nation: SmallNation, now: datetime = NOW) -> VerifiedEnvelope:
    rules = nation.rules
    return verify(parse(raw, rules.registry.limits), rules.registry, rules.trust, now)


def test_a_signed_request_is_verified_with_the_bytes_that_were_signed(nation: SmallNation) -> None:
    raw = request(nation)

    proved = verified(raw, nation)

    assert proved.sender == MemberId.parse("VN/GOV/H41")
    assert proved.created == NOW
    assert proved.certificate_digest == nation.signers[CLIENT].certificate_sha256
    assert proved.canonical_parts["Body"] == body(raw)
    assert "canonical_parts=" not in repr(proved)
    assert " certificate=" not in repr(proved)
    assert set(proved.canonical_parts) == {
        "Body",
        "Timestamp",
        "client",
        "service",
        "userId",
        "id",
        "issue",
        "protocolVersion",
    }


def test_the_certificate_that_was_verified_goes_on_with_the_message(nation: SmallNation) -> None:
    signer = nation.signers[CLIENT]

    assert verified(request(nation), nation).certificate == signer.certificate_der


def test_a_certificate_that_names_two_members_leads_to_none(nation: SmallNation) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_IDENTIFIER, str(member))
        for member in (CLIENT.member, OTHER_CLIENT.member)
    ]
    for subject in (
        x509.Name(names),
        x509.Name([x509.RelativeDistinguishedName(names)]),
        x509.Name([names[0], names[0]]),
    ):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(nation.issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=1))
            .sign(nation.issuer.key, hashes.SHA256())
        )

        with pytest.raises(errors.SenderUnknown, match="certificate subject ''"):
            verified(request(nation, signer=make_signer(key, certificate)), nation)


def test_a_request_without_security_header_is_unsigned(nation: SmallNation) -> None:
    raw = request(nation)

    with pytest.raises(errors.SignatureMissing, match="no wsse:Security"):
        verified(raw.replace(security(raw), b""), nation)


def test_a_security_header_for_somebody_else_is_not_ours(nation: SmallNation) -> None:
    raw = request(nation).replace(
        b'soap:mustUnderstand="1"', b'soap:mustUnderstand="1" soap:actor="urn:somebody"'
    )

    with pytest.raises(errors.SignatureMissing):
        verified(raw, nation)


@pytest.mark.parametrize("count", [0, 2])
def test_a_message_carries_one_timestamp(nation: SmallNation, count: int) -> None:
    raw = request(nation)

    with pytest.raises(errors.SignatureMalformed, match=f"{count} wsu:Timestamp"):
        verified(raw.replace(timestamp(raw), timestamp(raw) * count), nation)


@pytest.mark.parametrize("name", HEADER_BLOCKS)
def test_every_routing_header_must_be_signed(nation: SmallNation, name: str) -> None:
    others = [one for one in HEADER_BLOCKS if one != name]
    raw = signed_again(request(nation), nation.signers[CLIENT], blocks=others)

    with pytest.raises(errors.CoverageInsufficient, match=f"{name} is not signed"):
        verified(raw, nation)


def test_the_body_must_be_signed(nation: SmallNation) -> None:
    raw = signed_again(request(nation), nation.signers[CLIENT], signs_body=False)

    with pytest.raises(errors.CoverageInsufficient, match="Body is not signed"):
        verified(raw, nation)


ERRORS_OF_SIGNATURES = {
    errors.SignatureMalformed: (b"wsse:SecurityTokenReference", b"wsse:KeyName"),
    errors.DigestMismatch: (b"H41.MOTCUA", b"H41.MOTCUB"),
    errors.SignatureInvalid: (b"<ds:DigestValue>", b"<ds:DigestValue>AAAA"),
    errors.AlgorithmForbidden: (b"xmlenc#sha256", b"xmlenc#sha224"),
    errors.CertificateRejected: (b'wsu:Id="x509">MI', b'wsu:Id="x509">NI'),
}


@pytest.mark.parametrize("error", ERRORS_OF_SIGNATURES)
def test_each_error_of_a_signature_has_its_code(
    nation: SmallNation, error: type[errors.BusError]
) -> None:
    with pytest.raises(error):
        verified(request(nation).replace(*ERRORS_OF_SIGNATURES[error]), nation)


def test_a_security_header_without_a_signature_is_unsigned(nation: SmallNation) -> None:
    raw = request(nation)
    start, end = raw.index(b"<ds:Signature "), raw.index(b"</wsse:Security>")

    with pytest.raises(errors.SignatureMissing, match="Signature is missing"):
        verified(raw[:start] + raw[end:], nation)


# --- (3) freshness -------------------------------------------------------------------------------

SECOND = timedelta(seconds=1)
AGE_MAX = timedelta(seconds=300)
SKEW_MAX = timedelta(seconds=60)


@pytest.mark.parametrize("age", [-SKEW_MAX, timedelta(0), AGE_MAX])
def test_a_message_within_its_time_is_taken(nation: SmallNation, age: timedelta) -> None:
    raw = request(nation, created=NOW - age, valid_for=timedelta(hours=1))

    assert verified(raw, nation).created == NOW - age


@pytest.mark.parametrize(
    ("age", "valid_for", "reason"),
    [
        (AGE_MAX + SECOND, timedelta(hours=1), "too old"),
        (-SKEW_MAX - SECOND, timedelta(hours=1), "in the future"),
        (SECOND * 2, SECOND * 2, "expired at"),
        (SECOND * 2, SECOND, "expired at"),
    ],
)
def test_a_message_outside_its_time_is_refused(
    nation: SmallNation, age: timedelta, valid_for: timedelta, reason: str
) -> None:
    raw = request(nation, created=NOW - age, valid_for=valid_for)

    with pytest.raises(errors.MessageExpired, match=reason):
        verified(raw, nation)


def stamped(nation: SmallNation, inside: str) -> bytes:
    """A request whose signed timestamp holds this."""
    signer = nation.client_signers["p-256"]
    raw = request(nation, signer=signer)
    old = timestamp(raw)
    new = old[: old.index(b">") + 1] + inside.encode() + b"</wsu:Timestamp>"
    return with_part(raw, old, new, signer)


def created(text: str) -> str:
    return f"<wsu:Created>{text}</wsu:Created>"


@pytest.mark.parametrize(
    ("inside", "error", "reason"),
    [
        ("", errors.MessageExpired, "has no wsu:Created"),
        (created("yesterday"), errors.SignatureMalformed, "no.* xs:dateTime"),
        (created(""), errors.SignatureMalformed, "no.* xs:dateTime"),
        (created("2026-02-30T08:00:00Z"), errors.SignatureMalformed, "no.* xs:dateTime"),
        (created("2026-W09-7T08:00:00Z"), errors.SignatureMalformed, "no.* xs:dateTime"),
        (created("2026-03-01T08:00:00.0xZ"), errors.SignatureMalformed, "no.* xs:dateTime"),
        (created("2026-03-01T08:00:00Z") * 2, errors.SignatureMalformed, "one thing twice"),
        (created("<x></x>"), errors.SignatureMalformed, "one thing twice"),
        (created("0001-01-01T00:00:00+14:00"), errors.MessageExpired, "too old"),
        (created("9999-12-31T23:59:59-14:00"), errors.MessageExpired, "in the future"),
    ],
)
def test_a_timestamp_without_a_sound_time_is_refused(
    nation: SmallNation, inside: str, error: type[errors.BusError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        verified(stamped(nation, inside), nation)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T08:00:00Z",
        "2026-03-01T08:00:00.000Z",
        "2026-03-01T15:00:00+07:00",
        "2026-03-01T08:00:00",
        " 2026-03-01T08:00:00Z\n",
    ],
)
def test_a_time_may_be_written_in_every_form_that_senders_use(
    nation: SmallNation, text: str
) -> None:
    assert verified(stamped(nation, created(text)), nation).created == NOW


# --- (4) and (5): whose certificate, which client ----------------------------------------------


def test_a_certificate_of_no_member_belongs_to_nobody(nation: SmallNation) -> None:
    signer = nation.client_signers["p-256"]
    certificate = make_certificate(
        nation.issuer, signer.private_key.public_key(), NOW, identifier="VN/GOV/Z99"
    )
    stranger = make_signer(signer.private_key, certificate)

    with pytest.raises(errors.SenderUnknown, match="'VN/GOV/Z99'"):
        verified(request(nation, signer=stranger), nation)


def test_a_client_that_is_not_registered_is_unknown(nation: SmallNation) -> None:
    client = SubsystemId(CLIENT.member, "khongco")

    with pytest.raises(errors.ClientUnknown, match="VN/GOV/H41/khongco"):
        verified(request(nation, client=client, signer=nation.signers[CLIENT]), nation)


def test_a_client_of_another_member_is_not_the_signer(nation: SmallNation) -> None:
    raw = request(nation, client=OTHER_CLIENT, signer=nation.signers[CLIENT])

    with pytest.raises(errors.SenderMismatch, match="VN/GOV/H26/motcua, signed by VN/GOV/H41"):
        verified(raw, nation)


def test_the_policy_of_the_nation_is_in_force(nation: SmallNation) -> None:
    rules = nation.rules
    strict = replace(rules.registry, policy=SignaturePolicy(frozenset({ED25519})))
    envelope = parse(request(nation), rules.registry.limits)

    with pytest.raises(errors.AlgorithmForbidden):
        verify(envelope, strict, rules.trust, NOW)
