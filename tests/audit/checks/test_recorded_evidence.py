"""Decisions about revocation are made again by what the log held when they were made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bus.audit.audit import decide_outcome
from bus.audit.checks import recorded_evidence
from bus.audit.checks.recorded_evidence import EvidenceMissing, RecordedEvidence
from bus.audit.checks.replay import Replay
from bus.core.decision import Accepted, Decision, Refused
from bus.core.errors import AccessDenied, CertificateRevoked, RevocationUnknown
from bus.core.exchange_leaves import SealedFacts, received_leaf
from bus.core.log.leaf import Event, Leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.pipeline import Rules
from bus.core.ports.message_log import SealedPayload, StoredEntry
from bus.core.request_decision import decide_whole
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.pki.keys import Signer, make_signer
from signing.pki.revocation import Evidence, Status, revocation_status
from tests.certificates import make_certificate
from tests.nation import CLIENT, CLIENT_WITHOUT_GRANT, NOW, SmallNation, request
from tests.revocation import about, make_crl, ocsp_response, sources

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ACCEPTED = "accepted"
REVOKED, UNKNOWN = CertificateRevoked.code, RevocationUnknown.code


@pytest.fixture
def rules(nation: SmallNation) -> Rules:
    return replace(nation.rules, revocation=RevocationPolicy(RevocationCheck.REQUIRED, 600))


@pytest.fixture(scope="module")
def sender(nation: SmallNation) -> Signer:
    """Somebody whose certificate says where its status can be asked."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = str(CLIENT.member)
    return make_signer(
        key,
        make_certificate(
            nation.issuer, key.public_key(), NOW, identifier=identifier, extensions=sources()
        ),
    )


@pytest.fixture
def certificate(sender: Signer) -> x509.Certificate:
    return sender.certificate


@pytest.fixture
def message(nation: SmallNation, sender: Signer) -> bytes:
    return request(nation, signer=sender)


@pytest.fixture
def result(message: bytes, rules: Rules) -> Decision:
    """What a message of the sender leads to without this stage."""
    return decide_whole(SOAP_XROAD, message, rules, NOW)


def _leaf(evidence: Evidence, time: datetime) -> Leaf:
    return Leaf(Event.EVIDENCE, time, signer=evidence.about)


def _verdict(result: Decision) -> str:
    return result.error.code if isinstance(result, Refused) else ACCEPTED


def _verdicts(recorded: RecordedEvidence, result: Decision, rules: Rules) -> list[str]:
    return [_verdict(one) for one in recorded.outcomes(result, rules, NOW)]


def _response(
    nation: SmallNation, certificate: x509.Certificate, this_update: datetime, **said: object
) -> Evidence:
    der = ocsp_response(certificate, nation.issuer, this_update, **said)  # type: ignore[arg-type]
    return about(certificate, der)


