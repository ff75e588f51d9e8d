"""Each member is held to its own policy, and every attachment to its signature."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bus.core import errors
from bus.core.limits import Limits
from bus.core.registry import MemberRegistry
from bus.core.verification import VerifiedEnvelope, verify
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from signing.attachments import Attachment
from signing.policy import (
    DIGEST_SHA256,
    ED25519,
    Allowance,
    MemberPolicy,
    PolicyException,
    SignaturePolicy,
)
from signing.wss.sign import AttachmentPart
from tests.envelopes import timestamp, with_part
from tests.nation import CLIENT, LOOKUP, NOW, OTHER_CLIENT, SmallNation, payload, request

STRICT = SignaturePolicy(frozenset({ED25519}))


def with_policies(nation: SmallNation, policy: MemberPolicy) -> MemberRegistry:
    """The nation with a policy of its own for CLIENT's member."""
    return replace(nation.rules.registry, member_policies={CLIENT.member: policy})


def verified(
    raw: bytes,
    nation: SmallNation,
    rules: MemberRegistry | None = None,
    attachments: tuple[Attachment, ...] = (),
    now: datetime = NOW,
) -> VerifiedEnvelope:
    envelope = replace(parse(raw, nation.rules.registry.limits), attachments=attachments)
    return verify(envelope, rules or nation.rules.registry, nation.rules.trust, now)


# --- the member decides ------------------------------------------------------------------------


def test_a_member_s_own_policy_holds_for_it_and_for_nobody_else(nation: SmallNation) -> None:
    rules = with_policies(nation, MemberPolicy(STRICT))

    with pytest.raises(errors.AlgorithmForbidden):
        verified(request(nation), nation, rules)
    other = request(nation, client=OTHER_CLIENT)
    assert verified(other, nation, rules).sender == OTHER_CLIENT.member


def test_a_member_can_be_held_to_less_than_the_others(nation: SmallNation) -> None:
    own = replace(with_policies(nation, MemberPolicy()), policy=STRICT)

    assert verified(request(nation), nation, own).sender == CLIENT.member
    with pytest.raises(errors.AlgorithmForbidden):
        verified(request(nation, client=OTHER_CLIENT), nation, own)


def test_an_exception_is_gone_after_its_last_day(nation: SmallNation) -> None:
    until = date(2026, 3, 1)
    policy = MemberPolicy(exceptions=(PolicyException(Allowance.SHA1, "old system", until),))
    rules = with_policies(nation, policy)

    held, ended = (
        rules.policy_of(CLIENT.member, datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 2)
    )

    assert held.digest_algorithms > ended.digest_algorithms
    assert ended == SignaturePolicy()
    assert rules.policy_of(None, NOW) == rules.policy
    assert rules.policy_of(OTHER_CLIENT.member, NOW) == rules.policy


# --- freshness -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "created", "is_fresh"),
    [
        (SignaturePolicy(message_age_seconds_max=10), timedelta(seconds=-10), True),
        (SignaturePolicy(message_age_seconds_max=10), timedelta(seconds=-11), False),
        (SignaturePolicy(message_age_seconds_max=900), timedelta(seconds=-899), True),
        (SignaturePolicy(clock_skew_seconds_max=5), timedelta(seconds=5), True),
        (SignaturePolicy(clock_skew_seconds_max=5), timedelta(seconds=6), False),
    ],
)
def test_the_member_s_policy_says_how_old_its_messages_may_be(
    policy: SignaturePolicy, created: timedelta, is_fresh: bool, nation: SmallNation
) -> None:
    raw = request(nation, created=NOW + created, valid_for=timedelta(hours=1))
    rules = with_policies(nation, MemberPolicy(policy))

    if is_fresh:
        assert verified(raw, nation, rules).created == NOW + created
        return
    with pytest.raises(errors.MessageExpired):
        verified(raw, nation, rules)


def test_a_policy_can_demand_that_messages_expire(nation: SmallNation) -> None:
    rules = with_policies(nation, MemberPolicy(SignaturePolicy(is_expires_required=True)))
    raw = request(nation)
    endless = with_part(raw, timestamp(raw), _without_expires(raw), nation.signers[CLIENT])

    assert verified(raw, nation, rules).sender == CLIENT.member
    assert verified(endless, nation).sender == CLIENT.member
    with pytest.raises(errors.MessageExpired, match="no wsu:Expires"):
        verified(endless, nation, rules)


def _without_expires(raw: bytes) -> bytes:
    before, _, rest = timestamp(raw).partition(b"<wsu:Expires>")
    return before + rest.partition(b"</wsu:Expires>")[2]


# --- attachments ------------------------------------------------------------------------------


