"""Evidence tells whether a certificate was revoked; what is no evidence tells nothing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.errors import CertificateRejectedError
from signing.pki import revocation
from signing.pki.certificate_paths import (
    crl_issuer_name,
    listed_serial_numbers,
    ocsp_request,
    path_links,
)
from signing.pki.certificates import TrustStore
from signing.pki.revocation import (
    Evidence,
    Good,
    Revoked,
    Status,
    Unknown,
    link_status,
    revocation_status,
)
from tests.certificates import AUTHORITY, DAY, Issuer, make_certificate, make_root
from tests.nation import NOW, der
from tests.revocation import (
    CRL_URL,
    HOUR,
    OCSP_URL,
    about,
    make_crl,
    make_responder,
    ocsp_response,
    sources,
)

ROOT = make_root("root", NOW)
STRANGER = make_root("root", NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = make_certificate(ROOT, KEY.public_key(), NOW, extensions=sources())
OTHER_LEAF = make_certificate(ROOT, KEY.public_key(), NOW, name="other", extensions=sources())
PLAIN_LEAF = make_certificate(ROOT, KEY.public_key(), NOW)
TRUST = TrustStore([der(ROOT.certificate)])
MINUTE = timedelta(minutes=1)
TRY_LATER = ocsp.OCSPResponseBuilder.build_unsuccessful(
    ocsp.OCSPResponseStatus.TRY_LATER
).public_bytes(Encoding.DER)


def status(
    *evidence: Evidence, leaf: x509.Certificate = LEAF, moment: datetime = NOW, **options: bool
) -> Status:
    return revocation_status(TRUST, der(leaf), evidence, moment, **options)


def response(this_update: datetime = NOW - MINUTE, **defect: Any) -> Evidence:
    return about(LEAF, ocsp_response(LEAF, ROOT, this_update, **defect))


def listed(this_update: datetime = NOW - MINUTE, **revoked: Any) -> Evidence:
    return about(ROOT.certificate, make_crl(ROOT, this_update, **revoked))


# --- OCSP ----------------------------------------------------------------------------------------


def test_a_response_of_the_issuer_says_good_for_its_window() -> None:
    piece = response()

    assert status(piece) == Good(NOW - MINUTE, NOW - MINUTE + HOUR, (piece,))


def test_a_response_without_next_update_counts_for_half_an_hour() -> None:
    good = status(response(valid_for=None))

    assert isinstance(good, Good)
    assert good.next_update == NOW + 29 * MINUTE


def test_a_responder_with_the_usage_speaks_for_its_issuer() -> None:
    assert isinstance(status(response(responder=make_responder(ROOT, NOW))), Good)


def test_a_revoked_certificate_is_told_with_time_and_reason() -> None:
    piece = response(revoked_at=NOW - HOUR, responder=make_responder(ROOT, NOW))

    found = status(piece)

    assert isinstance(found, Revoked)
    assert (found.since, found.reason) == (NOW - HOUR, "key_compromise")
    assert found.evidence == (piece,)
    assert piece.digest == found.evidence[0].digest


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        (response(responder=make_responder(STRANGER, NOW)), "could not be validated"),
        (response(responder=STRANGER), "unauthorized|could not be validated"),
        (response(responder=make_responder(ROOT, NOW, usages=())), "unauthorized"),
        (
            response(
                responder=make_responder(ROOT, NOW, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
            ),
            "unauthorized",
        ),
        (response(responder=make_responder(ROOT, NOW, valid_until=-HOUR)), "validated"),
        (response(responder=make_responder(ROOT, NOW, is_exempt=False)), "validated"),
        (response(is_unknown=True), "."),
        (response(NOW + HOUR), "was issued later"),
        (about(LEAF, ocsp_response(OTHER_LEAF, ROOT, NOW)), "serial number does not match"),
        (about(LEAF, ocsp_response(LEAF, STRANGER, NOW)), "."),
        (about(LEAF, TRY_LATER), "other certificates"),
        (about(LEAF, b""), "cannot be used"),
        (about(LEAF, b"<html>no responder</html>"), "cannot be used"),
        (about(LEAF, response().der[:-1]), "cannot be used"),
        (about(LEAF, response().der + b"\x00"), "cannot be used"),
    ],
)
def test_a_response_that_is_no_proof_tells_nothing(piece: Evidence, why: str) -> None:
    found = status(piece)

    assert isinstance(found, Unknown)
    assert re.search(why, found.why), found.why


def test_a_response_signed_over_a_weak_hash_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = response()
    monkeypatch.setattr(revocation, "DEFAULT_WEAK_HASH_ALGOS", frozenset({"sha256"}))

    assert status(piece) == Unknown("the evidence is signed over a weak hash")


def test_a_responder_that_is_not_exempt_is_itself_looked_up() -> None:
    responder = make_responder(ROOT, NOW, is_exempt=False)
    piece = response(responder=responder)
    revoked = about(
        ROOT.certificate, make_crl(ROOT, NOW - 2 * MINUTE, {responder.certificate: NOW - HOUR})
    )

    good = status(piece, listed(NOW - 2 * MINUTE))
    told_by_crl = status(piece, revoked)

    assert isinstance(good, Good)
    assert good.evidence == (piece,)
    assert isinstance(told_by_crl, Good)
    assert told_by_crl.evidence == (revoked,)


# --- CRLs ----------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_listed_is_good_for_the_lists_window() -> None:
    piece = listed()

    assert status(piece) == Good(NOW - MINUTE, NOW - MINUTE + 24 * HOUR, (piece,))
    assert status(piece, leaf=PLAIN_LEAF) == status(piece)


def test_a_listed_certificate_is_revoked() -> None:
    found = status(about(ROOT.certificate, make_crl(ROOT, NOW - MINUTE, {LEAF: NOW - HOUR})))

    assert isinstance(found, Revoked)
    assert (found.since, found.reason) == (NOW - HOUR, "key_compromise")


def test_an_entry_of_the_very_second_counts_even_if_our_clock_is_late() -> None:
    for since in (NOW, NOW + timedelta(seconds=5)):
        crl = make_crl(ROOT, NOW, {LEAF: since})
        assert isinstance(status(about(ROOT.certificate, crl)), Revoked)


@pytest.mark.parametrize(
    "piece",
    [
        about(ROOT.certificate, make_crl(ROOT, NOW, signed_by=STRANGER.key)),
        about(ROOT.certificate, make_crl(make_root("another", NOW), NOW)),
        about(ROOT.certificate, b"0\x82\x00\x00"),
    ],
)
def test_a_list_that_is_no_proof_tells_nothing(piece: Evidence) -> None:
    assert isinstance(status(piece), Unknown)


# --- several pieces, several times ---------------------------------------------------------------


def test_nothing_is_known_without_evidence() -> None:
    found = status()

    assert isinstance(found, Unknown)
    assert "no evidence about" in found.why


def test_the_newest_evidence_decides_whatever_its_kind() -> None:
    good, revoked = response(NOW - 2 * MINUTE), response(revoked_at=NOW - HOUR)
    newer_list = about(ROOT.certificate, make_crl(ROOT, NOW, {LEAF: NOW - HOUR}))

    assert isinstance(status(good, revoked), Revoked)
    assert isinstance(status(revoked, good), Revoked)
    assert isinstance(status(good, newer_list), Revoked)
    assert isinstance(status(response(NOW), revoked), Good)


def test_of_two_that_are_equally_new_the_worse_one_decides() -> None:
    found = status(response(), response(revoked_at=NOW - HOUR))

    assert isinstance(found, Revoked)


def test_evidence_that_tells_nothing_does_not_hide_what_another_one_tells() -> None:
    assert isinstance(status(about(LEAF, b"garbage"), response()), Good)


def test_a_decision_of_the_past_uses_what_had_been_issued_by_then() -> None:
    before, after = response(NOW - 2 * HOUR), response(NOW, revoked_at=NOW - HOUR)

    assert isinstance(status(before, after, moment=NOW - 90 * MINUTE), Good)
    assert isinstance(status(before, after, moment=NOW), Revoked)


def test_evidence_whose_window_is_over_still_says_what_it_said() -> None:
    good = status(response(NOW - 3 * HOUR))

    assert isinstance(good, Good)
    assert good.next_update == NOW - 2 * HOUR


# --- longer paths --------------------------------------------------------------------------------

_BETWEEN_KEY = ec.generate_private_key(ec.SECP256R1())
BETWEEN = Issuer(
    _BETWEEN_KEY,
    make_certificate(
        ROOT,
        _BETWEEN_KEY.public_key(),
        NOW,
        name="between",
        usage=AUTHORITY,
        extensions=sources(ocsp_url=""),
    ),
)
DEEP_LEAF = make_certificate(BETWEEN, KEY.public_key(), NOW, extensions=sources())
DEEP_TRUST = TrustStore([der(ROOT.certificate)], [der(BETWEEN.certificate)])


def deep_status(*evidence: Evidence) -> Status:
    return revocation_status(DEEP_TRUST, der(DEEP_LEAF), evidence, NOW)


def test_every_certificate_of_the_path_must_be_known() -> None:
    leaf_good = about(DEEP_LEAF, ocsp_response(DEEP_LEAF, BETWEEN, NOW - MINUTE))
    between_good = listed(NOW - 2 * HOUR)

    assert isinstance(deep_status(leaf_good), Unknown)
    assert isinstance(deep_status(between_good), Unknown)
    good = deep_status(leaf_good, between_good)
    assert isinstance(good, Good)
    assert (good.this_update, good.next_update) == (NOW - MINUTE, NOW - MINUTE + HOUR)
    assert set(good.evidence) == {leaf_good, between_good}


def test_a_revoked_authority_revokes_what_it_issued() -> None:
    between_revoked = about(
        ROOT.certificate, make_crl(ROOT, NOW - HOUR, {BETWEEN.certificate: NOW - 2 * HOUR})
    )

    assert isinstance(deep_status(between_revoked), Revoked)


def test_a_path_says_where_its_status_can_be_asked() -> None:
    between, leaf = path_links(DEEP_TRUST.path(der(DEEP_LEAF), NOW))

    assert (between.ocsp_urls, between.crl_urls) == ((), (CRL_URL,))
    assert (leaf.ocsp_urls, leaf.crl_urls) == ((OCSP_URL,), (CRL_URL,))
    assert leaf.issuer_digest == between.digest
    assert between.issuer_digest == ROOT.certificate.fingerprint(hashes.SHA256())
    assert "Common Name: leaf" in leaf.name


def test_only_http_addresses_are_sources() -> None:
    odd = sources(ocsp_url="ldap://127.0.0.1/x", crl_url="file:///etc/passwd")
    issuer_only = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS,
                x509.UniformResourceIdentifier(OCSP_URL),
            )
        ]
    )
    relative = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                None, x509.RelativeDistinguishedName(ROOT.certificate.subject.rdns[0]), None, None
            )
        ]
    )
    for extensions in (odd, [issuer_only, relative]):
        leaf = make_certificate(ROOT, KEY.public_key(), NOW, extensions=extensions)
        (link,) = path_links(TRUST.path(der(leaf), NOW))
        assert not link.names_a_source


# --- certificates that name no source --------------------------------------------------------


def test_where_only_named_sources_count_a_certificate_without_one_is_good() -> None:
    good = status(leaf=PLAIN_LEAF, where_named_only=True)

    assert good == Good(NOW - DAY, NOW + 30 * DAY, ())
    assert isinstance(status(leaf=PLAIN_LEAF), Unknown)
    assert isinstance(status(leaf=LEAF, where_named_only=True), Unknown)


def test_evidence_about_it_counts_even_if_the_certificate_names_no_source() -> None:
    crl = about(ROOT.certificate, make_crl(ROOT, NOW - MINUTE, {PLAIN_LEAF: NOW - HOUR}))
    answer = about(PLAIN_LEAF, ocsp_response(PLAIN_LEAF, ROOT, NOW - MINUTE, revoked_at=NOW - HOUR))

    for piece in (crl, answer):
        assert isinstance(status(piece, leaf=PLAIN_LEAF, where_named_only=True), Revoked)


def test_a_certificate_without_a_path_has_no_status() -> None:
    stranger = make_certificate(STRANGER, KEY.public_key(), NOW)

    with pytest.raises(CertificateRejectedError):
        status(leaf=stranger)


def test_the_status_of_one_certificate_of_a_path_can_be_asked() -> None:
    path = DEEP_TRUST.path(der(DEEP_LEAF), NOW)
    between, leaf = path_links(path)
    crl = listed()

    assert link_status(DEEP_TRUST, path, between, [crl], NOW) == Good(
        NOW - MINUTE, NOW - MINUTE + 24 * HOUR, (crl,)
    )
    assert isinstance(link_status(DEEP_TRUST, path, leaf, [crl], NOW), Unknown)


# --- reading -------------------------------------------------------------------------------------


def test_a_question_names_the_certificate_and_its_issuer() -> None:
    (link,) = path_links(TRUST.path(der(LEAF), NOW))

    asked = ocsp.load_der_ocsp_request(ocsp_request(link))

    assert asked.serial_number == LEAF.serial_number
    assert asked.issuer_key_hash == ocsp_hashes(ROOT.certificate)


def ocsp_hashes(issuer: x509.Certificate) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def test_the_issuer_of_a_list_is_read_from_it() -> None:
    assert crl_issuer_name(listed().der) == ROOT.certificate.subject.public_bytes()
    assert crl_issuer_name(b"no list") == b""


def test_what_a_list_lists_is_read_from_it() -> None:
    crl = make_crl(ROOT, NOW, {LEAF: NOW - HOUR, OTHER_LEAF: NOW})

    assert listed_serial_numbers(crl) == {LEAF.serial_number, OTHER_LEAF.serial_number}
    assert listed_serial_numbers(listed().der) == set()
    assert listed_serial_numbers(b"no list") == set()


SOUND = response(revoked_at=NOW - HOUR, responder=make_responder(ROOT, NOW)).der
SOUND_LIST = make_crl(ROOT, NOW - MINUTE, {LEAF: NOW - HOUR})


@settings(max_examples=150, deadline=None)
@given(raw=st.sampled_from([SOUND, SOUND_LIST]), data=st.data())
def test_evidence_with_another_byte_never_says_good(raw: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + bytes([data.draw(st.integers(0, 255))]) + raw[place + 1 :]
    subject = LEAF if raw is SOUND else ROOT.certificate

    assert not isinstance(status(about(subject, changed)), Good)
    crl_issuer_name(changed)
    listed_serial_numbers(changed)


@pytest.mark.parametrize(
    ("head", "is_ocsp"),
    [
        ("3003 0a0100", True),
        ("308103 0a0100", True),
        ("30820003 0a0100", True),
        ("3083000003 0a0100", True),
        ("308400000003 0a0100", False),  # no response has 16 MB
        ("3003 300100", False),
        ("30820003 300100", False),
        ("3003", False),
        ("30", False),
        ("", False),
    ],
)
def test_a_response_is_told_from_a_list_by_its_first_bytes(head: str, is_ocsp: bool) -> None:
    assert Evidence(b"", bytes.fromhex(head)).is_ocsp is is_ocsp
