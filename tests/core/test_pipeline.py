"""Every stage before delivery: judged the same way every time, refused with what is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core import errors
from bus.core.identifiers import ServiceId
from bus.core.metaservices import (
    METASERVICE_ADAPTER,
    NAMESPACE,
    allowed_services,
    services_of,
)
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.core.validation import validate, validate_answer
from bus.protocols.soap_xroad.parse import parse
from tests.nation import (
    ANSWER,
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    LOOKUP,
    LOOKUP_ADAPTER,
    NOW,
    SAMPLE,
    SmallNation,
    payload,
    request,
)


def routed(raw: bytes, nation: SmallNation) -> RoutedMessage:
    result = decide(raw, parse, nation.rules, NOW)
    assert isinstance(result, RoutedMessage), result
    return result


def refused(raw: bytes, nation: SmallNation) -> Refusal:
    result = decide(raw, parse, nation.rules, NOW)
    assert isinstance(result, Refusal), result
    return result


# --- the way through -----------------------------------------------------------------------------


def test_a_good_request_reaches_its_route(nation: SmallNation) -> None:
    message = routed(request(nation), nation)

    assert message.adapter == LOOKUP_ADAPTER
    assert message.timeout_seconds == 300
    assert message.valid.authorised.verified.envelope.client == CLIENT


def test_a_refusal_knows_how_far_the_message_came(nation: SmallNation) -> None:
    unread = refused(b"<a/>", nation)
    unproved = refused(request(nation).replace(b"H41.MOTCUA", b"H41.MOTCUB"), nation)
    denied = refused(request(nation, client=CLIENT_WITHOUT_GRANT), nation)

    assert (unread.envelope, unread.verified) == (None, None)
    assert unproved.envelope is not None
    assert unproved.verified is None
    assert denied.verified is not None
    assert [type(one.error) for one in (unread, unproved, denied)] == [
        errors.WrongSoapVersion,
        errors.DigestMismatch,
        errors.AccessDenied,
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.integers(0, 6000), message_id=st.text("abc-", min_size=1, max_size=9))
def test_the_same_bytes_are_judged_the_same(nation: SmallNation, cut: int, message_id: str) -> None:
    raw = request(nation, message_id)[: 6000 - cut if cut % 3 else None]

    first, second = (decide(raw, parse, nation.rules, NOW) for _ in range(2))

    assert _said(first) == _said(second)


def _said(decision: RoutedMessage | Refusal) -> object:
    if isinstance(decision, Refusal):
        return type(decision.error), decision.error.detail
    return decision.adapter, decision.idempotency_key


# --- route -----------------------------------------------------------------------------------


def test_every_attempt_at_a_message_has_the_same_key(nation: SmallNation) -> None:
    keys = [routed(request(nation, "m-1"), nation).idempotency_key for _ in range(2)]

    assert keys[0] == keys[1]
    assert len(keys[0]) == 43


def test_other_messages_and_other_senders_have_other_keys(nation: SmallNation) -> None:
    other = replace(CLIENT, member=replace(CLIENT.member, member_code="H26"))
    keys = {
        routed(request(nation, message_id, client=client), nation).idempotency_key
        for message_id in ("m-1", "m-2")
        for client in (CLIENT, other)
    }

    assert len(keys) == 4


# --- validate --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"040185766517", b"12", "SoDinhDanh: expected a text of the form [0-9]{12}"),
        (b"<p:MaDVC>H41.MOTCUA</p:MaDVC>", b"", "unexpected element MaCanBo; expected MaDVC"),
        (b"http://dancuquocgia.bca", b"urn:other", "expected element {http://dancuquocgia.bca}"),
        (
            b"</p:TraCuuThongTinCongDan>",
            b"<p:X/></p:TraCuuThongTinCongDan>",
            "unexpected element X",
        ),
        (b"19850110", b"10/01/1985", "NgayThangNam: expected"),
    ],
)
def test_a_payload_that_breaks_its_schema_is_refused_with_line_path_and_expectation(
    nation: SmallNation, old: bytes, new: bytes, words: str
) -> None:
    refusal = refused(request(nation, body=SAMPLE.replace(old, new)), nation)

    assert type(refusal.error) is errors.PayloadInvalid
    assert words in refusal.error.public_detail
    assert refusal.error.public_detail.startswith("line ")


def test_what_is_told_of_a_payload_never_repeats_its_values(nation: SmallNation) -> None:
    secret = b"BI-MAT-CUA-CONG-DAN"

    for old in (b"040185766517", b"19850110", b"CB-H41-0117"):
        refusal = refused(request(nation, body=SAMPLE.replace(old, b"?" + secret)), nation)
        assert type(refusal.error) is errors.PayloadInvalid
        assert secret.decode() not in str(refusal.error)


def test_an_answer_is_held_to_the_same_schema(nation: SmallNation) -> None:
    valid = routed(request(nation), nation).valid

    rule = valid.authorised.service, valid.schema
    validate_answer(payload(ANSWER), *rule)
    for wrong in (
        SAMPLE,
        ANSWER.replace(b"SoCongDan", b"SoNguoi"),
        ANSWER.replace(b"dancuquocgia", b"other"),
    ):
        with pytest.raises(errors.AnswerInvalid, match="line 1"):
            validate_answer(payload(wrong), *rule)


def test_validation_takes_the_schema_of_the_service(nation: SmallNation) -> None:
    authorised = routed(request(nation), nation).valid.authorised

    assert validate(authorised, nation.rules.schemas).schema is nation.rules.schemas[LOOKUP]


# --- metaservices --------------------------------------------------------------------------------


def test_a_metaservice_is_routed_to_the_hub_itself_whatever_its_element_holds(
    nation: SmallNation,
) -> None:
    typed = '<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="x:T"/>'
    for content in ("", "<anything/>", typed):
        body = f'<x:listMethods xmlns:x="{NAMESPACE}">{content}</x:listMethods>'.encode()
        asked = ServiceId.parse("VN/GOV/G01/dancu/listMethods/")

        message = routed(request(nation, service=asked, body=body), nation)

        assert message.adapter == METASERVICE_ADAPTER
        answer = f'<x:listMethodsResponse xmlns:x="{NAMESPACE}"/>'.encode()
        rule = message.valid.authorised.service, message.valid.schema
        assert b"listMethodsResponse" in validate_answer(payload(answer), *rule).canonical


def test_what_a_client_may_use_is_a_part_of_what_is_offered(nation: SmallNation) -> None:
    rules = nation.rules.registry

    offered = services_of(LOOKUP.provider, rules)

    assert [one.id for one in offered] == sorted(
        known for known in rules.services if known.provider == LOOKUP.provider
    )
    assert allowed_services(LOOKUP.provider, CLIENT, rules) == offered
    assert allowed_services(LOOKUP.provider, CLIENT_WITHOUT_GRANT, rules) == []
