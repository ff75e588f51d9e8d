"""Attachments travel to agencies and back piece by piece, and within bounds."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lxml import etree

from bus.core.errors import (
    AnswerInvalid,
    AnswerMimeInvalid,
    AttachmentNotAllowed,
    ConfigurationError,
    RecipientHttpError,
    RecipientUnavailable,
    ServiceFault,
    SpoolUnavailable,
)
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.http.client import (
    UNASKED_BYTES_MAX,
    AgencyHttp,
    AgencyReply,
    AgencyRequest,
    AttachmentBody,
)
from bus.http.multipart import MultipartIntake
from bus.http.spool import MEMORY_BYTES_MAX, Spool, open_spool
from bus.kit.contract import Attachment, Query, attachment_of_bytes, attachment_of_file
from bus.kit.soap_agency import SoapAgency
from bus.kit.xroad_agency import XRoadAgency, XRoadForm
from bus.protocols.mime.content_type import ContentType, parse_content_type
from bus.protocols.mime.read import PartHead
from bus.protocols.mime.write import RelatedMessage, write_related
from bus.runtime.deadline import Deadline
from signing.policy import DIGEST_SHA256, DIGEST_SHA512

HEAD = PartHead((("Content-Type", "a/b"),), ContentType("a/b"), "i")
SOAP = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><a/></s:Body>'
    b"</s:Envelope>"
)

WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:p="urn:ping"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:ping">
  <types><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:ping">
    <xs:element name="Ping"><xs:complexType/></xs:element></xs:schema></types>
  <message name="Ping"><part name="body" element="p:Ping"/></message>
  <portType name="Port"><operation name="Ping"><input message="p:Ping"/>
    <output message="p:Ping"/></operation></portType>
  <binding name="Binding" type="p:Port">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Ping"><soap:operation soapAction=""/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>
    </operation></binding>
</definitions>"""


