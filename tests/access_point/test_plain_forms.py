"""Plain requests in every form that X-Road's clients send: attachments, MTOM, SOAP 1.2."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import Message

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from bus.kit.contract import Answer, Query, attachment_of_bytes
from bus.protocols.mime.write import write_related
from signing.names import SOAP12
from tests.access_point.running_access_point import (
    XROAD,
    PlainReply,
    RunningAccessPoint,
    ServedHub,
    plain_request,
    request_hash,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.hub.running_hub import answer_well
from tests.nation import ANSWER, DISABLED_SERVICE, NOW, SLOW_SERVICE, SmallNation, payload

SCAN = b"%PDF-1.7\n" + bytes(range(256)) * 4000
SOAP_1_2 = "application/soap+xml; charset=utf-8"


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(nation, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def point(
    nation: SmallNation, hub: ServedHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAccessPoint]:
    settings = write_settings(nation, tmp_path_factory.mktemp("point"), hub.url)
    with running_access_point(settings, hub.clock) as running:
        yield running


@pytest.fixture(autouse=True)
def at_rest(hub: ServedHub) -> None:
    hub.agency.asked.clear()
    hub.agency.script = answer_well
    hub.clock.now = NOW


def post_with_attachment(
    point: RunningAccessPoint, raw: bytes, content: bytes = SCAN, *, soap_type: str = "text/xml"
) -> PlainReply:
    scan = attachment_of_bytes(content, content_id="scan-1", media_type="application/pdf")
    message = write_related(raw, [scan], soap_type=soap_type)
    return point.post(b"".join(message), content_type=message.content_type)


def parts_of(reply: PlainReply) -> list[tuple[str, bytes]]:
    """Type and content of each part, as Python's own reader of mail sees them."""
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + reply.body, policy=email.policy.HTTP)
    return [(part.get_content_type(), content_of(part)) for part in message.iter_parts()]


