"""Who gets what is submitted: the provider, whom the sender names, or whoever is subscribed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import (
    MemberRegistry,
    Mode,
    RecipientRule,
    Service,
    SubmissionRule,
    Subscription,
)
from bus.core.routing import (
    Recipient,
    delivery_digest,
    delivery_idempotency_key,
    recipients_of,
)
from tests.nation import CLIENT, REFERENCE

HANOI, CAO_BANG, LANG_SON = (
    SubsystemId.parse(f"VN/GOV/{code}/motcua") for code in ("H26", "H14", "H37")
)
PORTAL = SubsystemId.parse("VN/GOV/G22/dichvucong")
NOTICE = ServiceId(PORTAL, "ThongBao", "v1")
REGISTRY = replace(
    REFERENCE,
    recipients={HANOI: "provinces", CAO_BANG: "", LANG_SON: "provinces", PORTAL: "portal"},
    subscriptions={
        NOTICE: {one: Subscription(one, NOTICE, "p", "l") for one in (HANOI, CAO_BANG, LANG_SON)}
    },
)


def service(rule: RecipientRule, adapter: str = "") -> Service:
    return Service(
        NOTICE, "t", adapter, "s.xsd", Mode.SUBMISSION, 1.0, submission=SubmissionRule(rule)
    )


def bounded(recipients_max: int) -> MemberRegistry:
    return replace(REGISTRY, limits=replace(REGISTRY.limits, recipients_max=recipients_max))


def test_a_query_goes_to_nobody_but_its_agency() -> None:
    query = replace(service(RecipientRule.PROVIDER, "portal"), submission=None)

    assert recipients_of(query, (), REGISTRY) == ()


def test_the_provider_is_reached_as_its_service_says_or_as_it_is_reached_otherwise() -> None:
    by_service = service(RecipientRule.PROVIDER, "dossiers")
    otherwise = service(RecipientRule.PROVIDER)

    assert recipients_of(by_service, (), REGISTRY) == (Recipient(PORTAL, "dossiers"),)
    assert recipients_of(otherwise, (), REGISTRY) == (Recipient(PORTAL, "portal"),)


def test_every_subscriber_gets_it_in_the_order_of_their_names() -> None:
    assert recipients_of(service(RecipientRule.SUBSCRIBERS), (), REGISTRY) == (
        Recipient(CAO_BANG, ""),
        Recipient(HANOI, "provinces"),
        Recipient(LANG_SON, "provinces"),
    )


def test_whom_the_sender_names_gets_it_in_the_order_of_their_names() -> None:
    found = recipients_of(service(RecipientRule.NAMED), (LANG_SON, CAO_BANG), REGISTRY)

    assert found == (Recipient(CAO_BANG, ""), Recipient(LANG_SON, "provinces"))


def test_who_is_not_subscribed_is_not_sent_to() -> None:
    with pytest.raises(errors.RecipientNotSubscribed, match=str(PORTAL)) as caught:
        recipients_of(service(RecipientRule.NAMED), (LANG_SON, PORTAL), REGISTRY)

    assert caught.value.diagnostic == ""


def test_a_service_whose_sender_names_recipients_needs_them() -> None:
    with pytest.raises(errors.RecipientsInvalid, match="needs a header recipients"):
        recipients_of(service(RecipientRule.NAMED), (), REGISTRY)


@pytest.mark.parametrize("rule", [RecipientRule.PROVIDER, RecipientRule.SUBSCRIBERS, None])
def test_nobody_is_named_where_the_service_chooses(rule: RecipientRule | None) -> None:
    chooses = service(rule or RecipientRule.PROVIDER)
    if rule is None:
        chooses = replace(chooses, submission=None)

    with pytest.raises(errors.RecipientsInvalid, match="takes no header recipients"):
        recipients_of(chooses, (HANOI,), REGISTRY)


def test_recipients_are_bounded() -> None:
    assert len(recipients_of(service(RecipientRule.SUBSCRIBERS), (), bounded(3))) == 3

    with pytest.raises(errors.RecipientsInvalid, match="3 recipients, at most 2"):
        recipients_of(service(RecipientRule.SUBSCRIBERS), (), bounded(2))


def test_the_key_of_a_delivery_is_its_own_and_the_same_in_every_attempt() -> None:
    digest = delivery_digest(CLIENT, "m-1", HANOI)

    assert digest == hashlib.sha256(b"VN/GOV/H41/motcua\nm-1\nVN/GOV/H26/motcua\n0").digest()
    assert delivery_idempotency_key(digest) == digest.hex()[:43]
    others = [
        delivery_digest(CLIENT, "m-1", LANG_SON),
        delivery_digest(CLIENT, "m-2", HANOI),
        delivery_digest(HANOI, "m-1", HANOI),
        delivery_digest(CLIENT, "m-1", HANOI, generation=1),
    ]
    assert len({digest, *others}) == 5