@dataclass
class Agency:
    """An agency that keeps what it got, and says what a test wants."""

    reply: tuple[str, bytes] = ("text/xml", SOAP)
    status: int = 200
    got: list[tuple[str, bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def listening(agency: Agency) -> Iterator[Agency]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            agency.got.append((self.headers["Content-Type"], body))
            content_type, content = agency.reply
            self.send_response(agency.status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    agency.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield agency
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def agency() -> Iterator[Agency]:
    with listening(Agency()) as one:
        yield one


def content(attachment: Attachment) -> bytes:
    return b"".join(attachment.chunks())


def related(message: RelatedMessage) -> tuple[str, bytes]:
    return message.content_type, b"".join(message)


def post(agency: Agency, http: AgencyHttp, body: bytes | RelatedMessage = b"x") -> AgencyReply:
    request = AgencyRequest("POST", agency.url, headers={"Content-Type": "a/b"}, body=body)
    return http.send(request, Deadline.after(5))


# --- attachments of our own ----------------------------------------------------------------------


def test_an_attachment_is_made_of_bytes_or_of_a_file(tmp_path: Path) -> None:
    raw = bytes(range(256)) * 3000
    (tmp_path / "f").write_bytes(raw)

    made = [
        attachment_of_bytes(raw, content_id="i", media_type="a/b"),
        attachment_of_file(tmp_path / "f", content_id="i", media_type="a/b"),
    ]

    assert made[0] == made[1]
    assert [content(one) for one in made] == [raw, raw]
    assert made[0].digests == {
        DIGEST_SHA256: hashlib.sha256(raw).digest(),
        DIGEST_SHA512: hashlib.sha512(raw).digest(),
    }
    assert made[0].bytes_count == len(raw)


@pytest.mark.parametrize(("content_id", "media_type"), [("a b", "a/b"), ("i", "none"), ("", "a/b")])
def test_an_attachment_whose_name_or_type_breaks_a_header_is_not_made(
    content_id: str, media_type: str
) -> None:
    with pytest.raises(ValueError, match="is no Content"):
        attachment_of_bytes(b"", content_id=content_id, media_type=media_type)


# --- the spool -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX + 1, 1_000_000])
def test_what_is_spooled_is_read_again_more_than_once(tmp_path: Path, count: int) -> None:
    spool = Spool(tmp_path / "spool", bytes_max=2_000_000)
    part = spool.open(HEAD)
    raw = bytes(number % 251 for number in range(count))
    for place in range(0, count, 40_000):
        part.write(raw[place : place + 40_000])
    part.finish()

    found = part.attachment()

    assert content(found) == content(found) == raw
    assert found.digests[DIGEST_SHA256] == hashlib.sha256(raw).digest()
    assert list((tmp_path / "spool").iterdir()) == []
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_room_is_free_again_when_nobody_holds_an_attachment(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bytes_max=200_000)
    part = spool.open(HEAD)
    part.write(bytes(150_000))
    found = part.attachment()
    del part
    assert spool.bytes_in_use == 150_000
    other = spool.open(HEAD)
    other.write(bytes(100_000))
    assert isinstance(other.failure, SpoolUnavailable)
    assert other.attachment().bytes_count == 100_000
    del found

    third = spool.open(HEAD)
    third.write(bytes(100_000))

    assert (third.failure, spool.bytes_in_use) == (None, 100_000)


def test_content_beyond_what_is_kept_is_measured_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, bytes_max=10)
    part = spool.open(HEAD, kept_bytes_max=3)
    part.write(b"123")
    part.write(bytes(100))

    found = part.attachment()

    assert (found.bytes_count, spool.bytes_in_use) == (103, 0)
    assert found.digests[DIGEST_SHA256] == hashlib.sha256(b"123" + bytes(100)).digest()
    with pytest.raises(AttachmentNotAllowed):
        content(found)


def test_a_disk_that_does_not_take_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    spool = Spool(tmp_path, bytes_max=10**6)
    monkeypatch.setattr(spool, "make_file", full)
    part = spool.open(HEAD)
    part.write(bytes(MEMORY_BYTES_MAX + 1))
    assert "No space left" in str(part.failure)
    assert spool.bytes_in_use == 0
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError):
        open_spool(file / "spool", bytes_max=1)


# --- to an agency and back -----------------------------------------------------------------------


def test_a_message_with_attachments_is_sent_whole(agency: Agency) -> None:
    sent = [attachment_of_bytes(bytes(200_000), content_id="i", media_type="a/b")]
    message = write_related(SOAP, sent)

    post(agency, AgencyHttp(), message)

    assert agency.got[0][1] == b"".join(message)


def test_an_attachment_is_sent_as_a_body_of_its_own(agency: Agency) -> None:
    body = AttachmentBody(attachment_of_bytes(bytes(200_000), content_id="i", media_type="a/b"))
    request = AgencyRequest("POST", agency.url, body=body)

    AgencyHttp().send(request, Deadline.after(5))

    assert agency.got[0][1] == bytes(200_000)


@pytest.mark.parametrize("has_spool", [True, False])
def test_a_reply_with_attachments_is_taken_apart(
    agency: Agency, tmp_path: Path, has_spool: bool
) -> None:
    sent = [attachment_of_bytes(bytes(200_000), content_id="i", media_type="a/b")]
    agency.reply = related(write_related(SOAP, sent))
    http = AgencyHttp(spool=Spool(tmp_path, bytes_max=10**6) if has_spool else None)

    found = post(agency, http)

    assert (found.body, found.content_type) == (SOAP, 'text/xml; charset="UTF-8"')
    assert [content(one) for one in found.attachments] == [bytes(200_000)]
    assert http.takes_attachments is has_spool


def test_what_nobody_asked_for_is_bounded(agency: Agency) -> None:
    raw = bytes(UNASKED_BYTES_MAX + 1)
    sent = [attachment_of_bytes(raw, content_id="i", media_type="a/b")]
    agency.reply = related(write_related(SOAP, sent))

    with pytest.raises(RecipientUnavailable, match="attachments"):
        post(agency, AgencyHttp())


# What JAX-WS with MTOM answers, with attachments or without.
JAX_WS = (
    'multipart/related;start="<rootpart*1@example.jaxws.sun.com>";type="application/xop+xml";'
    'boundary="uuid:1";start-info="text/xml"'
)
FAULT = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    b"<faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>"
)


def jax_ws(soap: bytes, part: bytes = b"") -> bytes:
    beside = (
        b"--uuid:1\r\nContent-Id: <b@x>\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n" + part + b"\r\n"
    )
    return b"".join(
        (
            b"--uuid:1\r\nContent-Id: <rootpart*1@example.jaxws.sun.com>\r\n",
            b'Content-Type: application/xop+xml;charset=utf-8;type="text/xml"\r\n',
            b"Content-Transfer-Encoding: binary\r\n\r\n",
            soap,
            b"\r\n",
            beside if part else b"",
            b"--uuid:1--\r\n",
        )
    )


def asked_by_soap(agency: Agency, folder: Path) -> etree._Element:
    wsdl = folder / "ping.wsdl"
    wsdl.write_text(WSDL)
    soap = SoapAgency(wsdl=wsdl, binding="{urn:ping}Binding", address=agency.url, http=AgencyHttp())
    return soap.call("Ping", {}, headers={}, deadline=Deadline.after(5))


def asked_by_xroad(agency: Agency, folder: Path) -> etree._Element:
    form = XRoadForm(namespace="")
    xroad = XRoadAgency(address=agency.url, http=AgencyHttp(), form=form)
    return xroad.call(PING, deadline=Deadline.after(5)).element


PING = Query(
    service=ServiceId.parse("VN/GOV/G15/hotich/Ping/v1"),
    client=SubsystemId.parse("VN/GOV/H41/motcua"),
    message_id="m-1",
    idempotency_key="key-1",
    user_id="",
    issue="",
    purpose="test",
    payload=b"<Ping></Ping>",
    timeout_seconds=5.0,
)
Ask = Callable[[Agency, Path], etree._Element]
every_base = pytest.mark.parametrize("ask", [asked_by_soap, asked_by_xroad])