def content_of(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def read(body: bytes) -> etree._Element:
    return parse_xml(body, bytes_max=len(body))


def test_attachments_go_to_the_agency_and_come_back(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    seen: list[bytes] = []

    def answer_with_copy(query: Query) -> Answer:
        seen.append(b"".join(query.attachments[0].chunks()))
        copy = attachment_of_bytes(
            b"stamped", content_id="copy-1", media_type="application/octet-stream"
        )
        return Answer(payload(ANSWER), (copy,))

    hub.agency.script = answer_with_copy
    raw = plain_request("attached-1")

    reply = post_with_attachment(point, raw)

    (soap_type, soap), (copy_type, copy) = parts_of(reply)
    assert seen == [SCAN]
    assert (reply.status, soap_type) == (200, "text/xml")
    assert request_hash(raw) == read(soap)[0].findtext(f"{{{XROAD}}}requestHash")
    assert (copy_type, copy) == ("application/octet-stream", b"stamped")


def test_a_repeated_request_with_the_same_attachment_is_the_same_message(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    raw = plain_request("attached-2")

    first, second = post_with_attachment(point, raw), post_with_attachment(point, raw)
    other = post_with_attachment(point, raw, SCAN + b"altered")

    assert (200, first.body) == (second.status, second.body)
    assert len(hub.agency.asked) == 1
    assert b"message-id.conflict" in other.body


def test_a_service_that_takes_no_attachments_refuses_them_plainly(
    point: RunningAccessPoint,
) -> None:
    raw = plain_request(
        "attached-3",
        service=SLOW_SERVICE,
        body=b'<p:XacThucThongTinCongDan xmlns:p="http://dancuquocgia.bca"/>',
    )

    reply = post_with_attachment(point, raw)

    assert reply.status == 500
    assert reply.headers["content-type"].startswith("text/xml")
    assert b"access-point." not in reply.body


def test_a_request_of_soap_1_2_gets_an_answer_of_soap_1_2(point: RunningAccessPoint) -> None:
    raw = plain_request("soap12-1", soap=SOAP12)

    reply = point.post(raw, content_type=SOAP_1_2)

    envelope = read(reply.body)
    assert (reply.status, reply.headers["content-type"]) == (200, SOAP_1_2)
    assert envelope.tag == f"{{{SOAP12}}}Envelope"
    assert request_hash(raw) == envelope[0].findtext(f"{{{XROAD}}}requestHash")


def test_a_fault_of_the_hub_keeps_soap_1_2(point: RunningAccessPoint) -> None:
    body = b'<p:XacMinhThongTinNhanThan xmlns:p="http://dancuquocgia.bca"/>'
    raw = plain_request("soap12-2", soap=SOAP12, service=DISABLED_SERVICE, body=body)

    reply = point.post(raw, content_type=SOAP_1_2)

    fault = read(reply.body).find(f"{{{SOAP12}}}Body/{{{SOAP12}}}Fault")
    assert fault is not None
    values = [value.text for value in fault.iter(f"{{{SOAP12}}}Value")]
    assert values == ["soap:Sender", "code:Server.ServerProxy.ServiceDisabled"]


def test_faults_of_our_own_keep_soap_1_2(point: RunningAccessPoint) -> None:
    by_head = point.post(b"<a/>", content_type="application/soap+xml", method="PUT")
    by_start = point.post(
        plain_request(soap=SOAP12, order=("client",)), content_type="application/soap+xml"
    )

    assert {f"{{{SOAP12}}}Envelope"} == {read(one.body).tag for one in (by_head, by_start)}
    assert by_head.headers["content-type"] == SOAP_1_2


# --- attachments of XML --------------------------------------------------------------------------

XML_DOCUMENTS = {
    "plain": b"<a/>",
    "stylesheet": b'<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?><a/>',
    "UTF-16": '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
    "comment": b"<!-- made by X --><a/>",
    "document type": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "empty": b"",
    "broken": b"<a",
    "relative namespace": b'<a xmlns="rel"/>',
    "deep": b"<a>" * 2000 + b"</a>" * 2000,
}


@pytest.mark.parametrize("media_type", ["text/xml", "application/xml", "image/svg+xml"])
@pytest.mark.parametrize("kind", XML_DOCUMENTS)
def test_a_document_of_xml_is_carried_as_it_is_both_ways(
    point: RunningAccessPoint, hub: ServedHub, kind: str, media_type: str
) -> None:
    content = XML_DOCUMENTS[kind]
    seen: list[bytes] = []

    def answer_with_the_same(query: Query) -> Answer:
        seen.append(b"".join(query.attachments[0].chunks()))
        return Answer(payload(ANSWER), query.attachments)

    hub.agency.script = answer_with_the_same
    one = attachment_of_bytes(content, content_id="xml-1", media_type=media_type)
    name = f"xml-{kind}-{media_type}".replace(" ", "-").replace("/", "-")
    message = write_related(plain_request(name), [one])

    reply = point.post(b"".join(message), content_type=message.content_type)

    assert seen == [content], reply.body
    assert reply.status == 200
    boundary = reply.body[: reply.body.index(b"\r\n")]
    assert content == reply.body.split(boundary)[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "iso-8859-1"])
def test_the_soap_part_beside_attachments_may_have_any_charset_that_is_taken(
    point: RunningAccessPoint, hub: ServedHub, codec: str
) -> None:
    one = attachment_of_bytes(b"1", content_id="a-1", media_type="text/plain")
    charset = codec.replace("16-", "16")
    soap = plain_request(f"charset-{codec}").decode()
    soap = soap.replace("Vũ Thị Hương", "An")
    message = write_related(soap.encode(codec), [one])
    whole = b"".join(message).replace(b'charset="UTF-8"', f'charset="{charset}"'.encode(), 1)

    reply = point.post(whole, content_type=message.content_type)

    assert reply.status == 200, reply.body
    assert len(hub.agency.asked) == 1
