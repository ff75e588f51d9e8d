"""A client believes an answer only if everything about it is proved."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.client.hub_client import (
    AnswerRejected,
    FaultReceived,
    HubUnreachable,
    Labels,
    RequestUnfit,
)
from bus.core import errors
from bus.core.limits import Limits
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import without_receipt
from signing.signed_note import SigningKey
from tests.client.hub_stand_in import BROKEN_PARTS, RECEIPT_KEY, StandIn, client_of, listening
from tests.nation import CLIENT, HUB, LOOKUP, PROVIDER, SmallNation, payload

Spoil = Callable[[StandIn, bytes], bytes]

OTHER_LOG_KEY = SigningKey(RECEIPT_KEY.name, Ed25519PrivateKey.from_private_bytes(bytes(32)))


def _other_request(stand_in: StandIn) -> bytes:
    client = client_of(stand_in.nation, "http://127.0.0.1:1")
    return client.sign(LOOKUP, payload(), Labels("another-id"))


def _altered_body(stand_in: StandIn, request: bytes) -> bytes:
    body = without_receipt(stand_in.answer(request)).replace(b'SoCongDan="0"', b'SoCongDan="1"')
    return stand_in.receipted(body, request)


def _header_left_out(stand_in: StandIn, request: bytes) -> bytes:
    about = client_of(stand_in.nation, "http://127.0.0.1:1").sign(
        LOOKUP, payload(), Labels("m-1", issue="another case")
    )
    return stand_in.answer(request, about=about)


def _other_body_under_the_same_headers(stand_in: StandIn, request: bytes) -> bytes:
    other = payload()
    other[0].text = "another question"
    client = client_of(stand_in.nation, "http://127.0.0.1:1")
    return stand_in.answer(request, about=client.sign(LOOKUP, other, Labels("m-1")))


def _unsigned_header_added(stand_in: StandIn, request: bytes) -> bytes:
    extra = b'<x:userId xmlns:x="http://x-road.eu/xsd/xroad.xsd">VN0666</x:userId></soap:Header>'
    body = without_receipt(stand_in.answer(request)).replace(b"</soap:Header>", extra)
    return stand_in.receipted(body, request)


def _receipt_of_other_answer(stand_in: StandIn, request: bytes) -> bytes:
    answer = stand_in.answer(request)
    other = stand_in.receipted(without_receipt(answer) + b"\n", request)
    return _with_receipt_of(answer, other)


def _receipt_of_other_request(stand_in: StandIn, request: bytes) -> bytes:
    body = without_receipt(stand_in.answer(request))
    return stand_in.receipted(body, _other_request(stand_in))


def _receipt_that_is_none(stand_in: StandIn, request: bytes) -> bytes:
    answer = stand_in.answer(request)
    return answer.replace(_receipt_text(answer), base64.b64encode(b"trust me\n"))


def _with_receipt_of(answer: bytes, other: bytes) -> bytes:
    return answer.replace(_receipt_text(answer), _receipt_text(other))


def _receipt_text(answer: bytes) -> bytes:
    found = re.search(rb"<lt:receipt [^>]*>([^<]+)<", answer)
    assert found
    return found[1]


def _fault_about_other(stand_in: StandIn, request: bytes) -> bytes:
    fault = stand_in.fault(_other_request(stand_in), errors.AccessDenied())
    return stand_in.receipted(fault, request)


SPOILT: dict[str, tuple[str, Spoil]] = {
    "the body was altered": ("signature does not hold", _altered_body),
    "another agency signed the answer": (
        "expected the signature of VN/GOV/G01",
        lambda stand_in, request: stand_in.but(answerer=CLIENT).answer(request),
    ),
    "the hub signed what the agency must": (
        "expected the signature of VN/GOV/G01",
        lambda stand_in, request: stand_in.but(answerer=HUB).answer(request),
    ),
    "the answer is to another request": (
        "headers are not those",
        lambda stand_in, request: stand_in.answer(request, about=_other_request(stand_in)),
    ),
    "the headers are those of another case": ("headers are not those", _header_left_out),
    "the question was another": (
        "requestHash is not that",
        _other_body_under_the_same_headers,
    ),
    "a header is not signed": ("userId is not signed", _unsigned_header_added),
    "there is no receipt": (
        "there is no receipt",
        lambda stand_in, request: without_receipt(stand_in.answer(request)),
    ),
    "the receipt is signed by another key": (
        "receipt does not hold",
        lambda stand_in, request: stand_in.but(receipt_key=OTHER_LOG_KEY).answer(request),
    ),
    "the receipt is about another answer": ("about another answer", _receipt_of_other_answer),
    "the receipt is about another request": ("about another request", _receipt_of_other_request),
    "the receipt is no receipt": ("receipt does not hold", _receipt_that_is_none),
    "the fault is signed by another": (
        "expected the signature of VN/GOV/G22",
        lambda stand_in, request: stand_in.receipted(
            stand_in.but(fault_signer=CLIENT).fault(request, errors.AccessDenied()), request
        ),
    ),
    "the fault is about another request": ("about another request", _fault_about_other),
    "the fault has no receipt": (
        "there is no receipt",
        lambda stand_in, request: stand_in.fault(request, errors.AccessDenied()),
    ),
    "it is not XML": ("cannot be read", lambda _, __: b"<html>busy</html"),
    "it is no envelope": ("not a SOAP envelope", lambda _, __: b"<html/>"),
    "it is not signed": (
        "not signed",
        lambda stand_in, request: re.sub(
            rb"<wsse:Security.*</wsse:Security>", b"", stand_in.answer(request)
        ),
    ),
}


def test_an_answer_that_holds_is_given_with_its_receipt(nation: SmallNation) -> None:
    stand_in = StandIn(nation)
    with listening(lambda request: (200, stand_in.answer(request))) as url:
        answer = client_of(nation, url).call(LOOKUP, payload())
    assert answer.payload.tag.endswith("TraCuuThongTinCongDanResponse")
    assert (answer.receipt.received_index, answer.receipt.outcome_index) == (7, 8)
    assert str(answer.signer) == "VN/GOV/G01"


@pytest.mark.parametrize("name", SPOILT)
def test_an_answer_is_rejected_when(name: str, nation: SmallNation) -> None:
    reason, spoil = SPOILT[name]
    stand_in = StandIn(nation)
    with (
        listening(lambda request: (200, spoil(stand_in, request))) as url,
        pytest.raises(AnswerRejected) as rejected,
    ):
        client_of(nation, url).call(LOOKUP, payload(), Labels("m-1"))
    assert reason in rejected.value.reason


def test_a_fault_that_holds_says_what_the_hub_said(nation: SmallNation) -> None:
    stand_in = StandIn(nation)

    def refuse(request: bytes) -> tuple[int, bytes]:
        return 500, stand_in.receipted(stand_in.fault(request, errors.AccessDenied()), request)

    with listening(refuse) as url, pytest.raises(FaultReceived) as received:
        client_of(nation, url).call(LOOKUP, payload())
    fault = received.value.fault
    assert (fault.code, fault.fault_id, fault.is_retryable) == ("access.denied", "fault-1", False)
    assert received.value.verified.receipt is not None


def test_only_a_hub_without_its_log_may_leave_the_receipt_out(nation: SmallNation) -> None:
    stand_in = StandIn(nation)

    def refuse(request: bytes) -> tuple[int, bytes]:
        return 503, stand_in.fault(request, errors.LogUnavailable())

    with listening(refuse) as url, pytest.raises(FaultReceived) as received:
        client_of(nation, url).call(LOOKUP, payload())
    assert received.value.verified.receipt is None
    assert received.value.fault.is_retryable


def test_a_hub_that_is_too_busy_for_soap_counts_as_unreachable(nation: SmallNation) -> None:
    with (
        listening(lambda _: (503, b"The hub takes no more requests now.\n")) as url,
        pytest.raises(HubUnreachable, match="503"),
    ):
        client_of(nation, url).call(LOOKUP, payload())


PAGE = b"<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
PAGES: list[tuple[int, str, bytes]] = [
    *((status, "text/html; charset=utf-8", PAGE) for status in (200, 401, 407, 502, 503, 504)),
    (502, "", PAGE),
    (502, "text/xml", b"<?xml version='1.0'?><error/>"),
    (503, "application/xml", b"<html xmlns='http://www.w3.org/1999/xhtml'/>"),
    (200, "application/json", b"{}"),
    (302, "TEXT/HTML", b" <html/>"),
    (500, "application/problem+xml", b"<problem/>"),
]


@pytest.mark.parametrize(("status", "content_type", "page"), PAGES)
def test_a_page_of_a_gateway_is_no_answer_of_the_hub(
    status: int, content_type: str, page: bytes, nation: SmallNation
) -> None:
    with (
        listening(lambda _: (status, page), content_type=content_type) as url,
        pytest.raises(HubUnreachable, match=str(status)),
    ):
        client_of(nation, url).call(LOOKUP, payload())


@pytest.mark.parametrize("content_type", BROKEN_PARTS)
def test_parts_that_cannot_be_taken_apart_are_no_answer(
    content_type: str, nation: SmallNation
) -> None:
    with (
        listening(lambda _: (200, b"--b\r\nno parts"), content_type=content_type) as url,
        pytest.raises(HubUnreachable),
    ):
        client_of(nation, url).call(LOOKUP, payload())


def test_a_hub_that_does_not_listen_is_unreachable(nation: SmallNation) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        with pytest.raises(HubUnreachable, match=url):
            client_of(nation, url).call(LOOKUP, payload())


@pytest.mark.parametrize(
    "labels",
    [
        Labels("a\x1bb"),
        Labels("x" * 129),
        Labels("\udcff"),
        Labels(user_id="\x00"),
        Labels(issue="a\ufffeb"),
    ],
)
def test_what_no_hub_takes_is_not_signed(labels: Labels, nation: SmallNation) -> None:
    client = client_of(nation, "http://127.0.0.1:1")

    with pytest.raises(RequestUnfit):
        client.call(LOOKUP, payload(), labels)


@pytest.mark.parametrize("request_", [b"", b"<a/>", b"\xff", b"<?x?><a/>", b"<!DOCTYPE a><a/>"])
def test_bytes_that_are_no_request_are_not_sent(request_: bytes, nation: SmallNation) -> None:
    sent: list[bytes] = []

    def take(raw: bytes) -> tuple[int, bytes]:
        sent.append(raw)
        return 200, b"<a/>"

    with listening(take) as url:
        with pytest.raises(RequestUnfit):
            client_of(nation, url).exchange(request_)
        with pytest.raises(RequestUnfit):
            client_of(nation, url).verify(request_, b"<a/>")
    assert sent == []


# --- what is delivered afterwards ----------------------------------------------------------------


def test_an_acceptance_is_proved_and_is_no_answer(nation: SmallNation) -> None:
    stand_in = StandIn(nation)

    with listening(lambda raw: (200, stand_in.acceptance(raw))) as url:
        client = client_of(nation, url)
        told = client.submit(LOOKUP, payload(), Labels("s-1"))
        with pytest.raises(AnswerRejected, match="accepted, to be delivered later"):
            client.call(LOOKUP, payload(), Labels("s-2"))
        client.close()

    assert (told.acceptance.message_id, told.acceptance.recipients_count) == ("s-1", 34)
    assert (told.receipt.received_index, told.receipt.recipients_count) == (7, 34)


def test_an_answer_is_no_acceptance(nation: SmallNation) -> None:
    stand_in = StandIn(nation)

    with listening(lambda raw: (200, stand_in.answer(raw))) as url:
        client = client_of(nation, url)
        with pytest.raises(AnswerRejected, match="answered at once"):
            client.submit(LOOKUP, payload())
        client.close()


def test_an_acceptance_of_anybody_but_the_hub_is_not_believed(nation: SmallNation) -> None:
    for forged in (
        StandIn(nation).but(fault_signer=PROVIDER),
        StandIn(nation).but(receipt_key=OTHER_LOG_KEY),
    ):
        with listening(lambda raw, of=forged: (200, of.acceptance(raw))) as url:  # type: ignore[misc]
            client = client_of(nation, url)
            with pytest.raises(AnswerRejected):
                client.submit(LOOKUP, payload())
            client.close()


def test_recipients_are_named_under_the_senders_signature(nation: SmallNation) -> None:
    client = client_of(nation, "http://127.0.0.1:1")

    raw = client.sign(LOOKUP, payload(), Labels("s-3", recipients=(PROVIDER, CLIENT)))

    assert parse(raw, Limits()).recipients == (PROVIDER, CLIENT)
    client.close()