def test_a_message_is_good_by_the_evidence_before_it(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    recorded = RecordedEvidence()
    good = _response(nation, certificate, NOW - MINUTE)
    assert _verdicts(recorded, result, rules) == [UNKNOWN, UNKNOWN]

    recorded.add(_leaf(good, NOW - MINUTE), good.der)

    assert _verdicts(recorded, result, rules) == [ACCEPTED, ACCEPTED]
    assert next(recorded.outcomes(result, rules, NOW)) is result


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
def test_a_message_is_refused_by_the_evidence_before_it(
    kind: str, nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    recorded = RecordedEvidence()
    if kind == "ocsp":
        piece = _response(nation, certificate, NOW - MINUTE, revoked_at=NOW - HOUR)
    else:
        listed = make_crl(nation.issuer, NOW - MINUTE, {certificate: NOW - HOUR})
        piece = about(nation.issuer.certificate, listed)

    recorded.add(_leaf(piece, NOW - MINUTE), piece.der)

    assert _verdicts(recorded, result, rules) == [REVOKED, REVOKED]


def test_evidence_recorded_while_a_message_was_on_its_way_may_have_counted_or_not(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    recorded = RecordedEvidence()
    good = _response(nation, certificate, NOW - MINUTE)
    revoked = _response(nation, certificate, NOW, revoked_at=NOW - MINUTE)
    recorded.add(_leaf(good, NOW - MINUTE), good.der)
    recorded.add(_leaf(revoked, NOW + timedelta(milliseconds=1)), revoked.der)

    assert _verdicts(recorded, result, rules) == [REVOKED, ACCEPTED]


def test_what_was_refused_otherwise_is_refused_for_revocation_first(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules
) -> None:
    denied = decide_whole(SOAP_XROAD, request(nation, client=CLIENT_WITHOUT_GRANT), rules, NOW)
    unread = decide_whole(SOAP_XROAD, b"<soap", rules, NOW)
    assert _verdict(denied) == AccessDenied.code

    recorded = RecordedEvidence()

    assert _verdicts(recorded, denied, rules) == [UNKNOWN, UNKNOWN]
    assert list(recorded.outcomes(unread, rules, NOW)) == [unread]


def test_where_nothing_was_asked_no_evidence_is_needed(
    nation: SmallNation, certificate: x509.Certificate, result: Decision
) -> None:
    assert list(RecordedEvidence().outcomes(result, nation.rules, NOW)) == [result]


def test_evidence_that_cannot_be_read_makes_no_decision_again(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    recorded = RecordedEvidence()
    good = _response(nation, certificate, NOW - MINUTE)

    recorded.add(_leaf(good, NOW), None)
    recorded.add(Leaf(Event.EVIDENCE, NOW), good.der)  # about nobody

    with pytest.raises(EvidenceMissing):
        _verdicts(recorded, result, rules)


def test_only_so_much_evidence_is_kept(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    good = _response(nation, certificate, NOW - MINUTE)
    other = about(nation.issuer.certificate, make_crl(nation.issuer, NOW))
    recorded = RecordedEvidence(bytes_max=len(good.der) + 10)

    recorded.add(_leaf(good, NOW - MINUTE), good.der)
    assert _verdicts(recorded, result, rules) == [ACCEPTED, ACCEPTED]
    recorded.add(_leaf(other, NOW), other.der)

    with pytest.raises(EvidenceMissing):
        _verdicts(recorded, result, rules)


def test_of_one_kind_the_newest_pieces_are_kept(
    nation: SmallNation, certificate: x509.Certificate, rules: Rules, result: Decision
) -> None:
    pieces = [_response(nation, certificate, NOW - hours * HOUR) for hours in range(9, 0, -1)]
    listed = about(nation.issuer.certificate, make_crl(nation.issuer, NOW))
    needed_bytes = sum(len(one.der) for one in (*pieces[-3:], listed))
    roomy, tight = RecordedEvidence(needed_bytes), RecordedEvidence(needed_bytes - 1)
    for piece in (*pieces, listed):
        roomy.add(_leaf(piece, NOW), piece.der)
        tight.add(_leaf(piece, NOW), piece.der)

    assert _verdicts(roomy, result, rules) == [ACCEPTED, ACCEPTED]
    with pytest.raises(EvidenceMissing):
        _verdicts(tight, result, rules)


@pytest.mark.parametrize(("kept_max", "looked_at"), [(1, 3), (2, 2)])
def test_so_many_statuses_are_remembered(
    kept_max: int,
    looked_at: int,
    nation: SmallNation,
    certificate: x509.Certificate,
    rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
    result: Decision,
) -> None:
    looks: list[object] = []

    def counted(*evidence: Any, **policy: Any) -> Status:
        looks.append(evidence)
        return revocation_status(*evidence, **policy)

    monkeypatch.setattr(recorded_evidence, "revocation_status", counted)
    recorded = RecordedEvidence(statuses_max=kept_max)
    good = _response(nation, certificate, NOW - MINUTE)
    recorded.add(_leaf(good, NOW), good.der)

    for by in (rules, replace(rules, digest=b"other rules"), rules):
        assert _verdicts(recorded, result, by) == [ACCEPTED, ACCEPTED]

    assert len(looks) == looked_at


# --- within a replay -----------------------------------------------------------------------------


def _examined(
    rules: Rules, message: bytes, result: Decision, evidence: Evidence, raw: bytes | None
) -> tuple[Replay, list[str]]:
    """What a replay finds in an accepted message behind an entry of evidence."""
    assert isinstance(result, Accepted)
    payload = SealedFacts(SealedPayload(b"", b""), bytes(32), bytes(32), 0)
    leaf = read_leaf(received_leaf(result, payload, Pseudonyms(bytes(32)), NOW))
    replay = Replay(SOAP_XROAD, {rules.digest: rules}.get, decide_outcome)
    entries = [(_leaf(evidence, NOW), raw), (leaf, message)]
    findings = [
        finding.what + finding.found
        for index, (one, payload_raw) in enumerate(entries)
        for finding in replay.examine(StoredEntry(index, b"", None), one, payload_raw)
    ]
    return replay, findings


def test_a_message_that_was_rightly_taken_is_no_finding(
    nation: SmallNation,
    certificate: x509.Certificate,
    rules: Rules,
    message: bytes,
    result: Decision,
) -> None:
    good = _response(nation, certificate, NOW - MINUTE)

    replay, findings = _examined(rules, message, result, good, good.der)

    assert (replay.repeated, replay.by_evidence, findings) == (1, 1, [])


def test_a_message_that_was_taken_against_the_evidence_is_a_finding(
    nation: SmallNation,
    certificate: x509.Certificate,
    rules: Rules,
    message: bytes,
    result: Decision,
) -> None:
    revoked = _response(nation, certificate, NOW - MINUTE, revoked_at=NOW - HOUR)

    _, findings = _examined(rules, message, result, revoked, revoked.der)

    assert findings == [f"judged again, the message leads to another verdict{REVOKED}"]


def test_a_message_whose_evidence_was_erased_is_counted(
    nation: SmallNation,
    certificate: x509.Certificate,
    rules: Rules,
    message: bytes,
    result: Decision,
) -> None:
    good = _response(nation, certificate, NOW - MINUTE)

    replay, findings = _examined(rules, message, result, good, None)

    assert findings == []
    assert (replay.repeated, list(replay.skipped)) == (
        0,
        ["the evidence of revocation cannot be read"],
    )
