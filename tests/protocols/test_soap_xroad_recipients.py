"""Whom a message goes to, as its sender names them in a signed header."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from bus.core import errors
from bus.core.decision import Accepted, Decision, Refused
from bus.core.decision_encoding import DecisionUnreadable, encode_decision
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.pipeline import Rules
from bus.core.registry import Mode, RecipientRule, SubmissionRule, Subscription
from bus.core.routing import Recipient
from bus.core.verification import verify
from bus.judging.frame_content import decision_of
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from tests.envelopes import block, signed_again, with_header
from tests.nation import (
    CLIENT,
    LOOKUP,
    NOW,
    PROVIDER,
    SAMPLE,
    SmallNation,
    decide_request,
    payload,
    request,
)

LIMITS = Limits()
HANOI, CAO_BANG = (SubsystemId.parse(f"VN/GOV/{code}/motcua") for code in ("H26", "H14"))
MEMBER = SubsystemId.parse("VN/GOV/G03")


def addressed(nation: SmallNation, *recipients: SubsystemId) -> bytes:
    return write_request(
        RequestHeader(CLIENT, LOOKUP, "m-1", recipients=recipients),
        payload(SAMPLE),
        nation.signers[CLIENT],
        SigningTime(NOW),
    )


def submitting(nation: SmallNation, rule: RecipientRule = RecipientRule.NAMED) -> Rules:
    """The rules, with a service that is submitted to in the place of the lookup."""
    registry = nation.rules.registry
    service = replace(
        registry.services[LOOKUP], mode=Mode.SUBMISSION, submission=SubmissionRule(rule)
    )
    subscriptions = {one: Subscription(one, LOOKUP, "p", "l") for one in (CAO_BANG, HANOI)}
    return replace(
        nation.rules,
        registry=replace(
            registry,
            services={**registry.services, LOOKUP: service},
            recipients={HANOI: "provinces", CAO_BANG: "", PROVIDER: "provider"},
            subscriptions={LOOKUP: subscriptions},
        ),
    )


def decided(raw: bytes, rules: Rules) -> Decision:
    def unreported(error: Exception) -> None:
        raise AssertionError("nothing was to go wrong") from error

    return decide_request(raw, rules, NOW, unreported)


def test_recipients_are_read_in_the_order_in_which_they_stand(nation: SmallNation) -> None:
    envelope = parse(addressed(nation, HANOI, CAO_BANG, MEMBER), LIMITS)

    assert envelope.recipients == (HANOI, CAO_BANG, MEMBER)
    assert envelope.routing_blocks[-1].name == "recipients"
    assert parse(request(nation), LIMITS).recipients == ()


def test_where_a_message_goes_is_signed(nation: SmallNation) -> None:
    raw = addressed(nation, HANOI, CAO_BANG)
    rules = nation.rules
    verified = verify(parse(raw, LIMITS), rules.registry, rules.trust, NOW)
    assert "recipients" in verified.canonical_parts

    without = signed_again(
        raw, nation.signers[CLIENT], blocks=("client", "service", "id", "protocolVersion")
    )
    with pytest.raises(errors.CoverageInsufficient):
        verify(parse(without, LIMITS), rules.registry, rules.trust, NOW)

    changed = raw.replace(b"<id:memberCode>H14", b"<id:memberCode>H15")
    with pytest.raises(errors.DigestMismatch):
        verify(parse(changed, LIMITS), rules.registry, rules.trust, NOW)


def test_recipients_that_are_added_on_the_way_are_not_signed(nation: SmallNation) -> None:
    start = b"<lt:recipients"
    added = addressed(nation, HANOI)
    start_at = added.index(start)
    header = added[start_at : added.index(b"</lt:recipients>") + len(b"</lt:recipients>")]
    raw = with_header(request(nation), header)

    with pytest.raises(errors.CoverageInsufficient):
        verify(parse(raw, LIMITS), nation.rules.registry, nation.rules.trust, NOW)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        (b"lt:recipient", b"lt:receiver", errors.HeaderInvalid, "not expected here"),
        (b'objectType="SUBSYSTEM"', b'objectType="SERVICE"', errors.HeaderInvalid, "objectType"),
        (b"<id:memberCode>H14", b"<id:memberCode>H26", errors.HeaderDuplicate, "VN/GOV/H26/motcua"),
        (b"<id:memberCode>H14", b"<id:memberCode>H/4", errors.HeaderInvalid, "memberCode"),
    ],
)
def test_every_way_to_write_them_wrong_is_refused(
    old: bytes, new: bytes, error: type[errors.BusError], words: str, nation: SmallNation
) -> None:
    raw = addressed(nation, HANOI, CAO_BANG)
    start = raw.index(b"<lt:recipient ")
    end = raw.index(b"</lt:recipients>")
    changed = raw[:start] + raw[start:end].replace(old, new) + raw[end:]
    assert changed != raw

    with pytest.raises(error, match=words):
        parse(changed, LIMITS)


def test_they_are_bounded_and_at_least_one(nation: SmallNation) -> None:
    raw = addressed(nation, HANOI, CAO_BANG)
    with pytest.raises(errors.HeaderInvalid, match="2 elements; expected 1 to 1"):
        parse(raw, replace(LIMITS, recipients_max=1))

    empty = f'<lt:recipients xmlns:lt="{names.LIENTHONG}"/>'.encode()
    with pytest.raises(errors.HeaderInvalid, match="0 elements"):
        parse(with_header(request(nation), empty), LIMITS)
    with pytest.raises(errors.HeaderDuplicate):
        parse(with_header(raw, empty), LIMITS)


def test_the_message_goes_to_whom_it_names(nation: SmallNation) -> None:
    accepted = decided(addressed(nation, HANOI, CAO_BANG), submitting(nation))

    assert isinstance(accepted, Accepted)
    assert accepted.mode is Mode.SUBMISSION
    assert accepted.recipients == (Recipient(CAO_BANG, ""), Recipient(HANOI, "provinces"))
    assert accepted.for_recipient(1).recipients == (Recipient(HANOI, "provinces"),)
    query = decided(request(nation), nation.rules)
    assert isinstance(query, Accepted)
    assert (query.mode, query.recipients) == (Mode.QUERY, ())


def test_a_message_that_goes_nowhere_is_refused(nation: SmallNation) -> None:
    rules = submitting(nation)

    stranger = decided(addressed(nation, HANOI, MEMBER), rules)
    unaddressed = decided(request(nation), rules)

    assert isinstance(stranger, Refused)
    assert isinstance(unaddressed, Refused)
    assert stranger == Refused(
        errors.RecipientNotSubscribed(public_detail=str(MEMBER)), stranger.facts, stranger.proof
    )
    assert isinstance(unaddressed.error, errors.RecipientsInvalid)


def test_the_answer_does_not_say_again_where_a_message_went(nation: SmallNation) -> None:
    accepted = decided(addressed(nation, HANOI, CAO_BANG), submitting(nation))
    assert isinstance(accepted, Accepted)

    blocks = etree.fromstring(b"<header>" + accepted.answer_blocks.canonical + b"</header>")

    assert [etree.QName(one).localname for one in blocks] == [
        "client",
        "service",
        "id",
        "protocolVersion",
        "requestHash",
    ]
    assert block(addressed(nation, HANOI), "client") in accepted.answer_blocks.canonical


@pytest.mark.parametrize("rule", [RecipientRule.NAMED, RecipientRule.SUBSCRIBERS])
def test_a_decision_crosses_only_to_those_that_the_rules_let_it_go_to(
    rule: RecipientRule, nation: SmallNation
) -> None:
    rules = submitting(nation, rule)
    to = (HANOI, CAO_BANG) if rule is RecipientRule.NAMED else ()
    accepted = decided(addressed(nation, *to), rules)
    assert isinstance(accepted, Accepted)
    assert decision_of(encode_decision(accepted, is_summed=False), rules) == accepted

    for others in (
        (Recipient(HANOI, "other"), Recipient(CAO_BANG, "")),
        (Recipient(MEMBER, ""),),
        tuple(reversed(accepted.recipients)),
        (),
    ):
        with pytest.raises(DecisionUnreadable):
            decision_of(
                encode_decision(replace(accepted, recipients=others), is_summed=False), rules
            )
