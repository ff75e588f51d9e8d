"""A decision of the past, made again from the log, must be what the entry says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from bus.audit.audit import decide_outcome
from bus.audit.checks.replay import OpenRequests, Replay, no_attachments
from bus.core.decision import Accepted, Refused
from bus.core.errors import LogCorrupt, RecipientTimeout
from bus.core.exchange_leaves import SealedFacts, outcome_leaf, received_leaf, refused_leaf
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.log.leaf import Event, Leaf, build_leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import KeptAttachments, SealedPayload, StoredEntry
from bus.core.registry import AttachmentRule
from bus.core.request_decision import decide_whole
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_answer, write_request
from signing.attachments import Attachment
from tests.attachments import attachment
from tests.client.hub_stand_in import StandIn
from tests.nation import (
    ANSWER,
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    HUB,
    LOOKUP,
    NOW,
    OTHER_CLIENT,
    PROVIDER,
    SmallNation,
    payload,
    request,
)

PSEUDONYMS = Pseudonyms(bytes(32))
PAYLOAD = SealedFacts(SealedPayload(b"", b""), bytes(32), bytes(32), 0)
TIME = NOW.astimezone(UTC)


def _leaf(nation: SmallNation, raw: bytes) -> Leaf:
    """The entry that a hub writes about a message."""
    rules = nation.rules
    decision = decide_whole(SOAP_XROAD, raw, rules, TIME)
    if isinstance(decision, Refused):
        leaf = refused_leaf(decision, len(raw), PAYLOAD, PSEUDONYMS, rules.digest, "f-1", TIME)
    else:
        leaf = received_leaf(decision, PAYLOAD, PSEUDONYMS, TIME)
    return read_leaf(leaf)


def _replay(nation: SmallNation) -> Replay:
    return Replay(SOAP_XROAD, {nation.rules.digest: nation.rules}.get, decide_outcome)


def _examine(replay: Replay, leaf: Leaf, raw: bytes | None) -> list[str]:
    entry = StoredEntry(41, b"", None)
    findings = list(replay.examine(entry, leaf, raw))
    assert all(finding.index == 41 for finding in findings)
    return [finding.what for finding in findings]


def _messages(nation: SmallNation) -> dict[str, bytes]:
    good = request(nation)
    return {
        "accepted": good,
        "access.denied": request(nation, client=CLIENT_WITHOUT_GRANT),
        "signature.digest-mismatch": good.replace(b"VN0117", b"VN0666"),
        "envelope.expired": request(nation, created=NOW - timedelta(days=1)),
        "envelope.not-well-formed": b"<soap",
    }


VERDICTS = (
    "accepted",
    "access.denied",
    "signature.digest-mismatch",
    "envelope.expired",
    "envelope.not-well-formed",
)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_an_honest_entry_leads_to_its_own_verdict(verdict: str, nation: SmallNation) -> None:
    raw = _messages(nation)[verdict]
    leaf = _leaf(nation, raw)
    replay = _replay(nation)
    assert verdict == leaf.verdict
    assert _examine(replay, leaf, raw) == []
    assert (replay.repeated, sum(replay.skipped.values())) == (1, 0)


def test_signatures_are_counted_only_where_the_sender_is_proved(nation: SmallNation) -> None:
    replay = _replay(nation)
    for raw in _messages(nation).values():
        _examine(replay, _leaf(nation, raw), raw)
    assert (replay.repeated, replay.proved) == (5, 2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"verdict": "access.denied"}, "another verdict"),
        ({"client": str(OTHER_CLIENT)}, "another client"),
        ({"service": "VN/GOV/G01/dancu/Other/v1"}, "another service"),
        ({"signer": bytes(32)}, "another certificate"),
        ({"signature": None}, "another signature"),
    ],
)
def test_an_entry_that_tells_otherwise_is_found(
    change: dict[str, object], what: str, nation: SmallNation
) -> None:
    raw = request(nation)
    leaf = replace(_leaf(nation, raw), **change)  # type: ignore[arg-type]
    (found,) = _examine(_replay(nation), leaf, raw)
    assert what in found


def test_a_message_that_was_judged_at_another_time_is_found(nation: SmallNation) -> None:
    raw = request(nation)
    leaf = replace(_leaf(nation, raw), time=TIME + timedelta(days=1))
    assert any("another verdict" in what for what in _examine(_replay(nation), leaf, raw))


@pytest.mark.parametrize(
    ("change", "has_payload", "reason"),
    [
        ({"verdict": "message-id.conflict"}, True, "more than the message (message-id.conflict)"),
        ({"verdict": "hub.internal"}, True, "more than the message (hub.internal)"),
        ({}, False, "no payload to read"),
        ({"config": bytes(32)}, True, "rules of that time"),
        ({"config": None}, True, "rules of that time"),
    ],
)
def test_what_cannot_be_judged_again_is_counted_and_is_no_finding(
    change: dict[str, object], has_payload: bool, reason: str, nation: SmallNation
) -> None:
    raw = request(nation)
    replay = _replay(nation)
    leaf = replace(_leaf(nation, raw), **change)  # type: ignore[arg-type]
    assert _examine(replay, leaf, raw if has_payload else None) == []
    assert replay.repeated == 0
    assert [reason in skipped for skipped in replay.skipped] == [True]


def test_entries_about_other_things_are_not_judged(nation: SmallNation) -> None:
    replay = _replay(nation)
    leaf = read_leaf(build_leaf(Event.OUTCOME, TIME, continues=1, verdict="delivered"))
    assert _examine(replay, leaf, b"<answer/>") == []
    assert (replay.repeated, dict(replay.skipped)) == (0, {})


# --- outcomes ------------------------------------------------------------------------------------


def _outcome(verdict: str = "delivered", continues: int = 41) -> Leaf:
    return read_leaf(build_leaf(Event.OUTCOME, TIME, continues=continues, verdict=verdict))


def _answer(nation: SmallNation, raw: bytes, *, signed_by: SubsystemId = PROVIDER) -> bytes:
    signer = nation.signers[signed_by]
    return write_answer(parse(raw, Limits()), payload(ANSWER), signer, SigningTime(NOW))


def _after_received(nation: SmallNation, raw: bytes) -> Replay:
    replay = _replay(nation)
    assert _examine(replay, _leaf(nation, raw), raw) == []
    return replay


def test_a_recorded_answer_is_verified_again(nation: SmallNation) -> None:
    raw = request(nation)
    replay = _after_received(nation, raw)
    assert _examine(replay, _outcome(), _answer(nation, raw)) == []
    assert replay.answers == 1


def test_a_recorded_fault_is_verified_again(nation: SmallNation) -> None:
    raw = request(nation)
    replay = _after_received(nation, raw)
    fault = StandIn(nation).fault(raw, RecipientTimeout())
    assert _examine(replay, _outcome("delivery.recipient-timeout"), fault) == []
    assert replay.answers == 1


def test_an_answer_that_was_put_in_its_place_is_found(nation: SmallNation) -> None:
    raw, other = request(nation), request(nation, "m-2")
    answers = {
        "signature does not hold": _answer(nation, raw).replace(b'"0"', b'"9"'),
        "expected the signature of VN/GOV/G01": _answer(nation, raw, signed_by=HUB),
        "headers are not those": _answer(nation, other),
    }
    for what, answer in answers.items():
        (found,) = _examine(_after_received(nation, raw), _outcome(), answer)
        assert what in found


def test_an_answer_under_another_verdict_is_found(nation: SmallNation) -> None:
    raw = request(nation)
    replay = _after_received(nation, raw)
    (found,) = _examine(replay, _outcome("delivery.refused"), _answer(nation, raw))
    assert "tells another verdict" in found


def test_an_outcome_without_payload_or_without_its_request_is_left_out(
    nation: SmallNation,
) -> None:
    raw = request(nation)
    replay = _after_received(nation, raw)
    assert _examine(replay, _outcome(continues=3), b"of a request that is not kept") == []
    assert _examine(replay, _outcome("delivery.interrupted"), None) == []
    assert replay.answers == 0


def test_open_requests_are_bounded_and_the_oldest_goes_first(nation: SmallNation) -> None:
    kept = OpenRequests(bytes_max=10)
    for index in range(3):
        kept.add(index, b"four", nation.rules, _leaf(nation, b"four"))
    assert [kept.take(index) is not None for index in range(3)] == [False, True, True]
    assert kept.take(2) is None


# --- attachments -----------------------------------------------------------------------------


def _signed_beside(nation: SmallNation, attachments: tuple[Attachment, ...]) -> bytes:
    return write_request(
        RequestHeader(CLIENT, LOOKUP, "m-1"),
        payload(),
        nation.signers[CLIENT],
        SigningTime(NOW),
        attachments=[signed_part(one) for one in attachments],
    )


def _not_kept() -> Iterator[bytes]:
    raise LogCorrupt


def test_a_message_is_judged_again_with_what_came_beside_it(nation: SmallNation) -> None:
    # Given a service that takes one attachment, and the entry of a message with one
    services = dict(nation.rules.registry.services)
    services[LOOKUP] = replace(services[LOOKUP], attachments=AttachmentRule(1, 100))
    rules = replace(nation.rules, registry=replace(nation.rules.registry, services=services))
    ruled = replace(nation, rules=rules)
    beside_it = (attachment(),)
    raw = _signed_beside(ruled, beside_it)
    decision = decide_whole(SOAP_XROAD, raw, rules, TIME, beside_it)
    assert isinstance(decision, Accepted)
    kept = KeptAttachments(bytes(32), bytes(32))
    leaf = read_leaf(received_leaf(decision, PAYLOAD, PSEUDONYMS, TIME, kept))
    answer = write_answer(
        SOAP_XROAD.parse(raw, Limits(), beside_it),
        payload(ANSWER),
        nation.signers[PROVIDER],
        SigningTime(NOW),
    )
    outcome = read_leaf(
        outcome_leaf(decision, 41, PAYLOAD, None, None, TIME, KeptAttachments(bytes(32), b"2" * 32))
    )
    stored = {bytes(32): beside_it, b"2" * 32: ()}

    def replayed(held: dict[bytes, tuple[Attachment, ...]]) -> tuple[Replay, list[str]]:
        def attachments_of(one: Leaf) -> tuple[Attachment, ...]:
            assert one.stored is not None
            if one.stored not in held:
                raise LogCorrupt
            return held[one.stored]

        replay = Replay(SOAP_XROAD, {rules.digest: rules}.get, decide_outcome, attachments_of)
        return replay, [*_examine(replay, leaf, raw), *_examine(replay, outcome, answer)]

    # When it is judged again with them, nothing is found, and the answer is proved
    replay, found = replayed(stored)
    assert (found, replay.repeated, replay.answers) == ([], 1, 1)
    # And with others, or with those of the answer gone, it is told
    replay, found = replayed({**stored, bytes(32): (attachment(b"other"),)})
    assert "judged again, the message leads to another verdict" in found
    replay, found = replayed({bytes(32): beside_it})
    assert (found, replay.answers, replay.skipped["no attachments to read"]) == ([], 0, 1)
    replay, found = replayed({})
    assert (found, replay.repeated, replay.skipped["no attachments to read"]) == ([], 0, 1)
    # And what was not kept is not judged
    unread = replace(attachment(b"a\nb", media_type="text/plain"), chunks=_not_kept)
    replay, found = replayed({**stored, bytes(32): (unread,)})
    assert found == []
    assert replay.skipped["the content of its attachments was not kept"] == 1


def test_a_log_without_attachments_has_none() -> None:
    assert no_attachments(Leaf(Event.RECEIVED, TIME)) == ()
