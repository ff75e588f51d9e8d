"""What is known of a certificate's revocation lets a message pass, or does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bus.core.errors import BusError, CertificateRevoked, RevocationUnknown
from bus.core.exchange_leaves import SealedFacts, evidence_leaf
from bus.core.log.leaf import Event, read_leaf
from bus.core.pipeline import revocation_error
from bus.core.ports.message_log import SealedPayload
from bus.core.revocation import RevocationCheck, RevocationPolicy, require_not_revoked
from signing.pki.revocation import Evidence, Good, Revoked, Unknown
from tests.nation import NOW, SmallNation

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
POLICY = RevocationPolicy(RevocationCheck.REQUIRED, 600)
GRACE = timedelta(seconds=600)
GOOD = Good(NOW, NOW + HOUR, ())
REVOKED = Revoked(NOW - HOUR, "key_compromise", NOW, NOW + HOUR, ())


@pytest.mark.parametrize("now", [NOW, NOW + HOUR, NOW + HOUR + GRACE, NOW - timedelta(seconds=60)])
def test_who_is_known_to_be_good_passes_within_window_and_grace(now: datetime) -> None:
    require_not_revoked(GOOD, POLICY, now)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NOW + HOUR + GRACE + SECOND, "the grace is over"),
        (NOW - timedelta(seconds=61), "was issued later"),
    ],
)
def test_outside_of_window_and_grace_nobody_is_known_to_be_good(now: datetime, why: str) -> None:
    with pytest.raises(RevocationUnknown, match=why):
        require_not_revoked(GOOD, POLICY, now)


@pytest.mark.parametrize("now", [NOW, NOW + 1000 * HOUR])
def test_who_is_revoked_stays_so_until_something_newer_is_known(now: datetime) -> None:
    with pytest.raises(CertificateRevoked, match="key_compromise"):
        require_not_revoked(REVOKED, POLICY, now)


def test_not_knowing_is_not_being_good() -> None:
    with pytest.raises(RevocationUnknown, match="nobody answers"):
        require_not_revoked(Unknown("nobody answers"), POLICY, NOW)


@pytest.mark.parametrize("status", [GOOD, REVOKED, Unknown("nobody answers")])
def test_where_nothing_is_asked_everybody_passes(status: Good | Revoked | Unknown) -> None:
    require_not_revoked(status, RevocationPolicy(RevocationCheck.NONE), NOW + 1000 * HOUR)


def test_a_policy_says_of_whom_it_asks() -> None:
    found = {
        check: (RevocationPolicy(check).is_off, RevocationPolicy(check).where_named_only)
        for check in RevocationCheck
    }

    assert found == {
        RevocationCheck.REQUIRED: (False, False),
        RevocationCheck.WHERE_NAMED: (False, True),
        RevocationCheck.NONE: (True, False),
    }


@pytest.mark.parametrize(
    ("error", "is_later"), [(CertificateRevoked, False), (RevocationUnknown, True)]
)
def test_only_not_knowing_is_worth_another_try(error: type[BusError], is_later: bool) -> None:
    assert (error.recovery == "later") is is_later
    assert (error.blame == "hub") is is_later


def test_the_rules_say_why_a_message_of_a_revoked_sender_may_not_pass(nation: SmallNation) -> None:
    rules = replace(nation.rules, revocation=POLICY)

    assert isinstance(revocation_error(REVOKED, rules, NOW), CertificateRevoked)
    assert revocation_error(GOOD, rules, NOW) is None


def test_an_entry_of_evidence_says_what_it_is_about() -> None:
    payload = SealedFacts(SealedPayload(b"", b""), bytes(32), bytes([1] * 32), 7)

    leaf = read_leaf(evidence_leaf(Evidence(bytes([2] * 32), b"evidence"), payload, NOW))

    assert (leaf.event, leaf.time, leaf.signer) == (Event.EVIDENCE, NOW, bytes([2] * 32))
    assert (leaf.payload, leaf.sealed, leaf.raw_bytes) == (bytes(32), bytes([1] * 32), 7)
    assert leaf.verdict is None