def attachment(content: bytes, media_type: str = "application/pdf") -> Attachment:
    def chunks() -> Iterator[bytes]:
        yield content[:3]
        yield content[3:]

    headers = (("Content-ID", "<a@example.vn>"), ("Content-Type", media_type))
    digests = {DIGEST_SHA256: hashlib.sha256(content).digest()}
    return Attachment("a@example.vn", media_type, headers, len(content), digests, chunks)


def with_attachment(nation: SmallNation, signed: bytes) -> bytes:
    return write_request(
        RequestHeader(CLIENT, LOOKUP, "m-1"),
        payload(),
        nation.signers[CLIENT],
        SigningTime(NOW, timedelta(minutes=5)),
        attachments=[AttachmentPart("a@example.vn", hashlib.sha256(signed).digest())],
    )


@pytest.mark.parametrize(
    ("media_type", "content", "signed"),
    [
        ("application/pdf", b"%PDF", b"%PDF"),
        ("text/plain", b"a\nb", b"a\r\nb"),
        ("text/xml", b"<a b='1'/>", b'<a b="1"></a>'),
    ],
)
def test_attachments_that_are_signed_are_told(
    media_type: str, content: bytes, signed: bytes, nation: SmallNation
) -> None:
    beside = attachment(content, media_type)

    proved = verified(with_attachment(nation, signed), nation, attachments=(beside,))

    assert proved.attachments == (beside,)


def test_an_attachment_that_nobody_signed_is_refused(nation: SmallNation) -> None:
    with pytest.raises(errors.CoverageInsufficient, match="an attachment is not signed"):
        verified(request(nation), nation, attachments=(attachment(b"%PDF"),))


@pytest.mark.parametrize(
    ("content", "cause", "reason"),
    [
        (b"<a/><!-- x -->", errors.ForbiddenXml, "it holds a comment"),
        (b"<a>", errors.NotWellFormed, ""),
        (b"<!DOCTYPE a><a/>", errors.ForbiddenXml, ""),
        (b"<?pi?><a/>", errors.ForbiddenXml, ""),
        (b"<a>" * 1000 + b"</a>" * 1000, errors.NotWellFormed, ""),
        (b"<a" + b"".join(b' a%d=""' % i for i in range(1000)) + b"/>", errors.TooComplex, ""),
    ],
    ids=["comment", "not ended", "document type", "instruction", "deep", "attributes"],
)
def test_xml_beside_an_envelope_is_read_as_strictly_as_the_envelope(
    content: bytes, cause: type[errors.BusError], reason: str, nation: SmallNation
) -> None:
    with pytest.raises(errors.AttachmentXmlInvalid, match=f"attachment 1: {reason}") as caught:
        verified(
            with_attachment(nation, b"<a></a>"),
            nation,
            attachments=(attachment(content, "text/xml"),),
        )

    assert type(caught.value.__cause__) is cause


def test_an_attachment_that_was_not_kept_is_refused_for_that(nation: SmallNation) -> None:
    def not_kept() -> Iterator[bytes]:
        raise errors.AttachmentNotAllowed("the service does not take it")

    beside = replace(attachment(b"<a/>", "text/xml"), chunks=not_kept)

    with pytest.raises(errors.AttachmentNotAllowed):
        verified(with_attachment(nation, b"<a></a>"), nation, attachments=(beside,))


def test_the_attachment_that_is_refused_is_told_by_its_number(nation: SmallNation) -> None:
    first = replace(attachment(b"%PDF"), content_id="b@example.vn")
    second = attachment(b"<a>", "text/xml")

    with pytest.raises(errors.AttachmentXmlInvalid, match="attachment 2: "):
        verified(with_attachment(nation, b"<a></a>"), nation, attachments=(first, second))


XML = b"<abc></abc>"


def test_xml_beside_an_envelope_may_be_as_large_as_an_envelope(nation: SmallNation) -> None:
    raw = with_attachment(nation, XML)
    beside = attachment(b"<abc />", "text/xml")
    just = replace(nation.rules.registry, limits=replace(Limits(), envelope_bytes_max=7))

    assert verified(raw, nation, just, attachments=(beside,)).attachments == (beside,)


def test_xml_beside_an_envelope_is_no_larger_than_an_envelope(nation: SmallNation) -> None:
    raw = with_attachment(nation, XML)
    small = replace(nation.rules.registry, limits=replace(Limits(), envelope_bytes_max=6))

    with pytest.raises(errors.AttachmentXmlInvalid, match="1: it is larger than an envelope"):
        verified(raw, nation, small, attachments=(attachment(b"<abc />", "text/xml"),))
