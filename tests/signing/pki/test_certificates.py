"""A certificate is taken if it leads to an anchor at the time, and for nothing else it says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bus.sandbox.authority import Authority
from signing.errors import CertificateRejectedError
from signing.pki import certificates
from signing.pki.certificates import TrustStore
from signing.pki.keys import load_private_key
from signing.pki.known_certificates import CERTIFICATE_BYTES_MAX
from tests.certificates import AUTHORITY, DAY, ENCIPHERING, Issuer, make_certificate, make_root
from tests.nation import NOW, der

ROOT = make_root("root", NOW)
OTHER_ROOT = make_root("other root", NOW)
SAME_NAME = make_root("root", NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
_BETWEEN_KEY = ec.generate_private_key(ec.SECP256R1())
BETWEEN = Issuer(
    _BETWEEN_KEY,
    make_certificate(ROOT, _BETWEEN_KEY.public_key(), NOW, name="between", usage=AUTHORITY),
)


SECOND = timedelta(seconds=1)


def store(*intermediates: x509.Certificate) -> TrustStore:
    return TrustStore([der(ROOT.certificate)], [der(one) for one in intermediates])


def leaf(issuer: Issuer = ROOT, public_key: Any = None, **defect: Any) -> bytes:
    return der(make_certificate(issuer, public_key or KEY.public_key(), NOW, **defect))


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_a_sound_certificate_leads_to_its_key_and_its_subject(make_key: Callable[[], Any]) -> None:
    key = make_key().public_key()

    validated = store().validate(leaf(public_key=key, identifier="VN/GOV/H41"), NOW)

    assert validated.public_key == key
    assert validated.subject_identifier == "VN/GOV/H41"


def test_a_certificate_without_key_usage_may_sign() -> None:
    assert store().validate(leaf(usage=None), NOW).public_key == KEY.public_key()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (leaf(valid_until=timedelta(hours=-1)), "expired"),
        (leaf(valid_from=timedelta(hours=1)), "not.*valid until"),
        (leaf(OTHER_ROOT), "issuer"),
        (leaf(SAME_NAME), "signature|issuer"),
        (der(make_root("itself", NOW, KEY).certificate), "."),
        (leaf(usage=AUTHORITY), "authority does not sign"),
        (leaf(usage=ENCIPHERING), "neither digitalSignature nor nonRepudiation"),
        (leaf(BETWEEN), "issuer"),
        (leaf()[:-1], "not an X.509"),
        (leaf() + b"\x00", "not an X.509"),
        (b"", "not an X.509"),
        (b"\x30\x00", "not an X.509"),
        (bytes(CERTIFICATE_BYTES_MAX + 1), "is not looked at"),
    ],
)
def test_a_certificate_with_a_defect_is_rejected(raw: bytes, reason: str) -> None:
    with pytest.raises(CertificateRejectedError, match=reason):
        store().validate(raw, NOW)


def purposes(*usages: str) -> bytes:
    """A certificate whose extended key usage names these."""
    usage = x509.ExtendedKeyUsage([x509.ObjectIdentifier(one) for one in usages])
    return leaf(extensions=[usage])


CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
EMAIL, DOCUMENTS, ANY = "1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "2.5.29.37.0"
MICROSOFT_DOCUMENTS = "1.3.6.1.4.1.311.10.3.12"
CODE, OCSP, TIME = "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.9", "1.3.6.1.5.5.7.3.8"


@pytest.mark.parametrize(
    "usages",
    [
        (CLIENT_AUTH,),
        (EMAIL,),
        (DOCUMENTS,),
        (MICROSOFT_DOCUMENTS,),
        (ANY,),
        (SERVER_AUTH, CLIENT_AUTH),
    ],
)
def test_an_extended_key_usage_that_allows_signing_is_enough(usages: tuple[str, ...]) -> None:
    assert store().validate(purposes(*usages), NOW).public_key == KEY.public_key()


@pytest.mark.parametrize(
    ("usages", "reason"),
    [
        ((SERVER_AUTH,), "server_auth. allows no signing"),
        ((CODE, SERVER_AUTH), "allows no signing"),
        (("1.2.3.4",), "allows no signing"),
        ((OCSP,), "OCSP or time-stamping"),
        ((TIME,), "OCSP or time-stamping"),
        ((OCSP, CLIENT_AUTH), "OCSP or time-stamping"),
        ((TIME, ANY), "OCSP or time-stamping"),
    ],
)
def test_a_certificate_for_something_else_signs_no_messages(
    usages: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(CertificateRejectedError, match=reason):
        store().validate(purposes(*usages), NOW)


def test_the_anchor_itself_signs_no_messages() -> None:
    with pytest.raises(CertificateRejectedError, match="authority does not sign"):
        store().validate(der(ROOT.certificate), NOW)


@pytest.mark.parametrize(
    "make_key",
    [lambda: dsa.generate_private_key(2048), x25519.X25519PrivateKey.generate],
)
def test_a_key_that_signs_nothing_here_is_rejected(make_key: Callable[[], Any]) -> None:
    with pytest.raises(CertificateRejectedError, match="must be RSA"):
        store().validate(leaf(public_key=make_key().public_key()), NOW)


def test_an_intermediate_leads_on_only_if_the_operator_gave_it() -> None:
    assert store(BETWEEN.certificate).validate(leaf(BETWEEN), NOW).subject_identifier

    with pytest.raises(CertificateRejectedError):
        store().validate(leaf(BETWEEN), NOW)


def test_an_expired_intermediate_leads_nowhere() -> None:
    expired = make_certificate(
        ROOT,
        _BETWEEN_KEY.public_key(),
        NOW,
        name="between",
        usage=AUTHORITY,
        valid_until=timedelta(hours=-1),
    )

    with pytest.raises(CertificateRejectedError, match="expired"):
        store(expired).validate(leaf(BETWEEN), NOW)


def test_what_an_anchor_says_of_the_paths_below_it_holds() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority.create("issues end entities only", NOW)
    anchor = Issuer(load_private_key(authority.key_pem()), authority.certificate)
    between = make_certificate(anchor, key.public_key(), NOW, name="one", usage=AUTHORITY)
    trust = TrustStore([der(anchor.certificate)], [der(between)])

    assert trust.validate(leaf(anchor), NOW).subject_identifier == "VN/GOV/H41"
    with pytest.raises(CertificateRejectedError, match="path length"):
        trust.validate(leaf(Issuer(key, between)), NOW)


@pytest.mark.parametrize("validity", [{"valid_until": -SECOND}, {"valid_from": SECOND}])
def test_a_second_out_of_its_time_is_out_of_its_time(validity: dict[str, Any]) -> None:
    with pytest.raises(CertificateRejectedError):
        store().validate(leaf(**validity), NOW)


def test_an_end_entity_issues_nothing() -> None:
    end = Issuer(KEY, make_certificate(ROOT, KEY.public_key(), NOW, name="end"))
    below = leaf(end, ec.generate_private_key(ec.SECP256R1()).public_key())

    with pytest.raises(CertificateRejectedError):
        store(end.certificate).validate(below, NOW)


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [
        (NOW - 2 * DAY, False),
        (NOW - DAY, True),
        (NOW + 30 * DAY, True),
        (NOW + 31 * DAY, False),
    ],
)
def test_validity_is_that_of_the_time_asked_for(now: datetime, is_valid: bool) -> None:
    trust = store()

    if is_valid:
        assert trust.validate(leaf(), now).path_valid_until == NOW + 30 * DAY
    else:
        with pytest.raises(CertificateRejectedError):
            trust.validate(leaf(), now)


def test_what_was_validated_once_is_not_walked_again_while_it_is_valid() -> None:
    trust = store()
    raw = leaf()

    first = trust.validate(raw, NOW)

    assert trust.validate(raw, NOW + DAY) is first


def test_what_was_validated_once_is_rejected_when_its_time_is_over() -> None:
    trust = store()
    raw = leaf()
    trust.validate(raw, NOW)

    for late in (NOW + 31 * DAY, NOW - 2 * DAY):
        with pytest.raises(CertificateRejectedError):
            trust.validate(raw, late)


def test_the_validity_kept_is_that_of_the_whole_path() -> None:
    short = make_certificate(
        ROOT,
        _BETWEEN_KEY.public_key(),
        NOW,
        name="between",
        usage=AUTHORITY,
        valid_from=-DAY / 2,
        valid_until=DAY,
    )

    validated = store(short).validate(leaf(BETWEEN), NOW)

    assert (validated.path_valid_from, validated.path_valid_until) == (NOW - DAY / 2, NOW + DAY)


def test_a_certificate_is_not_kept_longer_than_its_anchor_is_valid() -> None:
    long = leaf(valid_from=-1000 * DAY, valid_until=1000 * DAY)
    anchor = ROOT.certificate

    validated = store().validate(long, NOW)

    assert validated.path_valid_from == anchor.not_valid_before_utc
    assert validated.path_valid_until == anchor.not_valid_after_utc


def test_only_so_many_certificates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "CERTIFICATES_KEPT_MAX", 2)
    trust = store()
    raws = [leaf(name=str(number)) for number in range(3)]

    first, _, third = (trust.validate(raw, NOW) for raw in raws)

    assert trust.validate(raws[2], NOW) is third
    assert trust.validate(raws[0], NOW) is not first


def test_a_certificate_names_a_member_once_or_not_at_all() -> None:
    identifiers = x509.NameAttribute(x509.NameOID.ORGANIZATION_IDENTIFIER, "VN/GOV/H41")
    subject = x509.Name([identifiers, identifiers])
    builder = x509.CertificateBuilder(
        issuer_name=ROOT.certificate.subject,
        subject_name=subject,
        public_key=KEY.public_key(),
        serial_number=7,
        not_valid_before=NOW - DAY,
        not_valid_after=NOW + DAY,
    )
    twice = der(builder.sign(ROOT.key, hashes.SHA256()))

    assert store().validate(twice, NOW).subject_identifier == ""
    assert store().validate(leaf(identifier=None), NOW).subject_identifier == ""


def test_a_store_is_named_by_its_anchors_and_intermediates_in_any_order() -> None:
    one, other = der(ROOT.certificate), der(OTHER_ROOT.certificate)

    assert TrustStore([one, other]).digest == TrustStore([other, one]).digest
    assert TrustStore([one, other]).digest == TrustStore([one], [other]).digest
    assert TrustStore([one]).digest != TrustStore([other]).digest
    both = sorted(hashlib.sha256(each).digest() for each in (one, other))
    assert TrustStore([one, other]).digest == hashlib.sha256(b"".join(both)).digest()


def test_an_anchor_that_cannot_be_read_is_refused() -> None:
    version = der(ROOT.certificate).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)
    for unreadable in (b"no certificate", version, der(ROOT.certificate) + b"\x05\x00"):
        with pytest.raises(CertificateRejectedError, match="not an X"):
            TrustStore([unreadable])


def test_what_is_longer_than_a_certificate_is_not_looked_at() -> None:
    with pytest.raises(CertificateRejectedError, match="16385 bytes is not looked at"):
        store().validate(bytes(CERTIFICATE_BYTES_MAX + 1), NOW)
    with pytest.raises(CertificateRejectedError, match="not an X"):
        store().validate(bytes(CERTIFICATE_BYTES_MAX), NOW)


@pytest.mark.parametrize("usage", ["digital_signature", "content_commitment"])
def test_each_key_usage_for_signatures_is_enough(usage: str) -> None:
    others = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    none = dict.fromkeys(
        (*others, "digital_signature", "content_commitment", "crl_sign", "encipher_only"), False
    )
    extension = x509.KeyUsage(**{**none, "decipher_only": False, usage: True})

    raw = leaf(usage=None, extensions=[extension])

    assert store().validate(raw, NOW).public_key == KEY.public_key()


SOUND = leaf()


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(SOUND) - 1), value=st.integers(0, 255))
@example(place=12, value=3)  # a version that there is not
@example(place=287, value=0)  # a key of no bits
def test_a_certificate_with_another_byte_is_rejected_or_says_the_same(
    place: int, value: int
) -> None:
    changed = SOUND[:place] + bytes([value]) + SOUND[place + 1 :]
    sound = store().validate(SOUND, NOW)

    try:
        validated = store().validate(changed, NOW)
    except CertificateRejectedError:
        return

    # Only the spelling of the authority's signature has room for another byte.
    assert replace(validated, digest=sound.digest, der=SOUND) == sound


def test_path_validation_waits_for_nothing() -> None:
    ended = []

    async def fetch() -> Any:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append("closed")

    with pytest.raises(CertificateRejectedError, match="not given"):
        certificates.run_without_waiting(waiting := fetch())
    assert ended == ["closed"], waiting


def test_a_store_for_another_thread_holds_the_same() -> None:
    anchor, between, known = der(ROOT.certificate), der(BETWEEN.certificate), leaf()
    first = TrustStore([anchor], [between], [known])

    other = first.for_another_thread()

    assert other is not first
    assert (other.digest, other.anchors) == (first.digest, (anchor,))
    assert other.intermediates == (between,)
    assert other.known.certificates == (known,)