@every_base
def test_a_multipart_answer_is_read_for_adapters_that_take_no_attachments(
    agency: Agency, tmp_path: Path, ask: Ask
) -> None:
    agency.reply = (JAX_WS, jax_ws(SOAP))

    assert ask(agency, tmp_path).tag == "a"


@every_base
@pytest.mark.parametrize("status", [200, 500])
def test_a_fault_in_a_multipart_reply_is_the_services_own(
    agency: Agency, tmp_path: Path, ask: Ask, status: int
) -> None:
    agency.reply, agency.status = (JAX_WS, jax_ws(FAULT)), status

    with pytest.raises(ServiceFault) as caught:
        ask(agency, tmp_path)

    assert (caught.value.subject, caught.value.fault_string) == ("soap:Server", "no")


INCLUDE = b'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:b%40x"/>'


@every_base
def test_what_an_answer_includes_stands_in_it_for_adapters_that_take_no_attachments(
    agency: Agency, tmp_path: Path, ask: Ask
) -> None:
    soap = SOAP.replace(b"<a/>", b"<a><b>" + INCLUDE + b"</b></a>")
    agency.reply = (JAX_WS, jax_ws(soap, b"\x00\xff"))

    (holder,) = ask(agency, tmp_path)

    assert (holder.text, len(holder)) == ("AP8=", 0)


@every_base
@pytest.mark.parametrize(
    ("holder", "error"),
    [
        (b"<b>" + INCLUDE.replace(b"cid:b", b"cid:c") + b"</b>", AnswerMimeInvalid),
        (b"<b>x" + INCLUDE + b"</b>", AnswerMimeInvalid),
        (b"<b>" + INCLUDE + b"</b>" + (b"<b>" + INCLUDE + b"</b>") * 5, RecipientUnavailable),
    ],
    ids=["of nothing", "beside text", "too often"],
)
def test_an_include_that_cannot_be_followed_is_no_answer(
    agency: Agency, tmp_path: Path, ask: Ask, holder: bytes, error: type[Exception]
) -> None:
    soap = SOAP.replace(b"<a/>", b"<a>" + holder + b"</a>")
    agency.reply = (JAX_WS, jax_ws(soap, bytes(1_000_000)))

    with pytest.raises(error):
        ask(agency, tmp_path)


@every_base
def test_a_broken_multipart_reply_with_a_bad_status_is_that_status(
    agency: Agency, tmp_path: Path, ask: Ask
) -> None:
    agency.reply, agency.status = (JAX_WS, b"Bad gateway"), 502

    with pytest.raises(RecipientHttpError):
        ask(agency, tmp_path)


@pytest.mark.parametrize(
    "broken",
    [
        lambda reply: (reply[0], reply[1][:-10]),
        lambda reply: ("multipart/related", reply[1]),
        lambda reply: ("multipart/related; x", reply[1]),
        lambda reply: (reply[0], reply[1].replace(SOAP, bytes(5_000_000))),
        lambda reply: (reply[0], reply[1] * 0),
    ],
)
def test_a_reply_that_cannot_be_taken_apart_is_no_reply(
    agency: Agency, tmp_path: Path, broken: Callable[[tuple[str, bytes]], tuple[str, bytes]]
) -> None:
    sent = [attachment_of_bytes(b"1", content_id="i", media_type="a/b")]
    agency.reply = broken(related(write_related(SOAP, sent)))
    spool = Spool(tmp_path, bytes_max=10**6)

    with pytest.raises((RecipientUnavailable, AnswerInvalid)):
        post(agency, AgencyHttp(spool=spool))

    assert spool.bytes_in_use == 0


def test_a_soap_agency_sends_attachments_and_gives_its_own_back(
    agency: Agency, tmp_path: Path
) -> None:
    sent = (attachment_of_bytes(b"there", content_id="i", media_type="a/b"),)
    back = (attachment_of_bytes(b"back", content_id="j", media_type="a/b"),)
    agency.reply = related(write_related(SOAP, back))
    wsdl = tmp_path / "ping.wsdl"
    wsdl.write_text(WSDL)
    http = AgencyHttp(spool=Spool(tmp_path, bytes_max=10**6))
    soap = SoapAgency(wsdl=wsdl, binding="{urn:ping}Binding", address=agency.url, http=http)

    answer = soap.exchange("Ping", {}, headers={}, deadline=Deadline.after(5), attachments=sent)

    content_type, raw = agency.got[0]
    intake = MultipartIntake(
        parse_content_type(content_type), Limits(), Spool(tmp_path, bytes_max=10**6)
    )
    intake.feed(raw)
    whole = intake.end()
    intake.close()
    assert [content(one) for one in whole.attachments] == [b"there"]
    assert whole.soap.endswith(b"Envelope>")
    assert [content(one) for one in answer.attachments] == [b"back"]
    assert answer.element.tag == "a"
