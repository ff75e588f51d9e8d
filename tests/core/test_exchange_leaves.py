"""Leaves say what happened, by ids, digests and codes, and nothing of what was said."""

from __future__ import annotations

import hashlib

from bus.core import errors
from bus.core.decision import Accepted, Refused
from bus.core.exchange_leaves import (
    SealedFacts,
    answered_again_leaf,
    answered_elsewhere_leaf,
    interrupted_leaf,
    outcome_leaf,
    received_leaf,
    refused_leaf,
)
from bus.core.log.leaf import Event, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import SealedPayload
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    LOOKUP,
    NOW,
    SmallNation,
    decide_request,
    request,
)

NAMES = Pseudonyms(bytes(32))
RULES = hashlib.sha256(b"rules").digest()
PAYLOAD = SealedFacts(SealedPayload(b"c", b"k"), b"p" * 32, b"s" * 32, raw_bytes=17)


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


def accepted(nation: SmallNation, **changes: str) -> Accepted:
    raw = request(nation, **changes)  # type: ignore[arg-type]
    result = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(result, Accepted)
    return result


def refused(raw: bytes, nation: SmallNation) -> Refused:
    result = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(result, Refused)
    return result


def test_a_received_message_is_told_by_who_what_and_digests(nation: SmallNation) -> None:
    message = accepted(nation)

    leaf = read_leaf(received_leaf(message, PAYLOAD, NAMES, NOW))

    assert (leaf.event, leaf.verdict, leaf.time) == (Event.RECEIVED, "accepted", NOW)
    assert (leaf.client, leaf.service) == (str(CLIENT), str(LOOKUP))
    assert (leaf.message, leaf.case) == (NAMES.of("m-1", NOW), NAMES.of("H41-2026-1", NOW))
    assert (leaf.signer, leaf.signature) == (
        message.proof.certificate_digest,
        message.proof.signature_digest,
    )
    assert (leaf.config, leaf.payload, leaf.sealed, leaf.raw_bytes) == (
        nation.rules.digest,
        b"p" * 32,
        b"s" * 32,
        17,
    )


def test_a_message_of_no_case_names_none(nation: SmallNation) -> None:
    message = accepted(nation, issue="")

    assert read_leaf(received_leaf(message, PAYLOAD, NAMES, NOW)).case is None


def test_no_leaf_holds_what_people_sent(nation: SmallNation) -> None:
    message = accepted(nation)
    refusal = refused(request(nation, client=CLIENT_WITHOUT_GRANT), nation)

    leaves = (
        received_leaf(message, PAYLOAD, NAMES, NOW)
        + outcome_leaf(message, 1, PAYLOAD, errors.AdapterBroken("x"), "f-1", NOW)
        + refused_leaf(refusal, 9, PAYLOAD, NAMES, RULES, "f-1", NOW)
    )

    for private in (b"m-1", b"VN0117", b"H41-2026-1", b"040185766517"):
        assert private not in leaves


def test_a_refusal_tells_how_far_the_message_came(nation: SmallNation) -> None:
    unread = read_leaf(refused_leaf(refused(b"", nation), 0, None, NAMES, RULES, "f-1", NOW))
    denied = read_leaf(
        refused_leaf(
            refused(request(nation, client=CLIENT_WITHOUT_GRANT), nation),
            9,
            PAYLOAD,
            NAMES,
            RULES,
            "f-2",
            NOW,
        )
    )
    unproved = read_leaf(
        refused_leaf(
            refused(request(nation, issue="").replace(b">m-1<", b">m-2<"), nation),
            9,
            None,
            NAMES,
            RULES,
            "f-3",
            NOW,
        )
    )

    assert (unread.verdict, unread.fault, unread.client) == (
        errors.NotWellFormed.code,
        "f-1",
        None,
    )
    assert (unread.message, unread.signer, unread.payload) == (None, None, None)
    assert (denied.verdict, denied.client) == (errors.AccessDenied.code, str(CLIENT_WITHOUT_GRANT))
    assert denied.signer is not None
    assert denied.payload == b"p" * 32
    assert (unproved.client, unproved.signer, unproved.case) == (str(CLIENT), None, None)


def test_an_outcome_continues_its_message(nation: SmallNation) -> None:
    message = accepted(nation)

    delivered = read_leaf(outcome_leaf(message, 7, PAYLOAD, None, None, NOW))
    failed = read_leaf(outcome_leaf(message, 7, PAYLOAD, errors.RecipientTimeout(), "f-1", NOW))
    again = read_leaf(answered_again_leaf(message, 7, NOW))
    interrupted = read_leaf(interrupted_leaf(7, NOW))

    assert {leaf.continues for leaf in (delivered, failed, again, interrupted)} == {7}
    assert (delivered.event, delivered.verdict, delivered.fault) == (
        Event.OUTCOME,
        "delivered",
        None,
    )
    assert (failed.verdict, failed.fault) == (errors.RecipientTimeout.code, "f-1")
    assert (again.event, again.config) == (Event.ANSWERED, nation.rules.digest)
    assert (interrupted.event, interrupted.verdict) == (
        Event.OUTCOME,
        errors.DeliveryInterrupted.code,
    )


def test_an_answer_of_another_log_names_that_log_and_no_entry_of_this(
    nation: SmallNation,
) -> None:
    message = accepted(nation)

    leaf = read_leaf(answered_elsewhere_leaf(message, NAMES, "other.example/log", NOW))

    assert (leaf.event, leaf.verdict, leaf.origin) == (
        Event.ANSWERED,
        "accepted",
        "other.example/log",
    )
    assert (leaf.message, leaf.continues) == (NAMES.of("m-1", NOW), None)
    assert (leaf.client, leaf.service) == (str(CLIENT), str(LOOKUP))
    assert leaf.config == nation.rules.digest
