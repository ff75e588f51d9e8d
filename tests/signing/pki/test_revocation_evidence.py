"""Evidence of revocation counts in its form, for whom it is about, since it was issued."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko_certvalidator.errors import PathError, ValidationError

from signing.pki import revocation
from signing.pki.certificates import TrustStore
from signing.pki.revocation import Evidence, Good, Revoked, Status, Unknown, revocation_status
from tests.certificates import DAY, make_certificate, make_root
from tests.nation import NOW, der
from tests.revocation import (
    CRL_URL,
    HOUR,
    about,
    make_crl,
    make_responder,
    ocsp_response,
    sources,
    with_statements,
)

ROOT = make_root("root", NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = make_certificate(ROOT, KEY.public_key(), NOW, extensions=sources())
OTHER_LEAF = make_certificate(ROOT, KEY.public_key(), NOW, name="other", extensions=sources())
PLAIN_LEAF = make_certificate(ROOT, KEY.public_key(), NOW)
TRUST = TrustStore([der(ROOT.certificate)])
SECOND = timedelta(seconds=1)


def status(
    *evidence: Evidence, leaf: x509.Certificate = LEAF, where_named_only: bool = False
) -> Status:
    return revocation_status(TRUST, der(leaf), evidence, NOW, where_named_only=where_named_only)


def response(leaf: x509.Certificate = LEAF, *, is_revoked: bool = False) -> bytes:
    since = NOW - HOUR if is_revoked else None
    return ocsp_response(leaf, ROOT, NOW - SECOND, revoked_at=since)


def test_evidence_is_named_by_the_digest_of_its_bytes() -> None:
    assert Evidence(b"", b"abc").digest == hashlib.sha256(b"abc").digest()


# --- whom it is about ----------------------------------------------------------------------------


def test_evidence_about_others_says_nothing() -> None:
    for piece in (
        Evidence(bytes(32), response()),
        Evidence(b"", response()),
        about(OTHER_LEAF, response(is_revoked=True)),
    ):
        found = status(piece)
        assert isinstance(found, Unknown)
        assert found.why.startswith("no evidence about")


def test_evidence_about_others_leaves_a_certificate_without_source_good() -> None:
    of_another = about(OTHER_LEAF, response(OTHER_LEAF, is_revoked=True))

    assert isinstance(status(of_another, leaf=PLAIN_LEAF, where_named_only=True), Good)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_statements_the_one_about_the_certificate_counts(order: int) -> None:
    for is_revoked, kind in ((False, Good), (True, Revoked)):
        said = [response(OTHER_LEAF, is_revoked=not is_revoked), response(is_revoked=is_revoked)]

        found = status(about(LEAF, with_statements(ROOT, *said[::order])))

        assert isinstance(found, kind), found


def test_statements_about_others_only_say_nothing() -> None:
    said = with_statements(ROOT, response(OTHER_LEAF), response(PLAIN_LEAF))

    found = status(about(LEAF, said))

    assert isinstance(found, Unknown)
    assert "serial number does not match" in found.why


# --- from when to when ---------------------------------------------------------------------------


def test_an_authority_s_clock_may_be_a_minute_ahead() -> None:
    for seconds, kind in ((60, Good), (61, Unknown)):
        ahead = NOW + seconds * SECOND
        for piece in (
            about(LEAF, ocsp_response(LEAF, ROOT, ahead)),
            about(ROOT.certificate, make_crl(ROOT, ahead)),
        ):
            assert isinstance(status(piece), kind), (seconds, piece)


def test_without_evidence_a_path_is_good_while_every_certificate_of_it_is_valid() -> None:
    brief = make_root("brief", NOW, valid_until=5 * DAY)
    leaf = make_certificate(brief, KEY.public_key(), NOW, valid_until=30 * DAY)

    found = revocation_status(
        TrustStore([der(brief.certificate)]), der(leaf), (), NOW, where_named_only=True
    )

    assert found == Good(NOW - DAY, NOW + 5 * DAY, ())


# --- its form ------------------------------------------------------------------------------------


def test_nothing_may_stand_behind_evidence() -> None:
    for piece in (
        about(LEAF, response() + b"\x00"),
        about(ROOT.certificate, make_crl(ROOT, NOW - HOUR) + b"\x00"),
    ):
        found = status(piece)
        assert isinstance(found, Unknown)
        assert re.fullmatch("the evidence cannot be used: .*trailing data.*", found.why), found


def test_a_responder_is_not_looked_up_in_a_list_with_something_behind_it() -> None:
    responder = make_responder(ROOT, NOW, is_exempt=False)
    piece = about(LEAF, ocsp_response(LEAF, ROOT, NOW, responder=responder))
    listed = make_crl(ROOT, NOW - HOUR)

    assert isinstance(status(piece, Evidence(b"", listed)), Good)
    assert isinstance(status(piece, Evidence(b"", listed + b"\x00")), Unknown)


@pytest.mark.parametrize(
    "piece",
    [
        make_crl(ROOT, NOW, signed_by=KEY),
        make_crl(make_root("another", NOW), NOW),
    ],
    ids=["signed by another", "of another issuer"],
)
def test_a_list_of_another_authority_is_evidence_in_its_form(piece: bytes) -> None:
    found = status(about(ROOT.certificate, piece))

    assert isinstance(found, Unknown)
    assert "cannot be used" not in found.why


def test_a_list_counts_without_the_changes_that_it_tells_of() -> None:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(CRL_URL)], None, None, None)
    more = [x509.FreshestCRL([point])]

    good = make_crl(ROOT, NOW - HOUR, extensions=more)
    revoked = make_crl(ROOT, NOW - HOUR, {LEAF: NOW - HOUR}, extensions=more)

    assert isinstance(status(about(ROOT.certificate, good)), Good)
    assert isinstance(status(about(ROOT.certificate, revoked)), Revoked)


def test_the_changes_of_a_list_are_no_list() -> None:
    changes = make_crl(ROOT, NOW, extensions=[x509.DeltaCRLIndicator(1)])

    assert isinstance(status(about(ROOT.certificate, changes)), Unknown)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValidationError("words"), "words"),
        (PathError("words"), "words"),
        (InvalidSignature(), "InvalidSignature"),
        (AttributeError("words"), "words"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (AssertionError(), "AssertionError"),
        (NotImplementedError(), "NotImplementedError"),
        (ValueError("words"), "words"),
        (TypeError("words"), "words"),
        (KeyError("words"), "words"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_whatever_the_library_raises_over_evidence_it_tells_nothing(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(revocation, "verify_crl", fail)
    monkeypatch.setattr(revocation, "verify_ocsp_response", fail)

    for piece in (about(LEAF, response()), about(ROOT.certificate, make_crl(ROOT, NOW - HOUR))):
        assert status(piece) == Unknown(f"the evidence cannot be used: {told}")
